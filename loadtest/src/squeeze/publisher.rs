//! The publisher: a camera in three layers, and a microphone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use str0m::media::Mid;

use crate::livekit::publish::{AddTrack, Sending};
use crate::livekit::{Happening, LivekitError, Participant};
use crate::video::{Camera, LAYERS};

/// Longest wait for ICE and DTLS.
pub(crate) const CONNECT: Duration = Duration::from_secs(20);

/// Bytes of an Opus packet of 20 ms at 32 kbit/s.
const AUDIO_BYTES: usize = 80;

/// Time between audio packets.
const AUDIO_INTERVAL: Duration = Duration::from_millis(20);

/// RTP time between them.
const AUDIO_STEP: u32 = 960;

/// What the publisher and its caller share.
#[derive(Debug, Default)]
pub(crate) struct Publishing {
    /// The caller wants it to stop.
    pub(crate) stop: AtomicBool,
    /// Packets of video sent.
    pub(crate) video_packets: AtomicU64,
    /// Keyframes it was asked for.
    pub(crate) keyframes_wanted: AtomicU64,
}

/// Publish until told to stop. Stamps count µs from `origin`.
pub(crate) async fn publish(
    mut participant: Participant,
    origin: Instant,
    seed: u64,
    publishing: Arc<Publishing>,
) -> Result<(), LivekitError> {
    let tracks = [AddTrack::Microphone, AddTrack::Camera(LAYERS.to_vec())];
    let [microphone, camera_mid] = participant.publish(&tracks)?;
    participant.connected(CONNECT).await?;
    let start = Instant::now();
    let mut camera = Camera::new(start, origin, &LAYERS, seed);
    let mut audio = 0;
    while !publishing.stop.load(Ordering::Relaxed) {
        let next_audio = start + AUDIO_INTERVAL * audio;
        let until = camera.next_at().min(next_audio);
        if let Happening::KeyframeWanted { rid: Some(rid), .. } = participant.next(until).await?
            && let Some(layer) = LAYERS.iter().position(|layer| layer.rid == &*rid)
        {
            camera.want_keyframe(layer);
            publishing.keyframes_wanted.fetch_add(1, Ordering::Relaxed);
        }
        let now = Instant::now();
        if next_audio <= now {
            participant.send(audio_packet(microphone, audio, now - origin))?;
            audio += 1;
        }
        while let Some(packet) = camera.poll(now) {
            participant.send(Sending {
                mid: camera_mid,
                rid: Some(LAYERS[packet.layer].rid.into()),
                seq: packet.seq,
                timestamp: packet.timestamp,
                marker: packet.marker,
                nackable: true,
                payload: packet.payload,
            })?;
            publishing.video_packets.fetch_add(1, Ordering::Relaxed);
        }
    }
    Ok(())
}

fn audio_packet(mid: Mid, number: u32, made: Duration) -> Sending {
    let mut payload = (made.as_micros() as u64).to_be_bytes().to_vec();
    payload.resize(AUDIO_BYTES, 0x55);
    Sending {
        mid,
        rid: None,
        seq: u64::from(number),
        timestamp: number.wrapping_mul(AUDIO_STEP),
        marker: false,
        nackable: false,
        payload,
    }
}
