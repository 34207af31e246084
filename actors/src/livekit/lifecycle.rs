//! What applications are told of rooms by webhooks.

use super::proto;

/// What happened, by the name that webhooks give it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LifecycleKind {
    /// `room_started`
    RoomStarted,
    /// `room_finished`
    RoomFinished,
    /// `participant_joined`
    ParticipantJoined,
    /// `participant_left`
    ParticipantLeft,
    /// `participant_connection_aborted`
    ParticipantConnectionAborted,
    /// `track_published`
    TrackPublished,
    /// `track_unpublished`
    TrackUnpublished,
}

/// Something that happened to a room.
#[derive(Clone, Debug)]
pub struct LifecycleEvent {
    /// What.
    pub kind: LifecycleKind,
    /// The room as it was then.
    pub room: proto::Room,
    /// Who, unless it happened to the room itself.
    pub participant: Option<proto::ParticipantInfo>,
    /// The track of `track_…`.
    pub track: Option<proto::TrackInfo>,
    /// Unix seconds.
    pub created_at: i64,
}

/// The events of all rooms from now on.
pub struct Lifecycle {}

impl Lifecycle {
    /// The next event, or how many were lost because this reader was too slow.
    pub async fn next(&mut self) -> Option<Result<LifecycleEvent, u64>> {
        todo!()
    }
}

impl LifecycleKind {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            LifecycleKind::RoomStarted => "room_started",
            LifecycleKind::RoomFinished => "room_finished",
            LifecycleKind::ParticipantJoined => "participant_joined",
            LifecycleKind::ParticipantLeft => "participant_left",
            LifecycleKind::ParticipantConnectionAborted => "participant_connection_aborted",
            LifecycleKind::TrackPublished => "track_published",
            LifecycleKind::TrackUnpublished => "track_unpublished",
        }
    }
}
