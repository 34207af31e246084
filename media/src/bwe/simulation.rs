//! A seeded bottleneck with a sender of layered video before it and a receiver behind it, in virtual
//! time.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::BandwidthEstimator;
use crate::rtcp::read::{RtcpItem, read_compound};
use crate::rtcp::transport_arrivals::TransportArrivals;
use crate::rtcp::write::Compound;

/// The layers that a sender chooses from, in bit/s.
pub(super) const LAYERS: [u64; 3] = [150_000, 500_000, 1_700_000];
/// A higher layer has to fit this many times.
const HYSTERESIS: f64 = 1.15;
/// A keyframe is as long as this many frames.
const KEYFRAME: usize = 6;
const FRAMES_PER_SECOND: i64 = 30;
const MTU: usize = 1200;

/// A rate-limited queue with tail drop.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) bps: u64,
    /// The most that waits, in ms at the rate.
    pub(super) queue: i64,
    /// One way, in ms.
    pub(super) delay: i64,
    /// Each packet is later by up to twice this, in ms, and may overtake others.
    pub(super) jitter: i64,
    /// Probability that a packet is lost, queue or not.
    pub(super) loss: f64,
    /// Probability that a feedback packet is lost.
    pub(super) feedback_loss: f64,
    random: StdRng,
    /// When the queue is empty, in µs.
    free: i64,
}

impl Link {
    pub(super) fn new(bps: u64, seed: u64) -> Link {
        Link {
            bps,
            queue: 300,
            delay: 25,
            jitter: 0,
            loss: 0.0,
            feedback_loss: 0.0,
            random: StdRng::seed_from_u64(seed),
            free: 0,
        }
    }

    /// Nothing passes for `ms` after `now`, in ms; it waits.
    pub(super) fn stall(&mut self, now: i64, ms: i64) {
        self.free = self.free.max(now * 1000) + ms * 1000;
    }

    /// When a packet arrives, in µs, if it does.
    fn transmit(&mut self, now: i64, bytes: usize) -> Option<i64> {
        let begin = self.free.max(now);
        if self.bps == 0 || begin - now > self.queue * 1000 {
            return None;
        }
        self.free = begin + (bytes as i64 * 8_000_000) / self.bps as i64;
        if self.random.random_bool(self.loss) {
            return None;
        }
        let jitter = self.random.random_range(0..=self.jitter * 2_000);
        Some(self.free + self.delay * 1000 + jitter)
    }
}

/// What was the case at a time, in ms.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    at: i64,
    pub(super) estimate: u64,
    /// The rate of the layer that is sent; 0 if none is.
    pub(super) layer: u64,
    acknowledged: Option<u64>,
    loss: f32,
}

/// One subscriber.
pub(super) struct Simulation {
    pub(super) link: Link,
    pub(super) estimator: BandwidthEstimator,
    /// Layers it may choose, from the lowest on.
    pub(super) layers: usize,
    /// Keyframes of so many bytes, every so many ms.
    pub(super) keyframes: Option<(i64, usize)>,
    /// Whether a stream of audio is sent besides, 50 packets a second.
    pub(super) audio: bool,
    /// Whether the receiver answers.
    pub(super) feedback: bool,
    /// Bytes of padding sent so far.
    pub(super) padding: usize,
    story: Vec<Moment>,
    start: Instant,
    /// In µs.
    now: i64,
    layer: Option<usize>,
    next_frame: i64,
    arrivals: TransportArrivals,
    in_flight: BTreeMap<(i64, u64), u16>,
    packets: u64,
    answers: VecDeque<(i64, Vec<u8>)>,
}

impl Simulation {
    pub(super) fn new(link: Link, start_bps: u64) -> Simulation {
        let start = Instant::now();
        Simulation {
            link,
            estimator: BandwidthEstimator::new(start, start_bps),
            layers: LAYERS.len(),
            keyframes: None,
            audio: false,
            feedback: true,
            padding: 0,
            story: Vec::new(),
            start,
            now: 0,
            layer: None,
            next_frame: 0,
            arrivals: TransportArrivals::new(start),
            in_flight: BTreeMap::new(),
            packets: 0,
            answers: VecDeque::new(),
        }
    }

    /// The time so far, in ms.
    pub(super) fn now(&self) -> i64 {
        self.now / 1000
    }

    /// Goes on for `ms`. Returns what was the case in that time, each 10 ms.
    pub(super) fn run(&mut self, ms: i64) -> &[Moment] {
        let before = self.story.len();
        for _ in 0..ms {
            self.receive();
            self.take_feedback();
            self.choose_layer();
            self.send();
            if self.now % 10_000 == 0 {
                self.story.push(Moment {
                    at: self.now(),
                    estimate: self.estimator.estimate(),
                    layer: self.layer.map_or(0, |layer| LAYERS[layer]),
                    acknowledged: self.estimator.acknowledged(self.instant(self.now)),
                    loss: self.estimator.loss(),
                });
            }
            self.now += 1000;
        }
        &self.story[before..]
    }

