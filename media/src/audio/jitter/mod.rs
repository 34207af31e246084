//! A de-jitter buffer for audio that is decoded here (forwarded audio never waits).
//!
//! It puts packets back into order, decides when a missing one is not worth waiting for, fills
//! silence the sender left out (DTX), and survives wrapping counters, duplicates and sources that
//! start anew. Time is an argument. Memory is bounded by [`MAX_PACKETS`] whatever arrives.
//!
//! Two ways to release packets, because their readers differ:
//! - [`Release::InOrder`] for recognition: a packet whose turn it is leaves at once; only a *missing*
//!   packet is waited for, up to the target delay. Jitter then costs latency only where packets
//!   really are late or lost.
//! - [`Release::Paced`] for a reader that plays at a constant rate: every packet leaves one target
//!   delay after the fastest packets arrive.

mod admission;
mod delay;
mod playout;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use admission::{Admission, Verdict};
use delay::DelayEstimator;
pub use playout::{JitterStats, Playout};

use super::frame::EncodedFrame;
use super::packet::{self, Shape};

/// Most packets held at once; more push the oldest out.
pub const MAX_PACKETS: usize = 128;

/// Packets held from which on missing ones are no longer waited for.
const CROWDED: usize = MAX_PACKETS / 2;

/// Late packets in a row after which the delay is measured anew: the path has changed.
const LATE_STREAK: u32 = 8;

/// When a packet whose turn it is leaves the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// At once; only missing packets are waited for.
    InOrder,
    /// One target delay after the fastest packets arrive.
    Paced,
}

/// Limits of a [`JitterBuffer`].
#[derive(Debug, Clone, Copy)]
pub struct JitterConfig {
    /// When packets leave.
    pub release: Release,
    /// Least target delay.
    pub min_delay: Duration,
    /// Greatest target delay.
    pub max_delay: Duration,
    /// In order only: how much longer than the target delay to wait when *nothing* has arrived
    /// after a packet. Audio concealed in a stall is lost even if its packets still come.
    pub stall_patience: Duration,
    /// Most silence or concealment made up for one gap; after it the media time jumps.
    pub max_fill: Duration,
}

impl Default for JitterConfig {
    fn default() -> Self {
        JitterConfig {
            release: Release::InOrder,
            min_delay: Duration::from_millis(20),
            max_delay: Duration::from_millis(200),
            stall_patience: Duration::from_millis(100),
            max_fill: Duration::from_secs(1),
        }
    }
}

#[derive(Debug)]
struct Held {
    frame: EncodedFrame,
    /// Unwrapped timestamp, 48 kHz samples.
    at: i64,
    shape: Shape,
}

/// Where one incarnation of the source is being played.
#[derive(Debug, Clone, Copy)]
struct Cursor {
    /// Media position of timestamp `origin`.
    media: u64,
    origin: i64,
    /// Unwrapped timestamp of the next sample to play.
    at: i64,
    /// Unwrapped sequence number of the last packet played; `None` before the first.
    seq: Option<i64>,
    /// Duration of the last packet played.
    step: i64,
    /// Whether the last packet played announced silence.
    dtx: bool,
    /// Samples made up since the last packet played.
    filled: i64,
    restarted: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Play,
    Recover { samples: i64 },
    Conceal { samples: i64, silence: bool },
    Jump,
}

/// When a step is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Now,
    /// On the arrival axis, 48 kHz samples since the buffer's first packet.
    At(i64),
}

/// An adaptive de-jitter buffer for one Opus stream. See the module's documentation.
#[derive(Debug)]
pub struct JitterBuffer {
    config: JitterConfig,
    /// Zero of the arrival axis.
    zero: Option<Instant>,
    admission: Admission,
    delay: DelayEstimator,
    held: BTreeMap<i64, Held>,
    cursor: Option<Cursor>,
    late_streak: u32,
    /// Samples that may be made up now. It grows in real time only, so that hostile timestamps
    /// cannot make us decode silence faster than that.
    credit: i64,
    credit_at: i64,
    stats: JitterStats,
}

impl JitterBuffer {
    /// Makes an empty buffer.
    pub fn new(config: JitterConfig) -> JitterBuffer {
        JitterBuffer {
            delay: DelayEstimator::new(samples(config.min_delay), samples(config.max_delay)),
            credit: samples(config.max_fill),
            config,
            zero: None,
            admission: Admission::default(),
            held: BTreeMap::new(),
            cursor: None,
            late_streak: 0,
            credit_at: 0,
            stats: JitterStats::default(),
        }
    }

