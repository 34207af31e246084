//! The subscriber: what a browser's receiver does, without the decoder.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use str0m::media::Mid;
use str0m::rtp::{RtpPacket, Ssrc};

use crate::livekit::{Happening, LivekitError, Participant};
use crate::video::{Faults, Pictures, Shown};

/// A receiver that could show nothing for so long asks for a keyframe. Longer than the freeze that is
/// allowed, so that asking does not make the server's figure better than it is.
const PATIENCE: Duration = Duration::from_millis(1200);

/// Time between two requests while it has not shown anything yet, as in libwebrtc.
const FIRST_KEYFRAME: Duration = Duration::from_millis(200);

/// How long what is missing may be asked for at a time: once, as the stack asks every 33 ms.
const NACK_WINDOW: Duration = Duration::from_millis(34);

/// The shortest time between two requests of what is missing: the stack asks five times at most.
const NACK_REST: Duration = Duration::from_millis(100);

/// A packet of audio.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Heard {
    /// Sequence number, rollovers counted.
    pub(super) seq: u64,
    /// When it was sent, from the origin of the run.
    pub(super) sent: Duration,
    /// When it came.
    pub(super) at: Instant,
}

/// Everything that reached the subscriber.
#[derive(Debug, Default)]
pub(super) struct Recording {
    pub(super) shown: Vec<Shown>,
    pub(super) heard: Vec<Heard>,
    /// When packets of video came, and their bytes on the wire without IP.
    pub(super) video: Vec<(Instant, usize)>,
    pub(super) faults: Faults,
    /// Packets of video that never came.
    pub(super) missing: u64,
    /// Keyframes asked for.
    pub(super) keyframes_requested: u64,
}

/// A subscriber to one publisher of one camera and one microphone.
pub(super) struct Subscriber {
    participant: Participant,
    pictures: Pictures,
    camera: Option<Ssrc>,
    kinds: HashMap<Mid, bool>,
    asked: Option<Instant>,
    /// One-way delay without queues.
    delay: Duration,
    origin: Instant,
    nacks_since: Instant,
    highest: u64,
    /// Something is missing that was not asked for yet.
    gap: bool,
    pub(super) recording: Recording,
}

impl Subscriber {
    /// A subscriber whose link takes `delay` when it is idle; stamps count from `origin`.
    pub(super) fn new(participant: Participant, delay: Duration, origin: Instant) -> Self {
        Self {
            participant,
            pictures: Pictures::default(),
            camera: None,
            kinds: HashMap::new(),
            asked: None,
            delay,
            origin,
            nacks_since: origin,
            highest: u64::MAX,
            gap: false,
            recording: Recording::default(),
        }
    }

    /// The schedule of the link begins.
    pub(super) fn start_schedule(&self, origin: Instant) {
        self.participant.start_schedule(origin);
    }

    /// Receive until a moment, or until a picture of `layer` is shown.
    pub(super) async fn receive(
        &mut self,
        until: Instant,
        layer: Option<u8>,
    ) -> Result<(), LivekitError> {
        loop {
            let wake = until.min(Instant::now() + Duration::from_millis(20));
            let happening = self.participant.next(wake).await?;
            let now = Instant::now();
            if let Happening::Packet { mid, packet } = happening {
                self.take(mid, &packet);
            }
            self.ask_for_keyframe(now);
            self.pace_nacks(now);
            let seen = layer.is_some() && self.recording.shown.last().map(|it| it.layer) == layer;
            if now >= until || seen {
                return Ok(());
            }
        }
    }

    /// Stop, and hand over what came.
    pub(super) fn leave(mut self) -> Recording {
        self.recording.faults = self.pictures.faults();
        self.recording.missing = self.pictures.missing();
        self.recording
    }

    fn take(&mut self, mid: Mid, packet: &RtpPacket) {
        let participant = &self.participant;
        let video = *self.kinds.entry(mid).or_insert_with(|| {
            let track = participant.played(mid);
            let mut tracks = participant.tracks().iter();
            let track = tracks.find(|known| Some(known.sid.as_str()) == track);
            track.is_some_and(|track| track.name == "camera")
        });
        if video {
            self.camera = Some(packet.header.ssrc);
            let bytes = packet.header.header_len + packet.payload.len();
            self.recording.video.push((packet.timestamp, bytes));
            self.gap |= *packet.seq_no > self.highest.saturating_add(1);
            self.highest = match self.highest {
                u64::MAX => *packet.seq_no,
                highest => highest.max(*packet.seq_no),
            };
            let shown = self.pictures.packet(
                packet.timestamp,
                *packet.seq_no,
                packet.header.timestamp,
                packet.header.marker,
                &packet.payload,
            );
            self.recording.shown.extend(shown);
        } else if let Some(stamp) = packet.payload.first_chunk() {
            self.recording.heard.push(Heard {
                seq: *packet.seq_no,
                sent: Duration::from_micros(u64::from_be_bytes(*stamp)),
                at: packet.timestamp,
            });
        }
    }

    /// Lets the stack ask for what is missing at once, and again every round trip, as a browser does.
    fn pace_nacks(&mut self, now: Instant) {
        let Some(camera) = self.camera else {
            return;
        };
        let way = self.recording.heard.last().map_or(self.delay, |heard| {
            heard.at.saturating_duration_since(self.origin + heard.sent)
        });
        let open = now.saturating_duration_since(self.nacks_since);
        let rest = match self.gap {
            true => NACK_REST,
            false => (way + self.delay).max(NACK_REST),
        };
        if open >= rest {
            self.nacks_since = now;
            self.gap = false;
        }
        let open = now.saturating_duration_since(self.nacks_since) < NACK_WINDOW;
        self.participant.allow_nacks(camera, open);
    }

    fn ask_for_keyframe(&mut self, now: Instant) {
        let Some(camera) = self.camera else {
            return;
        };
        let shown = self.recording.shown.last().map(|shown| shown.at);
        let patience = if shown.is_some() {
            PATIENCE
        } else {
            FIRST_KEYFRAME
        };
        let since = shown.max(self.asked).unwrap_or(now);
        self.asked.get_or_insert(now);
        if now.saturating_duration_since(since) >= patience {
            self.asked = Some(now);
            self.recording.keyframes_requested += 1;
            self.participant.request_keyframe(camera);
        }
    }
}
