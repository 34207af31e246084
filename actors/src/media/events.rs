//! What media workers tell, brought to the rooms it concerns.

use std::sync::Arc;
use std::time::Instant;

use futures_util::StreamExt;
use hive_media::{CloseReason, MediaEvent, PeerId, RoomId};

use crate::events::schema::{ActiveSpeaker, EventBody, Speakers};
use crate::hall::Hall;
use crate::pipeline::stage::{self, StageError};
use crate::supervision::{ChildContext, ChildSpec, Classified, Inbox, MessageClass};

/// An event of a media worker on its way to its room.
#[derive(Debug)]
pub(crate) struct Notice(pub(crate) MediaEvent);

impl Classified for Notice {
    fn class(&self) -> MessageClass {
        match self.0 {
            // The next levels replace these.
            MediaEvent::Levels { .. } => MessageClass::Audio,
            MediaEvent::Data { .. } => MessageClass::Word,
            _ => MessageClass::Control,
        }
    }
}

/// The actor that brings notices to their rooms.
pub(crate) fn events_spec(hall: Arc<Hall>, inbox: Inbox<Notice>) -> ChildSpec {
    stage::spec("events".into(), move |child| {
        run(hall.clone(), inbox.clone(), child)
    })
}

async fn run(hall: Arc<Hall>, inbox: Inbox<Notice>, child: ChildContext) -> Result<(), StageError> {
    let mut notices = inbox.stream(&child);
    while let Some(Notice(event)) = notices.next().await {
        match event {
            MediaEvent::Connected { peer } => {
                tracing::debug!(%peer, "a peer is connected");
                hall.connected(peer);
            }
            MediaEvent::Data {
                peer,
                label,
                payload,
            } => hall.relay(peer, &label, &payload, Instant::now()),
            MediaEvent::StreamPaused {
                peer,
                track,
                paused,
            } => hall.stream_paused(peer, track, paused),
            MediaEvent::LayerWanted { track, layer } => hall.layer_wanted(track, layer),
            MediaEvent::TrackStarted { peer, track } => {
                tracing::debug!(%peer, %track, "a microphone is heard");
            }
            MediaEvent::Closed { peer, reason } => {
                if reason != CloseReason::Requested {
                    tracing::info!(%peer, ?reason, "a peer was closed");
                }
                hall.peer_gone(peer, reason);
            }
            MediaEvent::Levels { room, speakers } => tell_levels(&hall, room, &speakers),
        }
    }
    Err(StageError::Closed)
}

fn tell_levels(hall: &Hall, room: RoomId, speakers: &[(PeerId, u8)]) {
    let Some(room) = hall.room_of(room) else {
        return;
    };
    let speakers: Vec<(Arc<str>, u8)> = speakers
        .iter()
        .filter_map(|(peer, level)| Some((hall.whose(*peer)?, *level)))
        .collect();
    hall.tell_speakers(&room, &speakers);
    let active = speakers
        .into_iter()
        .map(|(identity, level_dbov)| ActiveSpeaker {
            identity,
            level_dbov,
        })
        .collect();
    room.bus.emit(EventBody::Speakers(Speakers { active }));
}
