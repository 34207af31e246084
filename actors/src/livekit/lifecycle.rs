//! What applications are told of rooms by webhooks.

use std::sync::Arc;

use tokio::sync::broadcast;

use super::proto::{self, DisconnectReason, participant_info};
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

    fn tell(
        &self,
        kind: LifecycleKind,
        room: proto::Room,
        participant: Option<proto::ParticipantInfo>,
        track: Option<proto::TrackInfo>,
    ) {
        let event = LifecycleEvent {
            kind,
            room,
            participant,
            track,
            created_at: now_ms() / 1000,
        };
        // Without a reader there is nobody to tell.
        let _ = self.0.send(Arc::new(event));
    }
}

impl Hall {
    /// Tells that something happened to a room.
    pub(crate) fn happened(&self, room: &Room, kind: LifecycleKind) {
        let view = room.state.lock().view(&room.name);
        self.lifecycles.tell(kind, view, None, None);
    }

    /// Tells that something happened to somebody, as they were, and to one of their tracks.
    pub(crate) fn happened_to(
        &self,
        room: &Room,
        kind: LifecycleKind,
        participant: proto::ParticipantInfo,
        track: Option<proto::TrackInfo>,
    ) {
        let view = room.state.lock().view(&room.name);
        self.lifecycles.tell(kind, view, Some(participant), track);
    }

    /// Tells that somebody is here, and what they publish already, unless it was told of this stay.
    pub(crate) fn announce(&self, room: &Room, identity: &Arc<str>) {
        let mut state = room.state.lock();
        let Some(participant) = state.participants.get_mut(identity) else {
            return;
        };
        if std::mem::replace(&mut participant.announced, true) {
            return;
        }
        let who = participant.seen(identity).view();
        // All under the lock, so that nobody's track comes before they do.
        let view = state.view(&room.name);
        let tracks = who.tracks.clone();
        let joined = LifecycleKind::ParticipantJoined;
        self.lifecycles
            .tell(joined, view.clone(), Some(who.clone()), None);
        for track in tracks {
            let published = LifecycleKind::TrackPublished;
            let (view, who) = (view.clone(), who.clone());
            self.lifecycles
                .tell(published, view, Some(who), Some(track));
        }
    }
}

/// What is told of somebody who has gone.
pub(crate) fn gone(
    seen: proto::ParticipantInfo,
    reason: DisconnectReason,
) -> proto::ParticipantInfo {
    proto::ParticipantInfo {
        state: participant_info::State::Disconnected.into(),
        disconnect_reason: reason.into(),
        ..seen
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
