//! Finding out whether the link has more to give than is sent
//! (libwebrtc, `probe_controller.cc` and `probe_bitrate_estimator.cc`).

use std::time::Duration;

use super::history::Sent;

/// Time from a probe that found nothing to the next, in µs.
const INTERVAL: i64 = 5_000_000;
/// The same after a probe of which too little is known, for it or its feedback was lost …
const RETRY: i64 = 1_000_000;
/// … this many times in a row.
const RETRIES: u32 = 2;
/// The same before any feedback came: the peer may never send any.
const UNMEASURED_INTERVAL: i64 = 30_000_000;
/// How long a probe lasts: this many times the jitter, to outweigh it, …
const JITTERS: i64 = 6;
/// … at least this, in µs, …
const LENGTH: i64 = 50_000;
/// … and at most this.
const JITTER_LENGTH: i64 = 150_000;
/// What it consists of at least.
const MIN_BYTES: f64 = 2_000.0;
const MIN_PACKETS: u32 = 5;
/// A probe that is not complete by then will not be, in µs.
const MAX_LENGTH: i64 = 500_000;
/// Time between two instalments, in µs.
const STEP: i64 = 5_000;
/// A smaller instalment waits for the next, in bytes.
const MIN_STEP_BYTES: f64 = 200.0;
/// How long after its end feedback may take besides the round trip, in µs.
const PATIENCE: i64 = 300_000;
/// A probe has this many times the rate of the estimate …
const AHEAD: f64 = 2.0;
/// … and this many times what is wanted at most.
const BEYOND_WANTED: f64 = 1.2;
/// No probe is slower, in bit/s.
const MIN_RATE: f64 = 150_000.0;
/// The share of a probe that has to arrive.
const MIN_ARRIVED: f64 = 0.8;
/// A probe that arrives with less than this share of its rate filled the link …
const FULL: f64 = 0.9;
/// … and this share of what arrived is taken.
const UTILIZATION: f64 = 0.95;
/// A result that is this many times the estimate is worth another probe at once.
const WORTHWHILE: f64 = 1.2;

/// Padding that should be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Probe {
    /// How many bytes, in packets of any length, each counted as everything else that is sent.
    pub(crate) bytes: usize,
    /// The rate of the whole probe, in bit/s.
    pub(crate) bps: u64,
}

/// What a probe found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Measured {
    /// The link takes so many bit/s …
    pub(super) bps: u64,
    /// … and no more.
    pub(super) full: bool,
}

/// What the prober has to know of the estimator.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prospect {
    /// The estimate and what would be used of it, in bit/s.
    pub(super) estimate: u64,
    pub(super) wanted: u64,
    /// The number of the next packet.
    pub(super) next_seq: u64,
    /// Whether the link is being overused.
    pub(super) overused: bool,
    pub(super) rtt: Duration,
    /// By how much delays differ, in µs.
    pub(super) jitter: i64,
}

#[derive(Clone, Copy, Debug)]
struct Cluster {
    rate: f64,
    length: i64,
    first: u64,
    started: i64,
    /// When what was sent last was, and how much at once.
    last_sent: i64,
    bytes_last_sent: f64,
    bytes: f64,
    packets: u32,
    next_step: i64,
    arrived: Arrived,
}

/// What is needed of the packets that arrived for a line through their arrivals over the bytes until
/// then.
#[derive(Clone, Copy, Debug, Default)]
struct Arrived {
    packets: f64,
    bytes: f64,
    /// The first arrival, in µs; others are counted from it, in s.
    first: i64,
    sum_bytes: f64,
    sum_time: f64,
    sum_bytes_bytes: f64,
    sum_bytes_time: f64,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Idle,
    Sending(Cluster),
    /// Until the second, feedback may come.
    Waiting(Cluster, i64),
}

/// Sends clusters of packets faster than the estimate and measures how fast they arrive.
///
/// All that is sent from a cluster's first packet to its last belongs to it, media too: padding only
/// fills up what is missing of its rate.
#[derive(Debug)]
pub(super) struct Prober {
    state: State,
    next: i64,
    /// Probes in a row of which too little is known.
    unknown: u32,
    /// Whether feedback ever came.
    measured: bool,
}

impl Prober {
    pub(super) fn new(now: i64) -> Prober {
        Prober {
            state: State::Idle,
            next: now,
            unknown: 0,
            measured: false,
        }
    }

