//! Rules of timestamp tokens: they come in pairs, and never go back.

use crate::seq2seq::{LogitsProcessor, log_sum_exp};

/// transformers' `WhisperTimeStampLogitsProcessor`, openai's `ApplyTimestampRules`.
#[derive(Debug, Clone, Copy)]
pub struct TimestampRules {
    /// `<|0.00|>`; all from here on are timestamps.
    pub timestamp_begin: i64,
    /// `<|notimestamps|>`.
    pub no_timestamps: i64,
    /// `<|endoftext|>`.
    pub eot: i64,
    /// The latest first timestamp, in steps of 20 ms; 50 in openai's.
    pub max_initial: Option<usize>,
}

impl LogitsProcessor for TimestampRules {
    fn process(&self, ids: &[i64], prompt: usize, scores: &mut [f32]) {
        const NEVER: f32 = f32::NEG_INFINITY;
        let begin = (self.timestamp_begin as usize).min(scores.len());
        if let Some(score) = scores.get_mut(self.no_timestamps as usize) {
            *score = NEVER;
        }
        let generated = ids.get(prompt..).unwrap_or_default();
        let is_timestamp = |token: &i64| *token >= self.timestamp_begin;
        let last_was = generated.last().is_some_and(is_timestamp);
        let before_was = generated.len() < 2 || is_timestamp(&generated[generated.len() - 2]);
        if last_was && before_was {
            scores[begin..].fill(NEVER);
        } else if last_was {
            let end = (self.eot as usize).min(scores.len());
            scores[..end].fill(NEVER);
        }
        if let Some(&last) = generated.iter().rev().find(|token| is_timestamp(token)) {
            // A segment may start where the last one ended, but has to end later than it starts.
            let next = if last_was && !before_was {
                last
            } else {
                last + 1
            };
            let next = (next as usize).min(scores.len());
            scores[begin..next].fill(NEVER);
        }
        if generated.is_empty() {
            scores[..begin].fill(NEVER);
            if let Some(latest) = self.max_initial {
                let after = (begin + latest + 1).min(scores.len());
                scores[after..].fill(NEVER);
            }
        }
        // All timestamps together against the likeliest text: both would be normalised alike.
        let timestamps = log_sum_exp(&scores[begin..]);
        let text = scores[..begin].iter().copied().fold(NEVER, f32::max);
        if timestamps > text {
            scores[..begin].fill(NEVER);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Text 0–4, end 5, no timestamps 6, timestamps 7–11.
    const RULES: TimestampRules = TimestampRules {
        timestamp_begin: 7,
        no_timestamps: 6,
        eot: 5,
        max_initial: Some(1),
    };

    fn allowed(generated: &[i64], scores: [f32; 12]) -> Vec<usize> {
        let ids: Vec<i64> = [99].into_iter().chain(generated.iter().copied()).collect();
        let mut scores = scores;
        RULES.process(&ids, 1, &mut scores);
        (0..12).filter(|&i| scores[i].is_finite()).collect()
    }

    /// Text is so likely that timestamps are not preferred to it.
    const TEXT: [f32; 12] = [9.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0, 0.0, 0.0, 0.0, 0.0, 0.0];

    #[test]
    fn a_timestamp_comes_first_and_early() {
        assert_eq!(allowed(&[], TEXT), [7, 8]);
    }

    #[test]
    fn after_one_timestamp_comes_text() {
        assert_eq!(allowed(&[7], TEXT), [0, 1, 2, 3, 4, 5]);
        assert_eq!(allowed(&[7, 1, 8, 8], TEXT), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn a_segment_s_end_is_followed_by_its_next_start_or_the_end() {
        assert_eq!(allowed(&[7, 1, 9], TEXT), [5, 9, 10, 11]);
        let even = [0.0; 12];
        // Together the timestamps are likelier than any text.
        assert_eq!(allowed(&[7, 1, 9], even), [9, 10, 11]);
    }

    #[test]
    fn timestamps_do_not_go_back() {
        let even = [0.0; 12];
        assert_eq!(allowed(&[8, 1], even), [9, 10, 11]);
        assert_eq!(allowed(&[8, 1], TEXT), [0, 1, 2, 3, 4, 5, 9, 10, 11]);
    }
}
