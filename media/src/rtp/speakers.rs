//! Who is speaking in a room, from the audio levels that publishers send along (RFC 6464).

use crate::ids::TrackId;

/// The level of digital silence, in −dBov.
pub const SILENCE: u8 = 127;
/// Louder than this counts as speech, in −dBov.
const SPEECH: u8 = 50;
/// How much louder, in dB, a speaker must be to take the place of one who is speaking too.
const MARGIN: f32 = 6.0;
/// For how many ticks in a row.
const HOLD_TICKS: u8 = 3;
/// Weight of the newest tick in the average.
const WEIGHT: f32 = 0.35;
/// A change by fewer dB is not worth an event.
const REPORT_STEP: u8 = 4;

/// One track's voice.
#[derive(Clone, Debug)]
struct Voice {
    track: TrackId,
    loudest: u8,
    average: f32,
    ahead: u8,
    reported: u8,
}

/// Ranks the tracks of one room. Call [`Speakers::tick`] every 100 ms.
#[derive(Debug, Default)]
pub struct Speakers {
    /// In order of dominance.
    voices: Vec<Voice>,
}

impl Speakers {
    /// Adds a track, at the end.
    pub fn add(&mut self, track: TrackId) {
        self.voices.push(Voice {
            track,
            loudest: SILENCE,
            average: f32::from(SILENCE),
            ahead: 0,
            reported: SILENCE,
        });
    }

    /// Forgets a track.
    pub fn remove(&mut self, track: TrackId) {
        self.voices.retain(|voice| voice.track != track);
    }

    /// Takes note of a packet's level in −dBov: 0 is the loudest, 127 silence.
    pub fn observe(&mut self, track: TrackId, level: u8) {
        if let Some(voice) = self.voices.iter_mut().find(|voice| voice.track == track) {
            voice.loudest = voice.loudest.min(level.min(SILENCE));
        }
    }

    /// Ends a tick. Returns whether the set of speakers or a level changed enough to be told.
    ///
    /// A track overtakes one that speaks only if it speaks too and has been clearly louder for three
    /// ticks, so that a cough does not switch; and one that is idle at once if it is clearly louder now,
    /// however quiet it is, so that nobody loses the first word.
    pub fn tick(&mut self) -> bool {
        for voice in &mut self.voices {
            voice.average += WEIGHT * (f32::from(voice.loudest) - voice.average);
        }
        // From the end on, so that who begins to speak passes all who are silent at once.
        for at in (1..self.voices.len()).rev() {
            let (before, after) = self.voices.split_at_mut(at);
            let (incumbent, challenger) = (&before[at - 1], &mut after[0]);
            let speaks = challenger.average < f32::from(SPEECH);
            let idle = incumbent.average >= f32::from(SPEECH);
            let louder = challenger.average + MARGIN < incumbent.average;
            if speaks && louder {
                challenger.ahead += 1;
            } else {
                challenger.ahead = 0;
            }
            let begins = idle && f32::from(challenger.loudest) + MARGIN < incumbent.at_most();
            if challenger.ahead >= HOLD_TICKS || begins {
                challenger.ahead = 0;
                self.voices.swap(at - 1, at);
            }
        }
        let mut changed = false;
        for voice in &mut self.voices {
            voice.loudest = SILENCE;
            let level = voice.level();
            let was_speaking = voice.reported < SPEECH;
            if (level < SPEECH) != was_speaking
                || (was_speaking && level.abs_diff(voice.reported) >= REPORT_STEP)
            {
                voice.reported = level;
                changed = true;
            }
        }
        changed
    }

    /// Tracks in order of dominance.
    pub fn ranking(&self) -> impl Iterator<Item = TrackId> + '_ {
        self.voices.iter().map(|voice| voice.track)
    }

    /// Those who speak now, in order of dominance, with their level in −dBov.
    pub fn active(&self) -> impl Iterator<Item = (TrackId, u8)> + '_ {
        self.voices
            .iter()
            .filter(|voice| voice.level() < SPEECH)
            .map(|voice| (voice.track, voice.level()))
    }
}

impl Voice {
    fn level(&self) -> u8 {
        self.average.round() as u8
    }

    /// The level of this tick, or of late if that was louder: a pause between two words is none.
    fn at_most(&self) -> f32 {
        self.average.min(f32::from(self.loudest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: TrackId = TrackId(1);
    const B: TrackId = TrackId(2);

    fn run(speakers: &mut Speakers, ticks: usize, levels: [(TrackId, u8); 2]) -> usize {
        let mut events = 0;
        for _ in 0..ticks {
            for (track, level) in levels {
                speakers.observe(track, level);
            }
            events += usize::from(speakers.tick());
        }
        events
    }

    fn room() -> Speakers {
        let mut speakers = Speakers::default();
        speakers.add(A);
        speakers.add(B);
        speakers
    }

    #[test]
    fn the_one_who_speaks_comes_first() {
        let mut speakers = room();
        run(&mut speakers, 10, [(A, 127), (B, 25)]);
        assert_eq!(speakers.ranking().next(), Some(B));
        assert_eq!(
            speakers
                .active()
                .map(|(track, _)| track)
                .collect::<Vec<_>>(),
            [B]
        );
    }

    #[test]
    fn the_quietest_speaker_passes_the_silent_within_a_tick_but_is_not_called_active() {
        let mut speakers = room();
        run(&mut speakers, 10, [(A, 127), (B, 127)]);
        assert_eq!(run(&mut speakers, 1, [(A, 127), (B, 58)]), 0);
        assert_eq!(speakers.ranking().next(), Some(B));
        run(&mut speakers, 20, [(A, 127), (B, 58)]);
        assert_eq!(speakers.active().count(), 0);
        // Noise that is no louder does not take the place.
        run(&mut speakers, 20, [(A, 55), (B, 58)]);
        assert_eq!(speakers.ranking().next(), Some(B));
        run(&mut speakers, 1, [(A, 30), (B, 58)]);
        assert_eq!(speakers.ranking().next(), Some(A));
    }

    #[test]
    fn a_cough_does_not_interrupt() {
        let mut speakers = room();
        run(&mut speakers, 20, [(A, 30), (B, 127)]);
        run(&mut speakers, 2, [(A, 30), (B, 10)]);
        run(&mut speakers, 20, [(A, 30), (B, 127)]);
        assert_eq!(speakers.ranking().next(), Some(A));
    }

    #[test]
    fn equals_do_not_flap() {
        let mut speakers = room();
        run(&mut speakers, 20, [(A, 30), (B, 127)]);
        for round in 0..50 {
            let (a, b) = if round % 2 == 0 { (28, 32) } else { (32, 28) };
            run(&mut speakers, 1, [(A, a), (B, b)]);
            assert_eq!(speakers.ranking().next(), Some(A));
        }
    }

    #[test]
    fn silence_is_told_once() {
        let mut speakers = room();
        assert!(run(&mut speakers, 20, [(A, 30), (B, 127)]) > 0);
        assert!(run(&mut speakers, 20, [(A, 127), (B, 127)]) > 0);
        assert_eq!(run(&mut speakers, 100, [(A, 127), (B, 127)]), 0);
        assert_eq!(speakers.active().count(), 0);
    }
}
