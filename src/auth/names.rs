//! The names in a token, and what they may look like.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A name that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Of a room.
    #[error("a room's name has 1 to 64 characters out of letters, digits, `.`, `_`, `~` and `-`")]
    Room,
    /// Of a participant.
    #[error("an identity has 1 to 256 bytes and no control characters")]
    Identity,
}

/// A room's name: 1 to 64 of RFC 3986's unreserved characters, so that it needs no escaping in a URL.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct RoomName(String);

/// A participant's identity: 1 to 256 bytes without control characters.
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
        let fits = (1..=256).contains(&text.len()) && !text.chars().any(char::is_control);
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
        for bad in ["", "a\nb", &"x".repeat(257)] {
            assert!(bad.parse::<Identity>().is_err(), "{bad:?}");
        }
    }
}
