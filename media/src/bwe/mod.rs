//! How much a subscriber's link can take, estimated where packets are sent.
//!
//! The algorithm is Google Congestion Control (draft-ietf-rmcat-gcc-02) as libwebrtc has it today:
//! transport-wide feedback tells when packets arrived; a trend of growing delay is overuse, which
//! cuts the estimate to what arrives; much loss bounds it; probes raise it. It differs where this
//! server differs from a client:
//!
//! - **No pacer.** Packets leave when they come, a keyframe all at once. A group's delay is that of
//!   its luckiest packet ([`groups`]), so that frames are not taken for queues.
//! - **Application-limited most of the time**: layers come in steps. The estimate grows to 1.5 times
//!   what arrives by itself, and beyond by probes only; overuse while little is sent lowers it with
//!   care ([`rate_control`]).
//! - **Random loss** of a few percent is no congestion ([`loss`]).
//!
//! Nothing here trusts the peer. It can only misrepresent its own link, and memory and time are
//! bounded by what was sent to it and by the length of its feedback.

mod arrival_clock;
mod groups;
mod history;
mod link_capacity;
mod loss;
mod probe;
mod rate_control;
mod rate_window;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
mod trendline;

use std::time::{Duration, Instant};

use self::arrival_clock::ArrivalClock;
use self::groups::Groups;
use self::history::History;
use self::loss::LossBound;
use self::probe::{Measured, Probe, Prober, Prospect};
use self::rate_control::{Observation, RateControl};
use self::rate_window::RateWindow;
use self::trendline::{Trendline, Usage};
use crate::rtcp::transport_feedback::{TICK_US, TransportFeedback};

/// The estimate is never below this, in bit/s: an audio stream.
const MIN_BPS: u64 = 30_000;
/// Nor above this.
const MAX_BPS: u64 = 50_000_000;
/// The round trip before one is known.
const START_RTT: Duration = Duration::from_millis(200);
/// A packet is lost if it is missing when one sent this much later, in µs, has arrived.
const REORDER: i64 = 100_000;
/// Sending less than this share of the estimate says little about the rest of it.
const IDLE: f64 = 0.65;
/// Feedback that does not come for this long, in µs, though packets are sent …
const SILENCE: i64 = 2_000_000;
/// … lowers the estimate, and again after this.
const MORE_SILENCE: i64 = 1_000_000;
/// What delay said of the link holds for this long, in µs.
const STALE: i64 = 2_000_000;
/// This many packets without feedback are silence; a few may just be lost.
const SILENT_PACKETS: u32 = 10;
/// What silence leaves of the estimate.
const SILENCE_DECREASE: f64 = 0.5;

/// What a probe that filled the link leaves of the estimate at least.
const PROBE_DECREASE: f64 = 0.85;

/// The send-side bandwidth estimator of one subscriber.
#[derive(Debug)]
pub(crate) struct BandwidthEstimator {
    epoch: Instant,
    history: History,
    clock: ArrivalClock,
    groups: Groups,
    trendline: Trendline,
    rate: RateControl,
    loss: LossBound,
    prober: Prober,
    /// What is sent, by our clock.
    sent: RateWindow,
    /// What arrives, by the receiver's clock and by when it was sent.
    arrived: RateWindow,
    arrived_sent: RateWindow,
    /// When the last packet that arrived was sent.
    newest_arrived: i64,
    /// When the last packet was whose delay counts.
    newest_delay: i64,
    /// When feedback came last.
    last_feedback: Option<i64>,
    silence: Silence,
    /// Whether anything told of congestion since that was asked last.
    congested: bool,
    wanted: u64,
    rtt: Duration,
}

/// Packets that no feedback came after.
#[derive(Clone, Copy, Debug, Default)]
struct Silence {
    packets: u32,
    /// When it is too long.
    until: Option<i64>,
    /// Whether it was before.
    again: bool,
}

