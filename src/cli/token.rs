//! `hive token`.

use std::time::Duration;

use clap::{ArgAction, Args};

use super::Source;
use crate::{
    auth::{Claims, Identity, IssueTokenError, Keyring, RoomName, VideoGrant, unix_seconds},
    config::{LoadConfigError, parse_duration},
};

/// What to put into the token.
#[derive(Clone, Debug, Args)]
pub(super) struct TokenArgs {
    /// The room that the token lets into, or that --room-admin is for.
    #[arg(long, required_unless_present_any = ["room_create", "room_list"])]
    room: Option<RoomName>,
    /// Who the participant is; unique in the room. Without it the token lets nobody in: it is one for a server
    /// that manages rooms.
    #[arg(long, requires = "room",
          required_unless_present_any = ["room_create", "room_list", "room_admin"])]
    identity: Option<Identity>,
    /// The name to show; the identity if left out.
    #[arg(long)]
    name: Option<String>,
    /// Text of the application that everybody in the room sees.
    #[arg(long, value_name = "TEXT")]
    metadata: Option<String>,
    /// An attribute that everybody in the room sees, such as hive.speaks=en; once for each.
    #[arg(long = "attribute", value_name = "KEY=VALUE", value_parser = parse_attribute)]
    attributes: Vec<(String, String)>,
    /// Whether they may publish (WHIP).
    #[arg(long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set,
          num_args = 0..=1, default_missing_value = "true")]
    publish: bool,
    /// Whether they may listen (WHEP) and read the events.
    #[arg(long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set,
          num_args = 0..=1, default_missing_value = "true")]
    subscribe: bool,
    /// Whether they may send data; as --publish if left out.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    publish_data: Option<bool>,
    /// The only sources that they may publish, with commas between them; all if left out.
    #[arg(long, value_name = "SOURCES", value_delimiter = ',',
          value_parser = ["camera", "microphone", "screen_share", "screen_share_audio"])]
    can_publish_sources: Vec<String>,
    /// Whether they may change their own name, metadata and attributes.
    #[arg(long)]
    update_own_metadata: bool,
    /// The others do not see them.
    #[arg(long)]
    hidden: bool,
    /// May see and manage everybody in --room (room service).
    #[arg(long, requires = "room")]
    room_admin: bool,
    /// May make and delete rooms (room service).
    #[arg(long)]
    room_create: bool,
    /// May see which rooms there are (room service, /rooms, /stats).
    #[arg(long)]
    room_list: bool,
    /// How long the token lives, such as 30m or 2h; auth.default_ttl if left out, auth.max_ttl at most.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    ttl: Option<Duration>,
    #[command(flatten)]
    source: Source,
}

/// No token was made.
#[derive(Debug, thiserror::Error)]
pub(super) enum MakeTokenError {
    #[error(transparent)]
    Config(#[from] LoadConfigError),
    #[error(transparent)]
    Issue(#[from] IssueTokenError),
}

/// Makes the token.
pub(super) fn make(args: &TokenArgs) -> Result<String, MakeTokenError> {
    let config = args.source.load()?;
    let keyring = Keyring::new(&config.auth);
    let (token, _) = keyring.issue(claims(args), args.ttl, unix_seconds())?;
    Ok(token)
}

fn claims(args: &TokenArgs) -> Claims {
    let joins = args.identity.is_some();
    let video = VideoGrant {
        room_create: args.room_create,
        room_list: args.room_list,
        room_admin: args.room_admin,
        room_join: joins,
        room: args.room.as_ref().map(RoomName::to_string),
        // What somebody may do in a room that they cannot enter needs no words.
        can_publish: joins.then_some(args.publish),
        can_subscribe: joins.then_some(args.subscribe),
        can_publish_data: args.publish_data,
        can_publish_sources: args.can_publish_sources.clone(),
        can_update_own_metadata: args.update_own_metadata.then_some(true),
        hidden: args.hidden,
        ..VideoGrant::default()
    };
    Claims {
        sub: args.identity.clone(),
        name: args.name.clone(),
        metadata: args.metadata.clone(),
        attributes: args.attributes.iter().cloned().collect(),
        video,
        ..Claims::default()
    }
}

fn parse_attribute(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("an attribute is KEY=VALUE, such as hive.speaks=en".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use serde_json::json;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: TokenArgs,
    }

    fn said(line: &str) -> Option<serde_json::Value> {
        let line = Line::try_parse_from(["token"].into_iter().chain(line.split(' '))).ok()?;
        serde_json::to_value(claims(&line.args)).ok()
    }

    #[test]
    fn a_participants_token_says_what_was_asked_for() {
        let said = said(
            "--room r --identity ann --metadata m --attribute hive.speaks=en --attribute x= \
             --can-publish-sources camera,microphone --hidden --publish-data false --update-own-metadata",
        );
        assert_eq!(
            said,
            Some(json!({
                "iss": "", "sub": "ann", "exp": 0, "metadata": "m",
                "attributes": { "hive.speaks": "en", "x": "" },
                "video": {
                    "room": "r", "roomJoin": true, "canPublish": true, "canSubscribe": true,
                    "canPublishData": false, "canPublishSources": ["camera", "microphone"],
                    "canUpdateOwnMetadata": true, "hidden": true,
                },
            }))
        );
    }

    #[test]
    fn a_servers_token_lets_nobody_in() {
        assert_eq!(
            said("--room-create --room-list"),
            Some(json!({
                "iss": "", "exp": 0,
                "video": { "roomCreate": true, "roomList": true },
            }))
        );
        let admin = said("--room r --room-admin").expect("needs no identity");
        assert_eq!(admin["video"]["roomAdmin"], true);
    }

    #[test]
    fn what_makes_no_token_is_refused() {
        for line in [
            "--room r",
            "--identity ann",
            "--room-admin",
            "--room-list --identity ann",
            "--room r --identity ann --attribute x",
            "--room r --identity ann --can-publish-sources hologram",
        ] {
            assert_eq!(said(line), None, "{line}");
        }
    }
}