    /// When [`Prober::poll`] has something to do.
    pub(super) fn next_at(&self, wants: bool) -> Option<i64> {
        match &self.state {
            State::Idle => wants.then_some(self.next),
            State::Sending(cluster) => Some(cluster.next_step),
            State::Waiting(_, until) => Some(*until),
        }
    }

    /// Whether packet `seq` is of a probe, which overuses the link on purpose.
    pub(super) fn covers(&self, seq: u64) -> bool {
        match &self.state {
            State::Idle => false,
            State::Sending(cluster) | State::Waiting(cluster, _) => cluster.covers(seq),
        }
    }

    /// Feedback came for the first time: the next probe may begin at once.
    pub(super) fn measured(&mut self, now: i64) {
        self.next = self.next.min(now);
        self.measured = true;
    }

    /// The next probe waits, for the link is full. One that is being sent ends.
    pub(super) fn postpone(&mut self, now: i64) {
        if matches!(self.state, State::Sending(_)) {
            self.state = State::Idle;
        }
        self.next = now + INTERVAL;
    }

    /// What is to be sent now.
    pub(super) fn poll(&mut self, now: i64, prospect: Prospect) -> Option<Probe> {
        if matches!(self.state, State::Idle) {
            self.begin(now, prospect)?;
        }
        let State::Sending(cluster) = &mut self.state else {
            return None;
        };
        if now < cluster.next_step {
            return None;
        }
        let age = now - cluster.started;
        let target = (cluster.rate * cluster.length as f64 / 8e6).max(MIN_BYTES);
        let complete =
            cluster.bytes >= target && cluster.packets >= MIN_PACKETS && age >= cluster.length;
        if complete || age >= MAX_LENGTH {
            let until = now + prospect.rtt.as_micros() as i64 + PATIENCE;
            self.state = State::Waiting(*cluster, until);
            return None;
        }
        cluster.next_step = now + STEP;
        let missing = cluster.rate * (age + STEP) as f64 / 8e6 - cluster.bytes;
        (missing >= MIN_STEP_BYTES).then_some(Probe {
            bytes: missing as usize,
            bps: cluster.rate as u64,
        })
    }

    fn begin(&mut self, now: i64, prospect: Prospect) -> Option<()> {
        if prospect.wanted <= prospect.estimate || now < self.next {
            return None;
        }
        if prospect.overused {
            self.next = now + INTERVAL / 10;
            return None;
        }
        let interval = match self.measured {
            true => INTERVAL,
            false => UNMEASURED_INTERVAL,
        };
        self.next = now + interval;
        let rate = (prospect.estimate as f64 * AHEAD).min(prospect.wanted as f64 * BEYOND_WANTED);
        self.state = State::Sending(Cluster {
            rate: rate.max(MIN_RATE),
            length: (JITTERS * prospect.jitter).clamp(LENGTH, JITTER_LENGTH),
            first: prospect.next_seq,
            started: now,
            last_sent: now,
            bytes_last_sent: 0.0,
            bytes: 0.0,
            packets: 0,
            next_step: now,
            arrived: Arrived::default(),
        });
        Some(())
    }

    /// Takes note of every packet sent.
    pub(super) fn sent(&mut self, now: i64, bytes: usize) {
        if let State::Sending(cluster) = &mut self.state
            // Without anyone to end it, it does not go on for ever.
            && now - cluster.started < MAX_LENGTH
        {
            let bytes = bytes as f64;
            if now > cluster.last_sent {
                cluster.bytes_last_sent = 0.0;
            }
            cluster.last_sent = now;
            cluster.bytes_last_sent += bytes;
            cluster.bytes += bytes;
            cluster.packets += 1;
        }
    }

    /// Takes note of every packet that arrived, in the order sent.
    pub(super) fn arrived(&mut self, seq: u64, packet: Sent, at: i64) {
        if let State::Sending(cluster) | State::Waiting(cluster, _) = &mut self.state
            && cluster.covers(seq)
        {
            cluster.arrived.add(f64::from(packet.bytes), at);
        }
    }

    /// What a probe measured, once all its packets have arrived or it is time to
    /// go by those that have. One that is well above `estimate` makes way for the next probe.
    pub(super) fn result(&mut self, now: i64, estimate: u64) -> Option<Measured> {
        let State::Waiting(cluster, until) = &self.state else {
            return None;
        };
        if cluster.arrived.packets < f64::from(cluster.packets) && now < *until {
            return None;
        }
        let measured = cluster.measured();
        self.state = State::Idle;
        let Some(measured) = measured else {
            self.unknown = self.unknown.saturating_add(1);
            if self.measured && self.unknown <= RETRIES {
                self.next = self.next.min(now + RETRY);
            }
            return None;
        };
        self.unknown = 0;
        if measured.bps as f64 >= estimate as f64 * WORTHWHILE {
            self.next = now;
        }
        Some(measured)
    }
}

