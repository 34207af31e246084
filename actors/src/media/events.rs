//! What media workers tell, brought to the rooms it concerns.

use std::sync::Arc;

use futures_util::StreamExt;
use hive_media::{CloseReason, MediaEvent, PeerId};

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
            MediaEvent::Connected { peer } => tracing::debug!(%peer, "a peer is connected"),
            MediaEvent::TrackStarted { peer, track } => {
                tracing::debug!(%peer, %track, "a microphone is heard");
            }
            MediaEvent::Closed { peer, reason } => {
                if reason != CloseReason::Requested {
                    tracing::info!(%peer, ?reason, "a peer was closed");
                }
                hall.peer_gone(peer);
            }
            MediaEvent::Levels { speakers, .. } => tell_levels(&hall, &speakers),
        }
    }
    Err(StageError::Closed)
}

fn tell_levels(hall: &Hall, speakers: &[(PeerId, u8)]) {
    let mut room = None;
    let mut active = Vec::new();
    for (peer, level_dbov) in speakers {
        let Some((of, identity)) = hall.whose(*peer) else {
            continue;
        };
        room = Some(of);
        active.push(ActiveSpeaker {
            identity,
            level_dbov: *level_dbov,
        });
    }
    if let Some(room) = room {
        room.bus.emit(EventBody::Speakers(Speakers { active }));
    }
}
