//! What the front door answers when it cannot do as asked.

use std::time::Duration;

use hive_models::{Lang, LangPair};

/// The service did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartServiceError {
    /// A media worker could not be started.
    #[error("media: {reason}")]
    Media {
        /// What happened and what to do.
        reason: String,
    },
    /// An engine is missing or does not work.
    #[error("{engine}: {reason}")]
    Engine {
        /// `vad`, `stt`, `mt` or `tts`.
        engine: &'static str,
        /// What happened and what to install.
        reason: String,
    },
    /// The actors did not come up.
    #[error("the actors did not start: {reason}")]
    Tree {
        /// What the root supervisor says.
        reason: String,
    },
    /// There is no actix system on this thread.
    #[error("the service has to be started inside an actix system")]
    NoSystem,
    /// A setting contradicts another.
    #[error("{key}: {reason}")]
    Setting {
        /// Path of the key.
        key: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

/// A session was not opened.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// No engine leads into the language, and nobody speaks it.
    #[error("nobody speaks `{asked}` here and no engine translates into it; available: {}", pairs(.available))]
    UnsupportedLanguage {
        /// The language asked for.
        asked: Lang,
        /// The directions there are.
        available: Vec<LangPair>,
    },
    /// The offer was refused.
    #[error(transparent)]
    Offer(#[from] hive_media::AcceptError),
    /// The offer publishes nothing.
    #[error("the offer publishes no audio track")]
    NoTrack,
    /// A room or participant name is empty, too long, or has control characters.
    #[error("{what} has to be 1 to {max} bytes without control characters")]
    InvalidName {
        /// `room` or `identity` or `name`.
        what: &'static str,
        /// Most bytes.
        max: usize,
    },
    /// The server itself has the identity.
    #[error("the identity `{0}` is the server's own; use another one")]
    ReservedIdentity(&'static str),
    /// There are as many rooms as there may be.
    #[error("there are already {max} rooms; close one or raise `rooms.max_rooms`")]
    TooManyRooms {
        /// The limit.
        max: usize,
    },
    /// The room is full.
    #[error("the room already has {max} participants; raise `rooms.max_participants`")]
    RoomFull {
        /// The limit.
        max: usize,
    },
    /// The room ended while the session was being opened.
    #[error("the room was restarted meanwhile; try again")]
    RoomRestarted,
    /// The service is shutting down.
    #[error("the service is shutting down")]
    ShuttingDown,
}

/// A fragment was not applied, or a session not found.
#[derive(Debug, thiserror::Error)]
pub enum TrickleError {
    /// There is no such session (any more).
    #[error("there is no such session; it may have ended")]
    UnknownSession,
    /// The fragment cannot be read.
    #[error(transparent)]
    Fragment(#[from] hive_media::FragmentError),
    /// The media worker refused.
    #[error(transparent)]
    Worker(#[from] hive_media::TrickleError),
}

/// No subscription was made.
#[derive(Debug, thiserror::Error)]
pub enum SubscribeError {
    /// The room could not be made.
    #[error(transparent)]
    Room(#[from] SessionError),
}

/// Nothing was killed.
#[derive(Debug, thiserror::Error)]
pub enum KillError {
    /// Chaos is off.
    #[error("killing is switched off; set `chaos.enabled` to allow it")]
    Disabled,
    /// No child has this path.
    #[error("there is no child `{path}`; see /supervision for the paths there are")]
    UnknownPath {
        /// What was asked for.
        path: String,
    },
    /// It is between two lives.
    #[error("`{path}` is not running at the moment; try again")]
    NotRunning {
        /// What was asked for.
        path: String,
    },
}

/// Shutting down took longer than it may.
#[derive(Debug, thiserror::Error)]
#[error("the service did not end within {after:?}; what was left was dropped")]
pub struct ShutdownError {
    /// The deadline.
    pub after: Duration,
}

fn pairs(pairs: &[LangPair]) -> String {
    if pairs.is_empty() {
        return "none".into();
    }
    pairs
        .iter()
        .map(LangPair::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}
