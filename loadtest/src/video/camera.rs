//! A camera in simulcast: when to make pictures of which layers, and when to send their packets.

use std::time::{Duration, Instant};

use super::pacer::Pacer;
use super::source::{FRAMES_PER_SECOND, Layer, Source};

/// RTP clock of video, Hz.
pub const CLOCK: u32 = 90_000;

/// A layer makes no more keyframes than one in this time, as in libwebrtc.
const KEYFRAME_REST: Duration = Duration::from_millis(300);

/// A packet to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// Index of the layer.
    pub layer: usize,
    /// Sequence number within the layer.
    pub seq: u64,
    /// RTP time.
    pub timestamp: u32,
    /// Whether it is the last of its picture.
    pub marker: bool,
    /// The payload.
    pub payload: Vec<u8>,
}

/// One layer's state.
#[derive(Debug)]
struct Stream {
    source: Source,
    seq: u64,
    keyframe: Option<Instant>,
    wanted: bool,
}

/// The camera.
#[derive(Debug)]
pub struct Camera {
    origin: Instant,
    streams: Vec<Stream>,
    pacer: Pacer<Packet>,
    pictures: u32,
    started: Instant,
}

impl Camera {
    /// A camera that starts now. Stamps count from `origin`.
    pub fn new(now: Instant, origin: Instant, layers: &[Layer], seed: u64) -> Self {
        let rate = layers.iter().map(|layer| layer.bits_per_second).sum();
        let stream = |(index, layer): (usize, &Layer)| Stream {
            source: Source::new(*layer, index as u8, seed),
            seq: seed.wrapping_mul(7919) & 0x3fff,
            keyframe: None,
            wanted: true,
        };
        Self {
            origin,
            streams: layers.iter().enumerate().map(stream).collect(),
            pacer: Pacer::new(now, rate),
            pictures: 0,
            started: now,
        }
    }

    /// Somebody wants a keyframe of a layer.
    pub fn want_keyframe(&mut self, layer: usize) {
        if let Some(stream) = self.streams.get_mut(layer) {
            stream.wanted = true;
        }
    }

    /// When there will be something to do.
    pub fn next_at(&self) -> Instant {
        let picture = self.next_picture();
        self.pacer.next_at().map_or(picture, |at| at.min(picture))
    }

    /// The next packet to be sent by now.
    pub fn poll(&mut self, now: Instant) -> Option<Packet> {
        while self.next_picture() <= now {
            self.expose(now);
        }
        self.pacer.poll(now)
    }

    fn next_picture(&self) -> Instant {
        self.started + Duration::from_secs(1) * self.pictures / FRAMES_PER_SECOND
    }

    fn expose(&mut self, now: Instant) {
        let made_us = now.saturating_duration_since(self.origin).as_micros() as u64;
        let timestamp = self.pictures.wrapping_mul(CLOCK / FRAMES_PER_SECOND);
        self.pictures += 1;
        for (layer, stream) in self.streams.iter_mut().enumerate() {
            let rested = stream
                .keyframe
                .is_none_or(|at| now.saturating_duration_since(at) >= KEYFRAME_REST);
            let keyframe = stream.wanted && rested;
            if keyframe {
                stream.wanted = false;
                stream.keyframe = Some(now);
            }
            let payloads = stream.source.picture(keyframe, made_us);
            let last = payloads.len() - 1;
            for (at, payload) in payloads.into_iter().enumerate() {
                let packet = Packet {
                    layer,
                    seq: stream.seq,
                    timestamp: timestamp.wrapping_add(layer as u32 * 1_000_003),
                    marker: at == last,
                    payload,
                };
                stream.seq += 1;
                self.pacer.push(packet.payload.len(), packet);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::LAYERS;
    use super::super::vp8::Payload;
    use super::*;

    /// What a camera sends in a time, and when.
    fn film(camera: &mut Camera, from: Instant, length: Duration) -> Vec<(Duration, Packet)> {
        let mut sent = Vec::new();
        let mut now = camera.next_at();
        while now < from + length {
            while let Some(packet) = camera.poll(now) {
                sent.push((now - from, packet));
            }
            now = camera.next_at();
        }
        sent
    }

    fn keyframes(sent: &[(Duration, Packet)], layer: usize) -> usize {
        sent.iter()
            .filter(|(_, packet)| packet.layer == layer)
            .filter(|(_, packet)| Payload::read(&packet.payload).unwrap().keyframe.is_some())
            .count()
    }

    #[test]
    fn every_layer_starts_with_a_keyframe_and_makes_more_only_when_asked() {
        let start = Instant::now();
        let mut camera = Camera::new(start, start, &LAYERS, 1);
        let second = Duration::from_secs(1);
        let sent = film(&mut camera, start, second);
        for layer in 0..3 {
            assert_eq!(keyframes(&sent, layer), 1);
            let ends = sent.iter().filter(|(_, p)| p.layer == layer && p.marker);
            assert!((29..=30).contains(&ends.count()));
        }
        camera.want_keyframe(1);
        camera.want_keyframe(1);
        let sent = film(&mut camera, start + second, second);
        assert_eq!([0, 1, 2].map(|layer| keyframes(&sent, layer)), [0, 1, 0]);
    }

    #[test]
    fn keyframes_are_rationed() {
        let start = Instant::now();
        let mut camera = Camera::new(start, start, &LAYERS, 1);
        let mut count = 0;
        for n in 0..20 {
            camera.want_keyframe(0);
            let from = start + Duration::from_millis(50) * n;
            count += keyframes(&film(&mut camera, from, Duration::from_millis(50)), 0);
        }
        assert!((3..=4).contains(&count), "{count} in a second");
    }
}
