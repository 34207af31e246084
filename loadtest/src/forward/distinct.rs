//! Packets that are no repetition: who counts datagrams without decrypting them must not take one that came
//! twice for one that was lost.

use std::collections::HashMap;

use crate::link::trace::RtpId;

/// What is remembered of a stream: the 64 latest sequence numbers, as in the replay list of RFC 3711.
const WIDTH: u16 = 64;

/// The packets that came, by stream.
#[derive(Debug, Default)]
pub(super) struct Distinct {
    streams: HashMap<u32, Window>,
}

#[derive(Debug)]
struct Window {
    highest: u16,
    /// Bit n: whether `highest` − n came.
    came: u64,
}

impl Distinct {
    /// Whether a packet came for the first time. One that is too old to tell counts as a repetition.
    pub(super) fn is_new(&mut self, id: RtpId) -> bool {
        let Some(window) = self.streams.get_mut(&id.ssrc) else {
            let highest = id.seq;
            let window = Window { highest, came: 1 };
            self.streams.insert(id.ssrc, window);
            return true;
        };
        let ahead = id.seq.wrapping_sub(window.highest);
        if ahead != 0 && ahead < 1 << 15 {
            window.highest = id.seq;
            window.came = match ahead {
                1..WIDTH => window.came << ahead | 1,
                _ => 1,
            };
            return true;
        }
        let behind = ahead.wrapping_neg();
        if behind >= WIDTH {
            return false;
        }
        let bit = 1 << behind;
        let new = window.came & bit == 0;
        window.came |= bit;
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(packets: &[(u32, u16)]) -> Vec<bool> {
        let mut distinct = Distinct::default();
        packets
            .iter()
            .map(|&(ssrc, seq)| distinct.is_new(RtpId { ssrc, seq }))
            .collect()
    }

    #[test]
    fn what_comes_twice_is_new_once() {
        assert_eq!(
            new(&[(1, 65_535), (1, 65_535), (1, 0), (1, 65_535), (1, 0)]),
            [true, false, true, false, false]
        );
    }

    #[test]
    fn what_comes_late_is_new() {
        assert_eq!(
            new(&[(1, 10), (1, 12), (1, 11), (1, 11), (1, 9)]),
            [true, true, true, false, true]
        );
    }

    #[test]
    fn streams_have_numbers_of_their_own() {
        assert_eq!(new(&[(1, 10), (2, 10), (2, 10)]), [true, true, false]);
    }

    #[test]
    fn a_gap_wider_than_the_window_is_passed_over() {
        assert_eq!(
            new(&[(1, 10), (1, 1000), (1, 10), (1, 999)]),
            [true, true, false, true]
        );
    }
}