    /// What happened, a line each 100 ms, to be read when a test fails.
    pub(super) fn story(&self) -> String {
        let mut text = String::from("\n     ms  estimate  arrives  layer   loss (kbit/s)\n");
        for moment in self.story.iter().step_by(10) {
            let _ = writeln!(
                text,
                "{:7} {:9} {:8} {:6} {:6.3}",
                moment.at,
                moment.estimate / 1000,
                moment.acknowledged.unwrap_or(0) / 1000,
                moment.layer / 1000,
                moment.loss,
            );
        }
        text
    }

    fn instant(&self, at: i64) -> Instant {
        self.start + Duration::from_micros(at as u64)
    }

    fn receive(&mut self) {
        while let Some(entry) = self.in_flight.first_entry()
            && entry.key().0 <= self.now
        {
            let ((at, _), seq) = entry.remove_entry();
            self.arrivals.received(self.instant(at), seq);
        }
        let now = self.instant(self.now);
        if !self.feedback || self.arrivals.next_at().is_none_or(|at| at > now) {
            return;
        }
        let mut more = true;
        while more {
            let mut buffer = vec![0; MTU];
            let mut compound = Compound::new(&mut buffer);
            more = self.arrivals.write(&mut compound, 1, 2);
            let len = compound.len();
            buffer.truncate(len);
            if !self.link.random.random_bool(self.link.feedback_loss) {
                let at = self.now + self.link.delay * 1000;
                self.answers.push_back((at, buffer));
            }
        }
    }

    fn take_feedback(&mut self) {
        let now = self.instant(self.now);
        while let Some((_, answer)) = self.answers.pop_front_if(|(at, _)| *at <= self.now) {
            read_compound(&answer, |item| {
                if let RtcpItem::TransportFeedback(span) = item {
                    self.estimator.on_feedback(now, &span.of(&answer).unwrap());
                }
            })
            .unwrap();
        }
        if self.now % 1_000_000 == 0 {
            let rtt = Duration::from_millis(2 * self.link.delay as u64);
            self.estimator.on_round_trip(rtt);
        }
    }

    fn choose_layer(&mut self) {
        let estimate = self.estimator.estimate() as f64;
        let fits = |layer: &usize| {
            let stays = self.layer.is_some_and(|current| *layer <= current);
            let margin = if stays { 1.0 } else { HYSTERESIS };
            LAYERS[*layer] as f64 * margin <= estimate
        };
        let chosen = (0..self.layers).rev().find(fits);
        if chosen != self.layer {
            self.layer = chosen;
            self.next_frame = self.now;
            if let Some(layer) = chosen {
                self.send_frame(frame_bytes(layer) * (KEYFRAME - 1));
            }
        }
        let most = self.layers.checked_sub(1).map_or(0, |layer| LAYERS[layer]);
        self.estimator.wanted((most as f64 * HYSTERESIS) as u64);
    }

    fn send(&mut self) {
        if self.audio && self.now % 20_000 == 0 {
            self.send_packet(120);
        }
        if let Some((every, bytes)) = self.keyframes
            && self.now % (every * 1000) == 0
        {
            self.send_frame(bytes);
        }
        if let Some(layer) = self.layer
            && self.now >= self.next_frame
        {
            self.next_frame += 1_000_000 / FRAMES_PER_SECOND;
            self.send_frame(frame_bytes(layer));
        }
        let now = self.instant(self.now);
        // Just what an engine does: nothing before its timer.
        while self.estimator.next_at().is_some_and(|at| at <= now) {
            let probe = self.estimator.poll(now);
            let again = self.estimator.next_at();
            assert!(again.is_none_or(|at| at > now), "a timer that spins");
            if let Some(probe) = probe {
                self.padding += probe.bytes;
                self.send_frame(probe.bytes);
            }
        }
    }

    fn send_frame(&mut self, bytes: usize) {
        let mut left = bytes;
        while left > 0 {
            let packet = left.min(MTU);
            self.send_packet(packet);
            left -= packet;
        }
    }

    fn send_packet(&mut self, bytes: usize) {
        let seq = self.estimator.on_sent(self.instant(self.now), bytes);
        self.packets += 1;
        if let Some(at) = self.link.transmit(self.now, bytes) {
            self.in_flight.insert((at, self.packets), seq);
        }
    }
}

fn frame_bytes(layer: usize) -> usize {
    (LAYERS[layer] as i64 / 8 / FRAMES_PER_SECOND) as usize
}
