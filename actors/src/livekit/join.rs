//! Joining a room, and coming back to it.

use std::collections::HashMap;

use super::proto;
use crate::service::SessionError;

/// How many peer connections a client has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topology {
    /// One, on which the client always offers (`/rtc/v1`).
    Single,
    /// One to publish, on which the client offers, and one to subscribe, on which the server does
    /// (`/rtc`).
    PublisherAndSubscriber,
}

/// A client wants to join. The front door has checked the token.
#[derive(Clone, Debug)]
pub struct JoinRequest {
    /// The room.
    pub room: String,
    /// Who; unique in the room. A client of the same identity has to leave for it.
    pub identity: String,
    /// The name to show; empty for none.
    pub name: String,
    /// The application's text.
    pub metadata: String,
    /// The application's, and HIVE's `hive.speaks` and `hive.listens`.
    pub attributes: HashMap<String, String>,
    /// What the token grants.
    pub permission: proto::ParticipantPermission,
    /// Standard, agent and so on.
    pub kind: proto::participant_info::Kind,
    /// How many peer connections.
    pub topology: Topology,
    /// The offer that came with the request (`/rtc/v1`).
    pub offer: Option<proto::SessionDescription>,
    /// Tracks that came with the request.
    pub add_tracks: Vec<proto::AddTrackRequest>,
    /// Whether the client is subscribed to every track as it comes.
    pub auto_subscribe: bool,
    /// The client's SDK.
    pub client: proto::ClientInfo,
    /// What the token says a room that it makes should be like.
    pub room_config: Option<proto::RoomConfiguration>,
}

/// A client whose WebSocket was cut wants to go on with what it has.
#[derive(Clone, Debug)]
pub struct ResumeRequest {
    /// The room.
    pub room: String,
    /// Who.
    pub identity: String,
    /// Which of the identity's stays is to be resumed: `PA_…`.
    pub participant_sid: String,
    /// What the client still knows, if it came with the request.
    pub sync_state: Option<proto::SyncState>,
    /// An offer that came with the request.
    pub offer: Option<proto::SessionDescription>,
}

/// Why a client may not join.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The room takes nobody, or is full.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// Rooms are not made by joining, and this one does not exist.
    #[error(
        "the room {0} does not exist; create it with the room service first, or set rooms.auto_create"
    )]
    NoSuchRoom(String),
    /// Its metadata, name or attributes are too long.
    #[error("{what} is longer than {max} bytes")]
    TooLong {
        /// Which of them.
        what: &'static str,
        /// The limit.
        max: usize,
    },
}

/// Why a client cannot resume; it has to join anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResumeError {
    /// Nobody of this sid is in the room (any more).
    #[error("there is no such participant in the room any more; join again")]
    UnknownParticipant,
    /// The server goes down.
    #[error("the server is shutting down")]
    ShuttingDown,
}