impl Cluster {
    fn covers(&self, seq: u64) -> bool {
        (self.first..self.first + u64::from(self.packets)).contains(&seq)
    }

    fn measured(&self) -> Option<Measured> {
        let arrived = &self.arrived;
        if arrived.packets < f64::from(self.packets.max(MIN_PACKETS)) * MIN_ARRIVED
            || arrived.bytes < self.bytes.max(MIN_BYTES) * MIN_ARRIVED
        {
            return None;
        }
        let time = (self.last_sent - self.started) as f64 / 1e6;
        if time <= 0.0 {
            return None;
        }
        let sent = (self.bytes - self.bytes_last_sent) * 8.0 / time;
        let arrived = arrived.rate();
        let full = arrived < sent * FULL;
        let bps = if full {
            arrived * UTILIZATION
        } else {
            arrived.min(sent)
        };
        Some(Measured {
            bps: bps as u64,
            full,
        })
    }
}

impl Arrived {
    fn add(&mut self, bytes: f64, at: i64) {
        if self.packets == 0.0 {
            self.first = at;
        }
        let time = (at - self.first) as f64 / 1e6;
        self.packets += 1.0;
        self.bytes += bytes;
        self.sum_bytes += self.bytes;
        self.sum_time += time;
        self.sum_bytes_bytes += self.bytes * self.bytes;
        self.sum_bytes_time += self.bytes * time;
    }

    /// Bit/s: the slope of the line, by least squares, so that all packets outweigh the jitter of
    /// the first and the last. Infinite if they arrived in no time.
    fn rate(&self) -> f64 {
        let bytes = self.sum_bytes_bytes - self.sum_bytes * self.sum_bytes / self.packets;
        let time = self.sum_bytes_time - self.sum_bytes * self.sum_time / self.packets;
        if time > 0.0 {
            8.0 * bytes / time
        } else {
            f64::INFINITY
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::history::History;
    use super::*;

    /// Probes at 1 Mbit/s over a link of `bps` that loses every `one_in`th packet; the caller sends
    /// no padding if `sends` is false. Returns the bytes of padding and the result.
    fn probe(bps: i64, one_in: u64, sends: bool) -> (usize, Option<Measured>) {
        let mut prober = Prober::new(0);
        let mut history = History::default();
        let (mut padding, mut free) = (0, 0);
        let mut arrivals = Vec::new();
        let mut now = 0;
        while !matches!(prober.state, State::Waiting(..)) {
            let prospect = Prospect {
                estimate: 500_000,
                wanted: 3_000_000,
                next_seq: history.next(),
                overused: false,
                rtt: Duration::from_millis(50),
                jitter: 0,
            };
            let bytes = prober.poll(now, prospect).map_or(0, |probe| probe.bytes);
            padding += bytes;
            if sends && bytes > 0 {
                prober.sent(now, bytes);
                let seq = history.sent(now, bytes);
                free = free.max(now) + bytes as i64 * 8_000_000 / bps;
                if (seq + 1) % one_in != 0 {
                    arrivals.push((seq, free));
                }
            }
            now = prober.next_at(true).unwrap();
            assert!(now < 2 * MAX_LENGTH);
        }
        for (seq, at) in arrivals {
            let (seq, packet) = history.arrived(seq as u16).unwrap();
            assert!(prober.covers(seq));
            prober.arrived(seq, packet, at);
        }
        (padding, prober.result(now, 500_000))
    }

    #[test]
    fn measures_its_own_rate_or_that_of_the_link() {
        let (padding, result) = probe(10_000_000, 100, true);
        assert!(padding.abs_diff(6_250) < 700, "{padding}");
        let measured = result.unwrap();
        assert!(!measured.full && measured.bps.abs_diff(1_000_000) < 100_000);
        let measured = probe(600_000, 100, true).1.unwrap();
        assert!(measured.full && measured.bps.abs_diff(570_000) < 10_000);
    }

    #[test]
    fn much_loss_and_silence_are_no_result() {
        assert!(probe(10_000_000, 9, true).1.is_some());
        assert_eq!(probe(10_000_000, 3, true).1, None);
        assert_eq!(probe(10_000_000, 1, true).1, None);
        assert_eq!(probe(10_000_000, 100, false).1, None);
    }
}
