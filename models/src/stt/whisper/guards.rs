//! Signs that Whisper made words up.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;

/// Limits beyond which a transcript is not believed; the defaults are openai's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Guards {
    /// Text that zlib makes so many times smaller repeats itself.
    pub compression_ratio: f32,
    /// Mean log-probability of the tokens under which the text is a guess.
    pub log_probability: f32,
    /// Probability of no speech over which a guess is silence.
    pub no_speech: f32,
}

impl Default for Guards {
    fn default() -> Guards {
        Guards {
            compression_ratio: 2.4,
            log_probability: -1.0,
            no_speech: 0.6,
        }
    }
}

/// What to think of a transcript.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Believe it.
    Plausible,
    /// There was no speech; drop it.
    Silence,
    /// It repeats itself; drop it.
    Repetitive,
    /// The model was not sure of it.
    Unsure,
}

impl Guards {
    /// Judges a transcript by openai's rules.
    pub fn judge(
        &self,
        text: &str,
        average_log_probability: f32,
        no_speech_probability: Option<f32>,
    ) -> Verdict {
        let unsure = average_log_probability < self.log_probability;
        if unsure && no_speech_probability.is_some_and(|probability| probability > self.no_speech) {
            Verdict::Silence
        } else if compression_ratio(text) > self.compression_ratio {
            Verdict::Repetitive
        } else if unsure {
            Verdict::Unsure
        } else {
            Verdict::Plausible
        }
    }
}

/// Bytes of the text for each byte that zlib makes of it; 0 of no text.
pub fn compression_ratio(text: &str) -> f32 {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    let written = encoder.write_all(text.as_bytes());
    match written.and_then(|()| encoder.finish()) {
        Ok(compressed) => text.len() as f32 / compressed.len() as f32,
        // A vector takes whatever is written to it.
        Err(_) => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENTENCE: &str = " We meet on Monday at nine, and the report is due the day after.";

    #[test]
    fn repetition_compresses() {
        assert!(compression_ratio(SENTENCE) < 1.5);
        assert!(compression_ratio(&" thank you".repeat(20)) > 2.4);
        assert_eq!(compression_ratio(""), 0.0);
    }

    #[test]
    fn judges_as_openai_does() {
        let judge = |text: &str, log_probability, no_speech| {
            Guards::default().judge(text, log_probability, no_speech)
        };
        assert_eq!(judge(SENTENCE, -0.3, Some(0.1)), Verdict::Plausible);
        // Sure of its words, whatever else it thinks.
        assert_eq!(judge(SENTENCE, -0.3, Some(0.9)), Verdict::Plausible);
        assert_eq!(judge(SENTENCE, -1.3, Some(0.9)), Verdict::Silence);
        assert_eq!(judge(SENTENCE, -1.3, None), Verdict::Unsure);
        assert_eq!(
            judge(&" thank you".repeat(20), -0.1, None),
            Verdict::Repetitive
        );
    }
}
