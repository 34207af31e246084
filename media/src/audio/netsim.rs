//! A seeded network and a seeded voice for the tests of this module, in virtual time.

use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::EncodedFrame;

/// What happens to packets between the sender and us.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Link {
    pub(crate) seed: u64,
    /// Fixed one-way delay, ms.
    pub(crate) delay: f64,
    /// Each packet is late by a uniform share of twice this, ms (±jitter around the delay).
    pub(crate) jitter: f64,
    /// Probability of losing a packet.
    pub(crate) loss: f64,
    /// Probability that a loss is followed by another (bursts).
    pub(crate) burst: f64,
    /// Probability of a packet coming twice.
    pub(crate) duplicate: f64,
    /// Sender's clock against ours, parts per million.
    pub(crate) skew_ppm: f64,
}

impl Default for Link {
    fn default() -> Self {
        Link {
            seed: 1,
            delay: 60.0,
            jitter: 0.0,
            loss: 0.0,
            burst: 0.0,
            duplicate: 0.0,
            skew_ppm: 0.0,
        }
    }
}

/// One packet at the sender: when it leaves (ms of the sender's clock), and what it is.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) at: f64,
    pub(crate) seq: u16,
    pub(crate) timestamp: u32,
    pub(crate) payload: Bytes,
}

/// A stream of `count` packets of 20 ms from sequence number `seq` and timestamp `ts` on.
pub(crate) fn stream(count: usize, seq: u16, ts: u32, payload: &Bytes) -> Vec<Sent> {
    (0..count)
        .map(|n| Sent {
            at: n as f64 * 20.0,
            seq: seq.wrapping_add(n as u16),
            timestamp: ts.wrapping_add(n as u32 * 960),
            payload: payload.clone(),
        })
        .collect()
}

/// Sends packets over the link; returns what arrives, in order of arrival.
pub(crate) fn send(link: Link, start: Instant, packets: &[Sent]) -> Vec<EncodedFrame> {
    let mut rng = StdRng::seed_from_u64(link.seed);
    let mut lost_last = false;
    let mut arrived = Vec::new();
    for packet in packets {
        let threshold = if lost_last && link.burst > 0.0 {
            link.burst
        } else {
            link.loss
        };
        lost_last = rng.random_bool(threshold);
        let mut copies = usize::from(!lost_last);
        if rng.random_bool(link.duplicate) {
            copies *= 2;
        }
        for _ in 0..copies {
            let ms = packet.at * (1.0 + link.skew_ppm * 1e-6)
                + link.delay
                + rng.random_range(-1.0..=1.0) * link.jitter;
            arrived.push(EncodedFrame {
                seq: packet.seq,
                timestamp: packet.timestamp,
                payload: packet.payload.clone(),
                arrival: start + Duration::from_secs_f64(ms.max(0.0) / 1_000.0),
            });
        }
    }
    arrived.sort_by_key(|frame| frame.arrival);
    arrived
}

/// Something like speech: a harmonic voice with moving pitch and formant-like tilt, in syllables
/// with pauses, plus a little breath. Full scale ±1.
pub(crate) fn voice(samples: usize, seed: u64) -> Vec<f32> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut phase = 0.0f64;
    (0..samples)
        .map(|n| {
            let t = n as f64 / 48_000.0;
            let pitch = 140.0 + 30.0 * (t * 2.1).sin() + 12.0 * (t * 7.3).sin();
            phase += pitch / 48_000.0;
            let syllable = (std::f64::consts::PI * t * 3.7).sin().abs();
            let pause = if (t * 0.6).fract() < 0.8 { 1.0 } else { 0.0 };
            let mut value = 0.0;
            for harmonic in 1..=18 {
                let frequency = pitch * f64::from(harmonic);
                let formant = 1.0 / (1.0 + ((frequency - 600.0) / 400.0).powi(2))
                    + 0.5 / (1.0 + ((frequency - 1_700.0) / 500.0).powi(2));
                value += formant * (std::f64::consts::TAU * phase * f64::from(harmonic)).sin();
            }
            let breath: f64 = rng.random_range(-1.0..1.0) * 0.003;
            ((0.15 * value * syllable * pause) + breath).clamp(-1.0, 1.0) as f32
        })
        .collect()
}

/// Normalised correlation of two equally long blocks: 1 is equal up to scale, 0 unrelated.
pub(crate) fn correlation(a: &[f32], b: &[f32]) -> f64 {
    let dot = |x: &[f32], y: &[f32]| -> f64 {
        x.iter()
            .zip(y)
            .map(|(&p, &q)| f64::from(p) * f64::from(q))
            .sum()
    };
    let norm = (dot(a, a) * dot(b, b)).sqrt();
    if norm == 0.0 { 0.0 } else { dot(a, b) / norm }
}
