//! The voices of a room's interpreter: all of them on one thread, which sleeps while none has anything
//! to say.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Instant;

use hive_media::TrackId;
use hive_media::audio::opus::{CreateCodecError, Encoder};

use super::Room;
use crate::channel::Channel;
use crate::pipeline::stage::{self, Listening, StageError};
use crate::supervision::{ChildContext, ChildSpec, Placement};

/// Its id among the room's channels, which are named after languages.
pub(super) const ID: &str = "voices";

/// The actor that makes the voices' frames, on a thread of its own, as nothing may hold it up.
pub(super) fn spec(room: Arc<Room>) -> ChildSpec {
    stage::spec(ID.into(), move |child| run(room.clone(), child)).arbiter(Placement::Own)
}

async fn run(room: Arc<Room>, child: ChildContext) -> Result<(), StageError> {
    let mut listening = Listening::new(Some(room.voices_ears.clone()), &child)?;
    let mut encoders: HashMap<TrackId, Encoder> = HashMap::new();
    loop {
        let voices: Vec<Arc<Channel>> = room.state.lock().voices.values().cloned().collect();
        encoders.retain(|track, _| voices.iter().any(|voice| voice.track() == *track));
        loop {
            let mut next: Option<Instant> = None;
            for voice in &voices {
                let due = tick(voice, &mut encoders)
                    .map_err(|error| StageError::Failed(error.to_string()))?;
                next = next.into_iter().chain(due).min();
            }
            let Some(next) = next else {
                listening.ring().await?;
                break;
            };
            tokio::select! {
                ring = listening.ring() => {
                    ring?;
                    break;
                }
                () = tokio::time::sleep_until(next.into()) => {}
            }
        }
    }
}

/// Makes the frames of a voice that are due, if it has something to say; an encoder is kept only as
/// long.
fn tick(
    voice: &Channel,
    encoders: &mut HashMap<TrackId, Encoder>,
) -> Result<Option<Instant>, CreateCodecError> {
    let track = voice.track();
    if voice.rests() {
        encoders.remove(&track);
        return Ok(None);
    }
    let encoder = match encoders.entry(track) {
        Entry::Occupied(there) => there.into_mut(),
        Entry::Vacant(free) => free.insert(voice.encoder()?),
    };
    Ok(voice.tick(encoder, Instant::now()))
}
