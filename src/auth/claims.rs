//! The claims of a token, and the names in them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// LiveKit's layout of a token's claims. Claims that are not known here are ignored, as RFC 7519 asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The API key whose secret signed the token.
    pub iss: String,
    /// The participant's identity, unique in a room.
    pub sub: Identity,
    /// Unix seconds from which the token is worthless.
    pub exp: u64,
    /// Unix seconds before which it is worthless.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<u64>,
    /// The name to show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Anything that the application attaches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<String>,
    /// What the token permits.
    #[serde(default)]
    pub video: VideoGrant,
}

/// LiveKit's `video` grant, the part of it that matters here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VideoGrant {
    /// The room that the token is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<String>,
    /// Whether the token lets its holder in at all.
    #[serde(default)]
    pub room_join: bool,
    /// Whether they may publish; left out means yes, as in LiveKit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub can_publish: Option<bool>,
    /// Whether they may listen and read; left out means yes, as in LiveKit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub can_subscribe: Option<bool>,
}

impl VideoGrant {
    /// May publish.
    pub fn may_publish(&self) -> bool {
        self.room_join && self.can_publish.unwrap_or(true)
    }

    /// May listen and read the events.
    pub fn may_subscribe(&self) -> bool {
        self.room_join && self.can_subscribe.unwrap_or(true)
    }
}

/// A name that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Of a room.
    #[error("a room's name has 1 to 64 characters out of letters, digits, `.`, `_`, `~` and `-`")]
    Room,
    /// Of a participant.
    #[error("an identity has 1 to 128 bytes and no control characters")]
    Identity,
}

/// A room's name: 1 to 64 of RFC 3986's unreserved characters, so that it needs no escaping in a URL.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct RoomName(String);

/// A participant's identity: 1 to 128 bytes without control characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Identity(String);

impl FromStr for RoomName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let fits = (1..=64).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte))
            && text != "."
            && text != "..";
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidName::Room)
        }
    }
}

impl FromStr for Identity {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let fits = (1..=128).contains(&text.len()) && !text.chars().any(char::is_control);
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidName::Identity)
        }
    }
}

macro_rules! name {
    ($name:ident) => {
        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                String::deserialize(from)?
                    .parse()
                    .map_err(serde::de::Error::custom)
            }
        }
    };
}
name!(RoomName);
name!(Identity);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_name_needs_no_escaping() {
        for good in ["a", "demo-room_1.2~x", "ROOM"] {
            assert!(good.parse::<RoomName>().is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a b", "é", "a%2e", &"x".repeat(65)] {
            assert_eq!(bad.parse::<RoomName>(), Err(InvalidName::Room), "{bad}");
        }
    }

    #[test]
    fn an_identity_has_no_control_characters() {
        assert!("Ann O'Neill <ann@example.org>".parse::<Identity>().is_ok());
        for bad in ["", "a\nb", &"x".repeat(129)] {
            assert!(bad.parse::<Identity>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn livekits_claims_are_read_with_its_defaults() {
        let claims: Claims = serde_json::from_str(
            r#"{"iss":"k","sub":"ann","exp":5,"nbf":1,"jti":"x","video":{"roomJoin":true,"room":"r","canPublishData":true}}"#,
        )
        .expect("LiveKit's layout");
        assert!(claims.video.may_publish() && claims.video.may_subscribe());
        let claims: Claims = serde_json::from_str(
            r#"{"iss":"k","sub":"ann","exp":5,"video":{"roomJoin":true,"room":"r","canPublish":false}}"#,
        )
        .expect("LiveKit's layout");
        assert!(!claims.video.may_publish() && claims.video.may_subscribe());
        let claims: Claims =
            serde_json::from_str(r#"{"iss":"k","sub":"ann","exp":5}"#).expect("no grant");
        assert!(!claims.video.may_publish() && !claims.video.may_subscribe());
    }
}
