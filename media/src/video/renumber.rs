//! Numbers without gaps where the sender left something out, and with those of the network.

use std::collections::VecDeque;

/// Runs that are remembered. With every other packet dropped, half as many packets.
const MAX_RUNS: usize = 128;
/// A longer gap is an outage; more numbers than a receiver could ask for are not reserved.
const MAX_GAP: u64 = 512;

/// From the numbers of what comes in to the numbers of what goes out.
///
/// What is dropped on purpose takes no number; what is missing keeps one, under which it can still
/// be sent. A bounded past is remembered.
#[derive(Debug)]
pub(super) struct Renumber {
    /// Ascending; each holds up to the next.
    runs: VecDeque<Run>,
    highest: u64,
    shift: u64,
}

#[derive(Clone, Copy, Debug)]
struct Run {
    from: u64,
    /// Added to a number (wrapping); `None` if the numbers were dropped.
    shift: Option<u64>,
}

impl Renumber {
    /// Nothing has a number before [`Renumber::start`].
    pub(super) fn new() -> Renumber {
        Renumber {
            runs: VecDeque::with_capacity(MAX_RUNS),
            highest: 0,
            shift: 0,
        }
    }

    /// Begins anew: `first` goes out as `out`, and nothing before it goes out. `first` itself still
    /// has to be kept.
    pub(super) fn start(&mut self, first: u64, out: u64) {
        self.runs.clear();
        self.highest = first.wrapping_sub(1);
        self.shift = out.wrapping_sub(first);
        self.push(first, Some(self.shift));
    }

    /// The highest number so far, kept or dropped.
    pub(super) fn highest(&self) -> u64 {
        self.highest
    }

    /// Takes note that `number`, above all before, is sent, and returns what as.
    pub(super) fn keep(&mut self, number: u64) -> u64 {
        self.advance(number);
        if self.dropping() {
            self.push(number, Some(self.shift));
        }
        self.highest = number;
        number.wrapping_add(self.shift)
    }

    /// Takes note that `number`, above all before, is not sent.
    pub(super) fn drop(&mut self, number: u64) {
        self.advance(number);
        if !self.dropping() {
            self.push(number, None);
        }
        self.highest = number;
        self.shift = self.shift.wrapping_sub(1);
    }

    /// What `number` goes out as; `None` if it was dropped or is too old.
    pub(super) fn lookup(&self, number: u64) -> Option<u64> {
        let run = self.runs.iter().rev().find(|run| run.from <= number)?;
        Some(number.wrapping_add(run.shift?))
    }

    /// Keeps numbers for what is missing between the highest and `number`.
    fn advance(&mut self, number: u64) {
        let missing = number - 1 - self.highest;
        if missing == 0 {
            return;
        }
        if missing <= MAX_GAP {
            if self.dropping() {
                self.push(self.highest + 1, Some(self.shift));
            }
            return;
        }
        // One number is left out, so that the receiver notices.
        if !self.dropping() {
            self.push(self.highest + 1, None);
        }
        self.shift = self.shift.wrapping_sub(missing - 1);
        self.highest = number - 1;
    }

    fn dropping(&self) -> bool {
        self.runs.back().is_some_and(|run| run.shift.is_none())
    }

    fn push(&mut self, from: u64, shift: Option<u64>) {
        if self.runs.len() == MAX_RUNS {
            self.runs.pop_front();
        }
        self.runs.push_back(Run { from, shift });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started() -> Renumber {
        let mut numbers = Renumber::new();
        numbers.start(1000, 50);
        assert_eq!(numbers.keep(1000), 50);
        numbers
    }

    #[test]
    fn the_dropped_take_no_number_and_the_missing_keep_theirs() {
        let mut numbers = started();
        numbers.drop(1001);
        numbers.drop(1002);
        assert_eq!(numbers.keep(1003), 51);
        assert_eq!(numbers.keep(1006), 54);
        // 1007 is missing before a dropped packet, 1010 after one.
        numbers.drop(1008);
        assert_eq!(numbers.keep(1009), 56);
        numbers.drop(1010);
        numbers.drop(1012);
        assert_eq!(numbers.keep(1013), 58);
        let late: Vec<_> = [999, 1001, 1004, 1005, 1007, 1008, 1010, 1011, 1012]
            .map(|number| numbers.lookup(number))
            .into();
        let expected = [
            None,
            None,
            Some(52),
            Some(53),
            Some(55),
            None,
            None,
            Some(57),
            None,
        ];
        assert_eq!(late, expected);
    }

    #[test]
    fn the_past_is_bounded_and_does_not_allocate() {
        let mut numbers = started();
        let capacity = numbers.runs.capacity();
        for number in 1001..3000 {
            if number % 2 == 0 {
                assert_eq!(numbers.keep(number), 50 + (number - 1000) / 2);
            } else {
                numbers.drop(number);
            }
        }
        assert_eq!(numbers.runs.capacity(), capacity);
        assert_eq!(numbers.lookup(1100), None);
        assert_eq!(numbers.lookup(2998), Some(1049));
    }

    #[test]
    fn an_outage_leaves_a_gap_of_one() {
        let mut numbers = started();
        assert_eq!(numbers.keep(71_000), 52);
        assert_eq!(numbers.lookup(70_999), None);
        numbers.drop(71_001);
        assert_eq!(numbers.keep(171_002), 54);
        assert_eq!(numbers.keep(171_003), 55);
    }
}
