//! The names in a token, and what they may look like.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A name that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Of a room.
    #[error(
        "a room's name has 1 to 256 bytes without `/` and control characters, and is neither `.` nor `..`"
    )]
    Room,
    /// Of a participant.
    #[error("an identity has 1 to 256 bytes and no control characters")]
    Identity,
}

/// The most bytes of a name: LiveKit's limit.
const MAX_NAME: usize = 256;

/// A room's name: 1 to 256 bytes without `/` and control characters, so that it is one segment of a URL's path once
/// it is escaped ([`RoomName::segment`]).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct RoomName(String);

/// A participant's identity: 1 to 256 bytes without control characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Identity(String);

fn fits(text: &str) -> bool {
    (1..=MAX_NAME).contains(&text.len()) && !text.chars().any(char::is_control)
}

impl RoomName {
    /// As a segment of a URL's path: all but RFC 3986's unreserved characters escaped.
    pub fn segment(&self) -> String {
        let mut segment = String::with_capacity(self.0.len());
        for byte in self.0.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'~' | b'-' => {
                    segment.push(char::from(byte));
                }
                byte => segment.push_str(&format!("%{byte:02X}")),
            }
        }
        segment
    }
}

impl FromStr for RoomName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        // Clients resolve dots before they ask.
        if fits(text) && !text.contains('/') && text != "." && text != ".." {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidName::Room)
        }
    }
}

impl FromStr for Identity {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        if fits(text) {
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
    fn a_room_name_is_one_segment_of_a_path() {
        for (good, segment) in [
            ("demo-room_1.2~x", "demo-room_1.2~x"),
            ("Sala 1", "Sala%201"),
            ("100 %?#", "100%20%25%3F%23"),
            ("é", "%C3%A9"),
        ] {
            let room: RoomName = good.parse().expect(good);
            assert_eq!(room.segment(), segment);
        }
        assert!("x".repeat(256).parse::<RoomName>().is_ok());
        for bad in ["", ".", "..", "a/b", "a\nb", &"x".repeat(257)] {
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
