//! Keeps a sum of voices inside full scale.

use super::declick::Declick;
use crate::audio::FRAME;

/// Largest sample that leaves: −0.2 dBFS, since Opus overshoots a little.
pub(super) const CEILING: f32 = 0.977;

/// The envelope falls by half in about 50 ms.
const FALL: f32 = 0.999_711_2;

/// A peak limiter: gain follows an envelope that rises at once, so that nothing passes the
/// ceiling, and falls slowly, so that the gain does not flutter (Zölzer, *DAFX*, 2nd ed., §4.2.1).
#[derive(Debug)]
pub(super) struct Limiter {
    envelope: f32,
    tail: Declick,
    carried: f32,
}

impl Limiter {
    pub(super) fn new() -> Limiter {
        Limiter {
            envelope: 0.0,
            tail: Declick::default(),
            carried: 0.0,
        }
    }

    /// Lets what a removed source last sounded like decay instead of ending it with a step.
    pub(super) fn carry(&mut self, last: f32) {
        self.carried += last;
    }

    pub(super) fn apply(&mut self, out: &mut [f32; FRAME]) {
        if self.carried != 0.0 {
            let level = self.tail.last() + std::mem::take(&mut self.carried);
            self.tail = Declick::default();
            self.tail.next(level);
            self.tail.join();
        }
        for sample in out.iter_mut() {
            if !self.tail.settled() {
                *sample += self.tail.next(0.0);
            }
            self.envelope = sample.abs().max(self.envelope * FALL);
            if self.envelope > CEILING {
                *sample *= CEILING / self.envelope;
            }
            *sample = sample.clamp(-CEILING, CEILING);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_exceeds_the_ceiling_and_quiet_sound_is_untouched() {
        let mut limiter = Limiter::new();
        let mut loud = [0.0; FRAME];
        for round in 0..50 {
            for (n, sample) in loud.iter_mut().enumerate() {
                *sample = 40.0 * ((round * FRAME + n) as f32 * 0.05).sin();
            }
            limiter.apply(&mut loud);
            assert!(loud.iter().all(|sample| sample.abs() <= CEILING));
        }
        let mut limiter = Limiter::new();
        let quiet: [f32; FRAME] = std::array::from_fn(|n| 0.9 * (n as f32 * 0.05).sin());
        let mut out = quiet;
        limiter.apply(&mut out);
        assert_eq!(out, quiet);
    }
}