impl BandwidthEstimator {
    /// An estimator for a link that is believed to take `start_bps` bit/s.
    pub(crate) fn new(now: Instant, start_bps: u64) -> BandwidthEstimator {
        BandwidthEstimator {
            epoch: now,
            history: History::default(),
            clock: ArrivalClock::default(),
            groups: Groups::default(),
            trendline: Trendline::new(),
            rate: RateControl::new(0, start_bps.clamp(MIN_BPS, MAX_BPS)),
            loss: LossBound::new(0),
            prober: Prober::new(0),
            sent: RateWindow::default(),
            arrived: RateWindow::default(),
            arrived_sent: RateWindow::default(),
            newest_arrived: i64::MIN,
            newest_delay: i64::MIN,
            last_feedback: None,
            silence: Silence::default(),
            congested: false,
            wanted: 0,
            rtt: START_RTT,
        }
    }

    /// Takes note of a packet of `bytes` that is sent now: media, retransmission or padding. Returns
    /// the transport-wide sequence number to send it with.
    ///
    /// Count everything with a number, and all alike; the estimate is of the same bytes.
    pub(crate) fn on_sent(&mut self, now: Instant, bytes: usize) -> u16 {
        let now = self.micros(now);
        self.sent.add(now, bytes);
        self.prober.sent(now, bytes);
        let silence = &mut self.silence;
        silence.packets = silence.packets.saturating_add(1);
        let patience = if silence.again { MORE_SILENCE } else { SILENCE };
        silence.until.get_or_insert(now + patience);
        self.history.sent(now, bytes) as u16
    }

    /// Takes note of a feedback packet.
    pub(crate) fn on_feedback(&mut self, now: Instant, feedback: &TransportFeedback<'_>) {
        let now = self.micros(now);
        if !self.take_arrivals(now, feedback) {
            return;
        }
        self.silence = Silence::default();
        if self.last_feedback.replace(now).is_none() {
            self.prober.measured(now);
        }
        let observation = Observation {
            usage: self.usage(now),
            acknowledged: self.arriving(),
            idle: self.is_idle(now),
            rtt: self.rtt,
        };
        if self.rate.update(now, observation) {
            self.congested = true;
            self.prober.postpone(now);
        }
        let (estimate, by_delay) = (self.estimate(), self.rate.rate());
        self.congested |= self
            .loss
            .update(now, estimate, by_delay, observation.acknowledged);
        self.take_probe(now);
        let rate = self.rate.rate();
        if rate != rate.clamp(MIN_BPS, MAX_BPS) {
            self.rate.set(now, rate.clamp(MIN_BPS, MAX_BPS) as f64);
        }
    }

    /// Takes note of the round trip to the peer.
    pub(crate) fn on_round_trip(&mut self, rtt: Duration) {
        self.rtt = rtt.min(Duration::from_secs(2));
    }

    /// What the peer would be sent if the link could take it, in bit/s. Probes go towards it, and
    /// there are none while the estimate is as high.
    pub(crate) fn wanted(&mut self, bps: u64) {
        self.wanted = bps.min(MAX_BPS);
    }

    /// What the link can take, in bit/s. It is a guess while [`BandwidthEstimator::is_measured`] is
    /// false.
    pub(crate) fn estimate(&self) -> u64 {
        let by_delay = self.rate.rate();
        let bound = self.loss.bound().unwrap_or(by_delay);
        by_delay.min(bound).clamp(MIN_BPS, MAX_BPS)
    }

    /// Whether feedback ever came. A peer that sends none, though it promised to, has to be served
    /// by other figures.
    pub(crate) fn is_measured(&self) -> bool {
        self.last_feedback.is_some()
    }

    /// Whether delay, loss, silence or a probe that filled the link lowered the estimate since this was
    /// asked last. An estimate that is low without that is one that nothing has raised yet.
    pub(crate) fn congested(&mut self) -> bool {
        std::mem::take(&mut self.congested)
    }

    /// What arrives, in bit/s over half a second. `None` if nothing did of late, or too little to
    /// tell.
    pub(crate) fn acknowledged(&self, now: Instant) -> Option<u64> {
        let fresh = self.micros(now) - self.last_feedback? < SILENCE;
        self.arriving().filter(|_| fresh)
    }

    /// The share of packets that were lost of late, 0 to 1.
    pub(crate) fn loss(&self) -> f32 {
        self.loss.fraction()
    }