    /// Takes a packet. `now` is the time of the call; jitter is measured on `frame.arrival`.
    pub fn push(&mut self, frame: EncodedFrame, now: Instant) {
        let zero = *self.zero.get_or_insert(frame.arrival);
        let now = since(zero, now);
        self.refill(now);
        let arrival = since(zero, frame.arrival);
        match self.admission.admit(frame, arrival) {
            Verdict::Accept { frame, seq, at } => self.accept(frame, seq, at, arrival),
            Verdict::Duplicate => self.stats.duplicates += 1,
            Verdict::Doubt { replaced } => self.stats.discarded += u64::from(replaced),
            Verdict::Restart { frames } => {
                for (index, (frame, seq, at)) in frames.into_iter().flatten().enumerate() {
                    let arrival = since(zero, frame.arrival);
                    if index == 0 {
                        self.restart(at, arrival);
                    }
                    self.accept(frame, seq, at, arrival);
                }
            }
        }
    }

    /// What is due at `now`, if anything. Call until it returns `None`.
    pub fn poll(&mut self, now: Instant) -> Option<Playout> {
        let now = since(self.zero?, now);
        self.refill(now);
        loop {
            let (due, step) = self.plan()?;
            if let Due::At(at) = due
                && at > now
            {
                return None;
            }
            if let Some(playout) = self.take(step) {
                return Some(playout);
            }
        }
    }

    /// When [`JitterBuffer::poll`] will next have something even if no packet arrives; a time in
    /// the past means now. `None`: only a packet can change anything.
    pub fn next_at(&self) -> Option<Instant> {
        let zero = self.zero?;
        match self.plan()?.0 {
            Due::Now => Some(zero),
            Due::At(at) => Some(zero + duration(at)),
        }
    }

    /// Counters, and the present target delay.
    pub fn stats(&self) -> JitterStats {
        JitterStats {
            target_delay: duration(self.delay.target()),
            ..self.stats
        }
    }

    fn refill(&mut self, now: i64) {
        let elapsed = now - self.credit_at;
        if elapsed > 0 {
            self.credit = (self.credit + elapsed).min(samples(self.config.max_fill));
            self.credit_at = now;
        }
    }

    /// Begins a new incarnation of the source with timestamp `at`. Its media time continues where
    /// the wall clock says, never before what has been played.
    fn restart(&mut self, at: i64, arrival: i64) {
        self.stats.discarded += self.held.len() as u64;
        self.held.clear();
        let media = match &self.cursor {
            None => 0,
            Some(cursor) => {
                let played = cursor.media + (cursor.at - cursor.origin).max(0) as u64;
                // Timestamp axis → arrival axis is one fastest transit away.
                let elapsed = (arrival - self.delay.base() - cursor.at).max(0) as u64;
                self.stats.restarts += 1;
                played + elapsed
            }
        };
        self.cursor = Some(Cursor {
            media,
            origin: at,
            at,
            seq: None,
            step: 960,
            dtx: false,
            filled: 0,
            restarted: self.cursor.is_some(),
        });
        self.delay.restart();
        self.late_streak = 0;
    }

    fn accept(&mut self, frame: EncodedFrame, seq: i64, at: i64, arrival: i64) {
        let Some(cursor) = self.cursor else {
            self.restart(at, arrival);
            return self.accept(frame, seq, at, arrival);
        };
        self.stats.received += 1;
        // What cannot be parsed is kept in line, to be concealed when its turn comes.
        let shape = packet::shape(&frame.payload).unwrap_or(Shape {
            samples: cursor.step as u32,
            frame_samples: cursor.step as u32,
            fec: false,
            dtx: false,
        });
        let newer = cursor.seq.is_none_or(|played| seq > played);
        let covered = at + i64::from(shape.samples) <= cursor.at;
        let paused = newer && covered && self.exhausted(&cursor) && self.held.is_empty();
        let late = !paused && (!newer || covered);
        if paused {
            // The sender paused without its timestamp running on: go on where we are.
            self.restart(at, arrival);
        }
        self.delay.observe(arrival, at);
        if late {
            self.stats.late += 1;
            self.late_streak += 1;
            if self.late_streak >= LATE_STREAK {
                self.late_streak = 0;
                self.delay.restart();
                self.delay.observe(arrival, at);
            }
            return;
        }
        self.held.insert(seq, Held { frame, at, shape });
        if self.held.len() > MAX_PACKETS {
            self.held.pop_first();
            self.stats.discarded += 1;
        }
    }

    /// Whether all the silence that one gap may have has been made up.
    fn exhausted(&self, cursor: &Cursor) -> bool {
        cursor.filled >= samples(self.config.max_fill)
    }

