//! Where the voice begins.

/// Amplitude from which a sample belongs to the voice: −46 dB of full scale, under any consonant.
const AUDIBLE: f32 = 0.005;

/// Takes the silence before the voice away: a synthesiser's first 40 ms of it would be waited for in
/// every clause.
#[derive(Debug, Default)]
pub(super) struct Onset {
    passed: bool,
}

impl Onset {
    /// Removes what is still silence from the front of the next samples of the clause.
    pub(super) fn trim(&mut self, samples: &mut Vec<f32>) {
        if self.passed {
            return;
        }
        let voice = samples.iter().position(|sample| sample.abs() >= AUDIBLE);
        self.passed = voice.is_some();
        samples.drain(..voice.unwrap_or(samples.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_taken_away_before_the_voice_and_not_within_it() {
        let mut onset = Onset::default();
        let chunks = [
            (vec![0.0, 0.001], vec![]),
            (vec![-0.004, -0.2, 0.1], vec![-0.2, 0.1]),
            (vec![0.0, 0.3], vec![0.0, 0.3]),
        ];
        for (mut samples, left) in chunks {
            onset.trim(&mut samples);
            assert_eq!(samples, left);
        }
    }
}
