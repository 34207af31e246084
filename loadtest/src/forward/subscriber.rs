//! A subscriber of the video benchmark.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::client::ClientError;
use super::measure::Measure;
use crate::link::LinkSettings;
use crate::livekit::proto::VideoQuality;
use crate::livekit::{Happening, JoinOptions, Participant};
use crate::peer::{Role, Signalling};
use crate::video::vp8::Payload;
use crate::video::{Faults, Pictures};

/// Longest time between looks at whether the run is over.
const LOOK: Duration = Duration::from_millis(200);

/// A subscriber that sees nothing asks for a keyframe so often.
const KEYFRAME: Duration = Duration::from_millis(500);

/// What all subscribers together received.
#[derive(Debug, Default)]
pub(super) struct Received {
    /// Packets, from first to last.
    pub(super) packets: u64,
    /// Sequence numbers without a packet.
    pub(super) missing: u64,
    /// Pictures shown in the window.
    pub(super) pictures: u64,
    /// Of them those of the layer that was asked for.
    pub(super) as_asked: u64,
    /// Subscribers whose stream had a fault, and the first of these.
    pub(super) faulty: u64,
    /// What it was.
    pub(super) faults: Faults,
    /// Pictures a second that each subscriber was shown, at the least.
    pub(super) fewest: Option<u64>,
}

/// One subscriber, who wants a layer, from its request to the end of the run.
pub(super) async fn run(
    signalling: Signalling,
    room: String,
    identity: String,
    layer: u8,
    measure: Arc<Measure>,
    received: Arc<Mutex<Received>>,
) -> Result<(), ClientError> {
    let asked = Instant::now();
    let options = JoinOptions {
        room,
        identity,
        role: Role::Listener,
        subscribe: true,
        link: LinkSettings::ideal(),
    };
    let mut participant = Participant::join(&signalling, &options).await?;
    let mut pictures = Pictures::default();
    let (mut wanted, mut seen, mut in_window, mut as_asked) = (false, false, 0, 0);
    let mut keyframe_at = Instant::now() + KEYFRAME;
    while !measure.stopping.load(Ordering::Relaxed) {
        if !wanted {
            let camera = participant.tracks().iter().find(|it| it.name == "camera");
            if let Some(sid) = camera.map(|it| it.sid.clone()) {
                participant.want(&sid, quality(layer))?;
                wanted = true;
            }
        }
        let Happening::Packet { packet, .. } = participant.next(Instant::now() + LOOK).await?
        else {
            continue;
        };
        // The microphone's packets have a stamp alone.
        let Some(payload) = Payload::read(&packet.payload) else {
            continue;
        };
        measure.arrived(payload.stamp.made_us);
        let header = &packet.header;
        let shown = pictures.packet(
            packet.timestamp,
            *packet.seq_no,
            header.timestamp,
            header.marker,
            &packet.payload,
        );
        for picture in &shown {
            if !seen {
                seen = true;
                measure.joined(asked);
                measure.connected.fetch_add(1, Ordering::Relaxed);
            }
            if measure.counts(picture.made_us) {
                in_window += 1;
                as_asked += u64::from(picture.layer == layer);
            }
        }
        if !seen && Instant::now() >= keyframe_at {
            keyframe_at = Instant::now() + KEYFRAME;
            participant.request_keyframe(header.ssrc);
        }
    }
    let mut all = received.lock();
    all.packets += pictures.received();
    all.missing += pictures.missing();
    all.pictures += in_window;
    all.as_asked += as_asked;
    all.fewest = Some(all.fewest.map_or(in_window, |fewest| fewest.min(in_window)));
    if pictures.faults().any() {
        all.faulty += 1;
        all.faults = pictures.faults();
    }
    Ok(())
}

fn quality(layer: u8) -> VideoQuality {
    match layer {
        0 => VideoQuality::Low,
        1 => VideoQuality::Medium,
        _ => VideoQuality::High,
    }
}