    /// What comes next and when, if anything is known to come.
    fn plan(&self) -> Option<(Due, Step)> {
        let cursor = self.cursor.as_ref()?;
        let in_order = self.config.release == Release::InOrder;
        let deadline = cursor.at + self.delay.base() + self.delay.target();
        let Some((&seq, next)) = self.held.first_key_value() else {
            if cursor.seq.is_none() || self.exhausted(cursor) {
                return None;
            }
            // Nothing has come since. An announced silence is filled on time; in a stall it pays
            // to wait a little longer, for concealed speech is lost speech.
            let patience = if in_order && !cursor.dtx {
                samples(self.config.stall_patience)
            } else {
                0
            };
            let step = Step::Conceal {
                samples: cursor.step,
                silence: cursor.dtx,
            };
            // Not before the time to be made up has passed, whatever timestamps say.
            let credited = self.credit_at + cursor.step - self.credit;
            return Some((Due::At(credited.max(deadline + patience)), step));
        };
        let on_time = if in_order {
            Due::Now
        } else {
            Due::At(next.at.max(cursor.at) + self.delay.base() + self.delay.target())
        };
        let gap = next.at - cursor.at;
        if gap <= 0 {
            return Some((on_time, Step::Play));
        }
        let missing = cursor.seq.map_or(0, |played| seq - played - 1);
        let covered = i64::from(next.shape.frame_samples);
        let due = if self.held.len() > CROWDED {
            Due::Now
        } else if missing > 0 && in_order && next.shape.fec && gap > covered {
            // The packet after the missing one is out too. It carries the missing one's
            // redundancy, so its own deadline counts.
            Due::At(deadline + cursor.step)
        } else if missing > 0 || !in_order {
            Due::At(deadline)
        } else {
            Due::Now
        };
        let room = (samples(self.config.max_fill) - cursor.filled).min(self.credit);
        let step = if gap > room {
            Step::Jump
        } else if missing == 0 {
            Step::Conceal {
                samples: gap.min(cursor.step),
                silence: true,
            }
        } else if !next.shape.fec {
            Step::Conceal {
                samples: gap.min(cursor.step),
                silence: false,
            }
        } else if gap <= covered {
            Step::Recover { samples: gap }
        } else {
            Step::Conceal {
                samples: (gap - covered).min(cursor.step),
                silence: false,
            }
        };
        Some((due, step))
    }

    fn take(&mut self, step: Step) -> Option<Playout> {
        let cursor = self.cursor.as_mut()?;
        let media = cursor.media + (cursor.at - cursor.origin) as u64;
        match step {
            Step::Jump => {
                cursor.at = self.held.first_key_value()?.1.at;
                None
            }
            Step::Conceal { samples, silence } => {
                cursor.at += samples;
                cursor.filled += samples;
                self.credit -= samples;
                if silence {
                    self.stats.silent += 1;
                } else {
                    self.stats.concealed += 1;
                }
                Some(Playout::Lost {
                    media,
                    samples: samples as u32,
                })
            }
            Step::Recover { samples } => {
                let next = self.held.first_key_value()?.1.frame.clone();
                cursor.at += samples;
                cursor.filled += samples;
                self.credit -= samples;
                self.stats.recovered += 1;
                Some(Playout::Fec {
                    next,
                    media,
                    samples: samples as u32,
                })
            }
            Step::Play => {
                let (seq, held) = self.held.pop_first()?;
                let length = i64::from(held.shape.samples);
                let skip = (cursor.at - held.at).clamp(0, length);
                let missing = cursor.seq.map_or(0, |played| seq - played - 1);
                self.stats.lost += missing as u64;
                self.late_streak = 0;
                cursor.seq = Some(seq);
                cursor.at = cursor.at.max(held.at + length);
                cursor.step = length;
                cursor.dtx = held.shape.dtx;
                cursor.filled = 0;
                Some(Playout::Frame {
                    frame: held.frame,
                    media,
                    samples: held.shape.samples,
                    skip: skip as u32,
                    restarted: std::mem::take(&mut cursor.restarted),
                })
            }
        }
    }
}

fn samples(duration: Duration) -> i64 {
    (duration.as_nanos().min(u128::from(u64::MAX)) as u64 / 1_000 * 6 / 125) as i64
}

fn duration(samples: i64) -> Duration {
    Duration::from_nanos(samples.max(0) as u64 * 62_500 / 3)
}

/// Samples at 48 kHz from `zero` to `at`, negative if `at` is earlier.
fn since(zero: Instant, at: Instant) -> i64 {
    match at.checked_duration_since(zero) {
        Some(later) => samples(later),
        None => -samples(zero.duration_since(at)),
    }
}

#[cfg(test)]
mod tests;
