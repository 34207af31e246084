//! Sessions: one WHIP or WHEP exchange each.

use std::fmt;
use std::str::FromStr;

use hive_models::Lang;

/// An unguessable name of a session: 128 random bits, 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(u128);

impl SessionId {
    /// A fresh one from the operating system's generator.
    pub fn random() -> Self {
        SessionId(rand::random())
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for SessionId {
    /// Shows the first digits only: whoever knows a session's id may end it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({:08x}…)", self.0 >> 96)
    }
}

/// The text is not a session id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a session id is 32 hexadecimal digits")]
pub struct ParseSessionIdError;

impl FromStr for SessionId {
    type Err = ParseSessionIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(ParseSessionIdError);
        }
        u128::from_str_radix(text, 16)
            .map(SessionId)
            .map_err(|_| ParseSessionIdError)
    }
}

/// Somebody wants to speak in a room.
#[derive(Clone, Debug)]
pub struct PublishRequest {
    /// The room; made if it does not exist.
    pub room: String,
    /// Who; unique in the room. A publisher of the same identity is replaced.
    pub identity: String,
    /// The name to show.
    pub name: Option<String>,
    /// The language they speak.
    pub lang: Lang,
    /// SDP offer.
    pub offer: String,
}

/// Somebody wants to hear a room.
#[derive(Clone, Debug)]
pub struct ListenRequest {
    /// The room; made if it does not exist.
    pub room: String,
    /// Who. A participant may listen any number of times.
    pub identity: String,
    /// The name to show.
    pub name: Option<String>,
    /// The language to hear the room in; none for the floor as it is.
    pub lang: Option<Lang>,
    /// SDP offer.
    pub offer: String,
}

/// A session that was opened.
#[derive(Clone, Debug)]
pub struct Session {
    /// Its name.
    pub id: SessionId,
    /// SDP answer.
    pub answer: String,
    /// Entity tag of the ICE session, with its quotes, as `If-Match` has to give it.
    pub etag: String,
}

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionKind {
    /// It sends audio (WHIP).
    Publish,
    /// It receives audio (WHEP).
    Listen,
}

/// What is known of an open session.
#[derive(Clone, Debug)]
pub struct SessionInfo {
    /// Its room.
    pub room: String,
    /// Whose it is.
    pub identity: String,
    /// What it is for.
    pub kind: SessionKind,
    /// The entity tag of its present ICE session, with quotes.
    pub etag: String,
}

/// The server's side of an ICE restart.
#[derive(Clone, Debug)]
pub struct IceRestart {
    /// `application/trickle-ice-sdpfrag` to answer with.
    pub fragment: String,
    /// Entity tag of the new ICE session, with quotes.
    pub etag: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_as_it_was_written_and_debug_does_not_tell_it() {
        let id = SessionId::random();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(!format!("{id:?}").contains(&id.to_string()[8..]));
    }

    #[test]
    fn what_is_not_32_hexadecimal_digits_is_refused() {
        for text in [
            "",
            "12",
            "+0000000000000000000000000000000",
            &"g".repeat(32),
            &"0".repeat(33),
        ] {
            assert_eq!(
                text.parse::<SessionId>(),
                Err(ParseSessionIdError),
                "{text}"
            );
        }
    }
}
