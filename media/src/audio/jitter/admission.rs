//! Which packets belong to the stream: unwrapping of counters, duplicates, restarts.

use super::EncodedFrame;

/// Most packets that can be missing before a jump of the sequence number means a new source
/// (`MAX_DROPOUT` of RFC 3550 appendix A.1), and the furthest back one may come.
const MAX_DROPOUT: i64 = 3_000;
const MAX_MISORDER: i64 = 100;

/// How far, in 48 kHz samples, a timestamp may run ahead of the wall clock, or go back.
const MAX_AHEAD: i64 = 2 * 48_000;

/// After so long without a packet (48 kHz samples) an implausible one is believed at once.
const LONG_SILENCE: i64 = 2 * 48_000;

/// The newest packet of the stream, unwrapped.
#[derive(Debug, Clone, Copy)]
struct Newest {
    seq: i64,
    at: i64,
    arrival: i64,
    /// Bit `n`: packet `seq − n` has come.
    seen: u128,
}

/// Unwraps what fits the stream so far and asks for a second opinion on what does not: two
/// packets in a row that agree with each other start a new stream (RFC 3550 appendix A.1).
#[derive(Debug, Default)]
pub(super) struct Admission {
    newest: Option<Newest>,
    doubtful: Option<(EncodedFrame, i64)>,
}

/// An admitted packet with its unwrapped sequence number and timestamp.
pub(super) type Admitted = (EncodedFrame, i64, i64);

pub(super) enum Verdict {
    /// It belongs to the stream.
    Accept {
        frame: EncodedFrame,
        seq: i64,
        at: i64,
    },
    Duplicate,
    /// Kept until another agrees with it; `replaced` says that an earlier one was given up.
    Doubt {
        replaced: bool,
    },
    /// A new stream begins with these.
    Restart {
        frames: [Option<Admitted>; 2],
    },
}

impl Admission {
    pub(super) fn admit(&mut self, frame: EncodedFrame, arrival: i64) -> Verdict {
        let Some(newest) = &mut self.newest else {
            return self.begin(None, frame, arrival);
        };
        let ahead = i64::from(frame.seq.wrapping_sub(newest.seq as u16) as i16);
        let later = i64::from(frame.timestamp.wrapping_sub(newest.at as u32) as i32);
        let elapsed = (arrival - newest.arrival).max(0);
        let plausible = if ahead > 0 {
            ahead <= MAX_DROPOUT && (0..=elapsed + MAX_AHEAD).contains(&later)
        } else {
            ahead > -MAX_MISORDER && (-MAX_AHEAD..=0).contains(&later)
        };
        if !plausible {
            if elapsed > LONG_SILENCE {
                return self.begin(None, frame, arrival);
            }
            return self.doubt(frame, arrival);
        }
        self.doubtful = None;
        let (seq, at) = (newest.seq + ahead, newest.at + later);
        if ahead > 0 {
            newest.seen = if ahead < 128 {
                newest.seen << ahead | 1
            } else {
                1
            };
            (newest.seq, newest.at, newest.arrival) = (seq, at, arrival);
        } else {
            let bit = 1u128 << -ahead;
            if newest.seen & bit != 0 {
                return Verdict::Duplicate;
            }
            newest.seen |= bit;
        }
        Verdict::Accept { frame, seq, at }
    }

    fn doubt(&mut self, frame: EncodedFrame, arrival: i64) -> Verdict {
        if let Some((first, first_arrival)) = self.doubtful.take() {
            let ahead = frame.seq.wrapping_sub(first.seq);
            let later = frame.timestamp.wrapping_sub(first.timestamp);
            let elapsed = (arrival - first_arrival).max(0);
            if (1..=5).contains(&ahead) && i64::from(later) <= elapsed + MAX_AHEAD {
                return self.begin(Some((first, first_arrival)), frame, arrival);
            }
            self.doubtful = Some((frame, arrival));
            return Verdict::Doubt { replaced: true };
        }
        self.doubtful = Some((frame, arrival));
        Verdict::Doubt { replaced: false }
    }

    /// Starts a stream whose oldest known packet is `first`, or else `frame`.
    fn begin(
        &mut self,
        first: Option<(EncodedFrame, i64)>,
        frame: EncodedFrame,
        arrival: i64,
    ) -> Verdict {
        self.doubtful = None;
        // One turn of each counter above zero, so that what is reordered before the first
        // packet does not become negative.
        let (seq, at) = match &first {
            None => (
                1 << 16 | i64::from(frame.seq),
                1 << 32 | i64::from(frame.timestamp),
            ),
            Some((first, _)) => (
                1 << 16 | i64::from(first.seq),
                1 << 32 | i64::from(first.timestamp),
            ),
        };
        match first {
            None => {
                self.newest = Some(Newest {
                    seq,
                    at,
                    arrival,
                    seen: 1,
                });
                Verdict::Restart {
                    frames: [Some((frame, seq, at)), None],
                }
            }
            Some((first, _)) => {
                let ahead = i64::from(frame.seq.wrapping_sub(first.seq));
                let later = i64::from(frame.timestamp.wrapping_sub(first.timestamp));
                let (newer, newer_at) = (seq + ahead, at + later);
                self.newest = Some(Newest {
                    seq: newer,
                    at: newer_at,
                    arrival,
                    seen: 1 | 1 << ahead,
                });
                Verdict::Restart {
                    frames: [Some((first, seq, at)), Some((frame, newer, newer_at))],
                }
            }
        }
    }
}
