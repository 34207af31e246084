//! Fast cepstral mean normalisation: a speaker's channel, learnt within a second.

use serde::{Deserialize, Serialize};

/// Cepstral coefficients in one frame.
pub(crate) const CEPSTRA: usize = 13;

/// The mean of speech through this front end, averaged over five voices (four of flite, one of
/// LibriVox); they differ from it by up to ±4 in the first coefficient and ±10 in the others.
const PRIOR: [f64; CEPSTRA] = [
    49.0, 2.0, 4.0, 17.0, -3.0, 1.0, -1.0, -6.0, -2.0, -4.0, 4.0, 0.0, 0.0,
];

/// Frames of 10 ms that the prior weighs.
const PRIOR_FRAMES: f64 = 20.0;

/// Frames after which older ones fade: 6 s.
const MEMORY_FRAMES: f64 = 600.0;

/// What is known of the cepstral mean of one speaker's channel.
///
/// PocketSphinx's live normalisation waits 500–800 frames before it moves the mean, which ruins the
/// first utterance of an unusual channel. This keeps its own sum over the observed frames with a
/// prior of 20 frames (a MAP estimate of the mean), so that the mean is right after a second; the
/// recogniser is given it every 200 ms. Cheap to copy: keep the one an utterance was started with to
/// replay that utterance exactly.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CmnState {
    sum: [f64; CEPSTRA],
    frames: f64,
}

impl Default for CmnState {
    /// Nothing known yet.
    fn default() -> Self {
        CmnState {
            sum: [0.0; CEPSTRA],
            frames: 0.0,
        }
    }
}

impl CmnState {
    /// The estimated mean of each coefficient.
    pub fn mean(&self) -> [f64; CEPSTRA] {
        std::array::from_fn(|i| {
            (self.sum[i] + PRIOR_FRAMES * PRIOR[i]) / (self.frames + PRIOR_FRAMES)
        })
    }

    /// Frames of 10 ms that the estimate rests on, at most 600.
    pub fn frames(&self) -> f64 {
        self.frames
    }

    /// Adds `frames` frames whose coefficients add up to `sum`.
    pub(crate) fn observe(&mut self, sum: &[f64; CEPSTRA], frames: f64) {
        if frames <= 0.0 || sum.iter().any(|value| !value.is_finite()) {
            return;
        }
        for (total, value) in self.sum.iter_mut().zip(sum) {
            *total += value;
        }
        self.frames += frames;
        if self.frames > MEMORY_FRAMES {
            let fade = MEMORY_FRAMES / self.frames;
            self.sum.iter_mut().for_each(|value| *value *= fade);
            self.frames = MEMORY_FRAMES;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_of_speech_moves_the_mean_most_of_the_way() {
        let mut cmn = CmnState::default();
        cmn.observe(&[100.0 * 60.0; CEPSTRA], 100.0);
        let moved = (cmn.mean()[0] - PRIOR[0]) / (60.0 - PRIOR[0]);
        assert!(moved > 0.8, "{moved}");
    }

    #[test]
    fn old_frames_fade() {
        let mut cmn = CmnState::default();
        for _ in 0..100 {
            cmn.observe(&[20.0 * 10.0; CEPSTRA], 20.0);
        }
        for _ in 0..90 {
            cmn.observe(&[20.0 * 60.0; CEPSTRA], 20.0);
        }
        assert!((cmn.mean()[0] - 60.0).abs() < 4.0, "{:?}", cmn.mean());
        assert!(cmn.frames() <= MEMORY_FRAMES);
    }

    #[test]
    fn nonsense_is_not_learnt() {
        let mut cmn = CmnState::default();
        cmn.observe(&[f64::NAN; CEPSTRA], 20.0);
        cmn.observe(&[1.0; CEPSTRA], 0.0);
        assert_eq!(cmn, CmnState::default());
    }
}
