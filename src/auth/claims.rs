//! The claims of a token.

use std::collections::BTreeMap;

use hive_actors::livekit::proto::{RoomConfiguration, participant_info};
use serde::{Deserialize, Serialize};

use super::{
    Identity, RoomName, VideoGrant,
    lenient::{identity, null_is_default, text},
};

/// LiveKit's layout of a token's claims. Claims that are not known here are ignored, as RFC 7519 asks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claims {
    /// The API key whose secret signed the token.
    pub iss: String,
    /// The participant's identity, unique in a room. Servers that only manage rooms have none.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "identity"
    )]
    pub sub: Option<Identity>,
    /// Unix seconds from which the token is worthless.
    pub exp: u64,
    /// Unix seconds before which it is worthless.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<u64>,
    /// The name to show.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "text"
    )]
    pub name: Option<String>,
    /// Anything that the application attaches.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "text"
    )]
    pub metadata: Option<String>,
    /// The same, by key.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub attributes: BTreeMap<String, String>,
    /// What kind of participant: `standard`, `agent`, `sip`… See [`Claims::participant_kind`].
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "text"
    )]
    pub kind: Option<String>,
    /// What the token permits.
    #[serde(
        default,
        skip_serializing_if = "VideoGrant::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub video: VideoGrant,
    /// What the room should be like if its first participant comes with this token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room_config: Option<RoomConfiguration>,
    /// The name of such a configuration; LiveKit's cloud has them.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "text"
    )]
    pub room_preset: Option<String>,
    /// Of a body that goes with the token: base64 of its SHA-256.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "text"
    )]
    pub sha256: Option<String>,
}

impl Claims {
    /// What lets a participant into a room, to publish and to listen; unsigned yet.
    pub fn joining(identity: Identity, room: &RoomName) -> Self {
        Self {
            sub: Some(identity),
            video: VideoGrant {
                room: Some(room.to_string()),
                room_join: true,
                ..VideoGrant::default()
            },
            ..Self::default()
        }
    }

    /// `kind`; one that is not known is a standard participant, as in LiveKit.
    pub fn participant_kind(&self) -> participant_info::Kind {
        let kind = self.kind.as_deref().unwrap_or_default();
        participant_info::Kind::from_str_name(&kind.to_ascii_uppercase()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(json: &str) -> Claims {
        serde_json::from_str(json).expect("LiveKit's layout")
    }

    #[test]
    fn livekits_claims_are_read_with_its_defaults() {
        let said = claims(
            r#"{"iss":"k","sub":"ann","exp":5,"nbf":1,"jti":"x","video":{"roomJoin":true,"room":"r","canPublishData":true}}"#,
        );
        assert!(said.video.may_publish() && said.video.may_subscribe());
        let said = claims(
            r#"{"iss":"k","sub":"ann","exp":5,"video":{"roomJoin":true,"room":"r","canPublish":false}}"#,
        );
        assert!(!said.video.may_publish() && said.video.may_subscribe());
        let said = claims(r#"{"iss":"k","sub":"ann","exp":5}"#);
        assert!(!said.video.may_publish() && !said.video.may_subscribe());
    }

    #[test]
    fn a_servers_token_has_no_identity() {
        for sub in ["", r#""sub":"","#, r#""sub":null,"#] {
            let said = claims(&format!(
                r#"{{"iss":"k",{sub}"exp":5,"name":"","metadata":"","video":{{"roomCreate":true,"room":""}}}}"#
            ));
            assert_eq!((said.sub, said.name, said.metadata), (None, None, None));
            assert!(said.video.room_create && said.video.room.is_none());
        }
        let bad = r#"{"iss":"k","exp":5,"sub":"a\nb"}"#;
        assert!(serde_json::from_str::<Claims>(bad).is_err());
    }

    #[test]
    fn what_a_participant_brings_along_is_read() {
        let said = claims(
            r#"{"iss":"k","sub":"bot","exp":5,"kind":"agent","attributes":{"hive.speaks":"en"},"sha256":"x",
                "roomPreset":"p","roomConfig":{"emptyTimeout":30,"maxParticipants":2,"newerThanUs":{}}}"#,
        );
        assert_eq!(said.participant_kind(), participant_info::Kind::Agent);
        assert_eq!(said.attributes["hive.speaks"], "en");
        assert_eq!(said.room_config.map(|room| room.empty_timeout), Some(30));
        let kind = |kind: &str| {
            claims(&format!(r#"{{"iss":"k","exp":5,"kind":"{kind}"}}"#)).participant_kind()
        };
        for standard in ["", "standard", "hologram"] {
            assert_eq!(kind(standard), participant_info::Kind::Standard);
        }
    }

    #[test]
    fn only_what_is_said_is_written() {
        let (ann, room) = ("ann".parse().expect("id"), "r".parse().expect("room"));
        assert_eq!(
            serde_json::to_value(Claims::joining(ann, &room)).expect("JSON"),
            serde_json::json!({"iss": "", "sub": "ann", "exp": 0, "video": {"room": "r", "roomJoin": true}})
        );
    }
}
