//! Who talks when: speakers of a crowd take turns, and the others send comfort noise.

use std::time::Duration;

/// Length of a turn.
const TURN: Duration = Duration::from_secs(2);

/// Time between packets of comfort noise, as Opus in DTX sends them.
const COMFORT: Duration = Duration::from_millis(400);

/// The turns of one speaker.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turns {
    speaker: u16,
    speakers: u16,
    talking: u16,
    sent: Option<Duration>,
}

impl Turns {
    /// It is always one's turn.
    pub(super) fn always() -> Self {
        Self::of(0, 1, 1)
    }

    /// The turns of one of `speakers`, of whom `talking` talk at a time.
    pub(super) fn of(speaker: u16, speakers: u16, talking: u16) -> Self {
        Self {
            speaker,
            speakers: speakers.max(1),
            talking,
            sent: None,
        }
    }

    /// Whether one sends a packet that is due at a time of the run.
    pub(super) fn sends(&mut self, at: Duration) -> bool {
        let turn = (at.as_secs() / TURN.as_secs()) as u16;
        let place = self.speaker.wrapping_add(turn) % self.speakers;
        let sends = place < self.talking || self.sent.is_none_or(|sent| at - sent >= COMFORT);
        if sends {
            self.sent = Some(at);
        }
        sends
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packets that each of the speakers sends in a time, of fifty a second.
    fn sent(speakers: u16, talking: u16, seconds: u64) -> Vec<usize> {
        (0..speakers)
            .map(|speaker| {
                let mut turns = Turns::of(speaker, speakers, talking);
                let due = (0..50 * seconds).map(|n| Duration::from_millis(20 * n));
                due.filter(|at| turns.sends(*at)).count()
            })
            .collect()
    }

    #[test]
    fn one_of_ten_talks_and_nine_send_comfort_noise() {
        for sent in sent(10, 1, 20) {
            // Two seconds of talk, and 18 of two or three packets each.
            assert!((140..=150).contains(&sent), "{sent}");
        }
    }

    #[test]
    fn who_is_alone_always_talks() {
        assert_eq!(sent(1, 1, 2), [100]);
    }
}
