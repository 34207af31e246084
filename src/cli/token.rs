//! `hive token`.

use std::time::Duration;

use clap::{ArgAction, Args};

use super::Source;
use crate::{
    auth::{Identity, IssueTokenError, Keyring, RoomName, unix_seconds},
    config::{LoadConfigError, parse_duration},
};

/// What to put into the token.
#[derive(Clone, Debug, Args)]
pub(super) struct TokenArgs {
    /// The room that the token lets into.
    #[arg(long)]
    room: RoomName,
    /// Who the participant is; unique in the room.
    #[arg(long)]
    identity: Identity,
    /// The name to show; the identity if left out.
    #[arg(long)]
    name: Option<String>,
    /// Whether they may speak (WHIP).
    #[arg(long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set,
          num_args = 0..=1, default_missing_value = "true")]
    publish: bool,
    /// Whether they may listen (WHEP) and read the events.
    #[arg(long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set,
          num_args = 0..=1, default_missing_value = "true")]
    subscribe: bool,
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
    let grant = (args.publish, args.subscribe);
    let (token, _) = keyring.issue(
        &args.identity,
        args.name.clone(),
        &args.room,
        grant,
        args.ttl,
        unix_seconds(),
    )?;
    Ok(token)
}