    /// Lets time pass. Returns padding that should be sent now, if any.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<Probe> {
        let now = self.micros(now);
        if self.silence.until.is_some_and(|until| until <= now) {
            // Without feedback ever there is nothing to take back.
            if self.silence.packets >= SILENT_PACKETS && self.is_measured() {
                let rate = self.estimate() as f64 * SILENCE_DECREASE;
                self.rate.set(now, rate.max(MIN_BPS as f64));
                self.congested = true;
                self.silence.again = true;
                self.silence.packets = 0;
            }
            self.silence.until = None;
        }
        self.take_probe(now);
        let prospect = Prospect {
            estimate: self.estimate(),
            wanted: self.wanted,
            next_seq: self.history.next(),
            overused: self.usage(now) == Usage::Over,
            rtt: self.rtt,
            jitter: self.trendline.noise(),
        };
        self.prober.poll(now, prospect)
    }

    /// When [`BandwidthEstimator::poll`] has something to do. It changes with every call here.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        let probe = self.prober.next_at(self.wanted > self.estimate());
        let next = match (probe, self.silence.until) {
            (Some(a), Some(b)) => a.min(b),
            (a, b) => a.or(b)?,
        };
        Some(self.epoch + Duration::from_micros(next.max(0) as u64))
    }

    /// Reads a feedback. Returns whether it told of any packet's arrival that was not known.
    fn take_arrivals(&mut self, now: i64, feedback: &TransportFeedback<'_>) -> bool {
        let (reference, anew) = self.clock.unwrap(now, feedback.reference());
        if anew {
            self.groups = Groups::default();
            self.trendline = Trendline::new();
            self.arrived = RateWindow::default();
            self.arrived_sent = RateWindow::default();
        }
        let mut news = false;
        for (above_base, ticks) in feedback.arrivals() {
            let seq = feedback.base().wrapping_add(above_base);
            let Some((seq, packet)) = self.history.arrived(seq) else {
                continue;
            };
            news = true;
            let arrival = reference + ticks * TICK_US;
            self.newest_arrived = self.newest_arrived.max(packet.at);
            self.arrived.add(arrival, packet.bytes as usize);
            self.arrived_sent.add(packet.at, packet.bytes as usize);
            self.prober.arrived(seq, packet, arrival);
            if self.prober.covers(seq) {
                continue;
            }
            if packet.at.saturating_sub(self.newest_delay) > STALE {
                self.groups = Groups::default();
                self.trendline = Trendline::new();
            }
            self.newest_delay = self.newest_delay.max(packet.at);
            if let Some(sample) = self.groups.packet(packet.at, arrival) {
                self.trendline.update(sample);
            }
        }
        self.history.covered(feedback.base(), feedback.count());
        let loss = &mut self.loss;
        let until = self.newest_arrived.saturating_sub(REORDER);
        self.history
            .judge(until, |sent, lost| loss.judged(sent, lost));
        news
    }

    /// Goes by what a probe measured. It raises the estimate at once, unless delay contradicts, and
    /// lowers it with care: a probe is short, and its figure rough.
    fn take_probe(&mut self, now: i64) {
        let estimate = self.estimate();
        let Some(Measured { bps, full }) = self.prober.result(now, estimate) else {
            return;
        };
        if bps > estimate && self.usage(now) != Usage::Over {
            self.loss.probed(bps);
            self.rate.probed(now, bps.max(self.rate.rate()));
        } else if bps < estimate && full {
            let least = estimate as f64 * PROBE_DECREASE;
            self.rate.set(now, least.max(bps as f64));
            self.congested = true;
        }
    }

    /// What arrives, by the clock on which it came slower: a peer that claims arrivals in no time
    /// gains nothing, and a queue that drains is not a faster link.
    fn arriving(&self) -> Option<u64> {
        let by_arrival = self.arrived.rate(i64::MIN)?;
        Some(by_arrival.min(self.arrived_sent.rate(i64::MIN)?))
    }

    /// What the delay says of the link. While nothing but probes is sent, it says nothing.
    fn usage(&self, now: i64) -> Usage {
        match now.saturating_sub(self.newest_delay) <= STALE {
            true => self.trendline.usage(),
            false => Usage::Normal,
        }
    }

    fn is_idle(&self, now: i64) -> bool {
        let sent = self.sent.rate(now).unwrap_or(0) as f64;
        sent < self.rate.rate() as f64 * IDLE
    }

    fn micros(&self, now: Instant) -> i64 {
        now.saturating_duration_since(self.epoch).as_micros() as i64
    }
}
