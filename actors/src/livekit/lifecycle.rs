//! What applications are told of rooms by webhooks.

use std::sync::Arc;

use tokio::sync::broadcast;

use super::proto;
use super::roster::now_ms;
use crate::hall::Hall;
use crate::room::Room;

/// Events kept for a reader that is behind.
const CAPACITY: usize = 4096;

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
pub struct Lifecycle {
    receiver: broadcast::Receiver<Arc<LifecycleEvent>>,
}

impl Lifecycle {
    /// The next event, or how many were lost because this reader was too slow.
    pub async fn next(&mut self) -> Option<Result<LifecycleEvent, u64>> {
        match self.receiver.recv().await {
            Ok(event) => Some(Ok(LifecycleEvent::clone(&event))),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Err(missed)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

/// Where events are sent to readers.
#[derive(Debug)]
pub(crate) struct Lifecycles(broadcast::Sender<Arc<LifecycleEvent>>);

impl Default for Lifecycles {
    fn default() -> Self {
        Lifecycles(broadcast::channel(CAPACITY).0)
    }
}

impl Lifecycles {
    pub(crate) fn reader(&self) -> Lifecycle {
        Lifecycle {
            receiver: self.0.subscribe(),
        }
    }
}

impl Hall {
    /// Tells that something happened to a room or to somebody in it.
    pub(crate) fn happened(
        &self,
        room: &Room,
        kind: LifecycleKind,
        identity: Option<&Arc<str>>,
        track: Option<proto::TrackInfo>,
    ) {
        let participant = identity.and_then(|identity| {
            let state = room.state.lock();
            let who = state.participants.get(identity)?;
            Some(who.seen(identity).view())
        });
        self.happened_to(room, kind, participant, track);
    }

    /// As [`Hall::happened`], to somebody as they were.
    pub(crate) fn happened_to(
        &self,
        room: &Room,
        kind: LifecycleKind,
        participant: Option<proto::ParticipantInfo>,
        track: Option<proto::TrackInfo>,
    ) {
        let event = LifecycleEvent {
            kind,
            room: room.state.lock().view(&room.name),
            participant,
            track,
            created_at: now_ms() / 1000,
        };
        // Without a reader there is nobody to tell.
        let _ = self.lifecycles.0.send(Arc::new(event));
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
