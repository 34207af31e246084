//! Captions for LiveKit's clients: `lk.transcription` text streams, and the older `Transcription`
//! packet.
//!
//! As LiveKit's own agents do, every change of a segment is a stream of its own with the whole text, and
//! the segment's id tells which text it replaces.

mod audience;
mod packets;
mod segments;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use tokio::time::Instant;

use super::data::{RELIABLE, packet};
use super::sid;
use crate::events::schema::{Caption, EventBody};
use crate::events::{Received, receive};
use crate::hall::Hall;
use crate::pipeline::stage::{self, StageError};
use crate::room::Room;
use crate::supervision::ChildSpec;
use audience::Source;
use packets::{text_stream, transcription};
use segments::{Segments, Telling};

/// How often it is looked who is gone.
const LOOK: Duration = Duration::from_secs(1);

/// The actor that writes down for a room's clients what is said and translated. Of its state nothing
/// has to survive: a segment whose beginning it missed is told once it is final.
pub(crate) fn spec(hall: Arc<Hall>, room: Arc<Room>) -> ChildSpec {
    stage::spec("transcriber".into(), move |_| {
        run(hall.clone(), room.clone())
    })
}

async fn run(hall: Arc<Hall>, room: Arc<Room>) -> Result<(), StageError> {
    let mut receiver = room.bus.receiver();
    let mut segments = Segments::default();
    let mut look = tokio::time::interval(LOOK);
    loop {
        let due = segments.next_due().map(Instant::from_std);
        let due = async {
            match due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        let tellings = tokio::select! {
            received = receive(&mut receiver) => match received {
                Received::Event(event) => match &event.body {
                    EventBody::Caption(caption) => take(&room, &mut segments, caption),
                    _ => Vec::new(),
                },
                // What else became of them was missed.
                Received::Lagged(_) => segments.end_all(),
                Received::Closed => return Err(StageError::Closed),
            },
            () = due => segments.due(Instant::now().into_std()),
            _ = look.tick() => {
                let state = room.state.lock();
                let speaks = |who: &crate::room::Participant| who.microphones().next().is_some();
                segments.end_of_absent(|who| state.participants.get(who).is_some_and(speaks))
            }
        };
        for telling in tellings {
            tell(&hall, &room, &telling);
        }
    }
}

fn take(room: &Room, segments: &mut Segments, caption: &Caption) -> Vec<Telling> {
    let source = Source::of(&room.state.lock(), caption);
    segments.take(caption, source, Instant::now().into_std())
}

/// Sends a segment's text to those who may read it.
fn tell(hall: &Hall, room: &Room, telling: &Telling) {
    let Some(source) = &telling.source else {
        return;
    };
    let audience = source.audience(&room.state.lock(), &telling.caption);
    if audience.peers.is_empty() {
        return;
    }
    let packets = text_stream(&sid::stream(), telling, &audience)
        .into_iter()
        .chain([transcription(telling, &audience)]);
    for value in packets {
        let packet = packet(&audience.identity, &audience.sid, value);
        let payload = Bytes::from(packet.encode_to_vec());
        hall.worker(room)
            .send_data(None, audience.peers.clone(), RELIABLE, payload);
    }
}
