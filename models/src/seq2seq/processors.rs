//! What changes the scores of tokens before one is chosen. The names and meanings are transformers'.

use std::fmt::Debug;

use super::log_softmax;

/// Changes scores (logits in greedy search, log-probabilities in beam search) before a token is chosen.
pub trait LogitsProcessor: Debug + Send + Sync {
    /// `ids` is the sequence so far, of which the first `prompt` were given; `scores` has a value for
    /// every token.
    fn process(&self, ids: &[i64], prompt: usize, scores: &mut [f32]);
}

/// Never chooses some tokens (`suppress_tokens`, and `bad_words_ids` of one token each).
#[derive(Debug, Clone)]
pub struct SuppressTokens(pub Vec<i64>);

impl LogitsProcessor for SuppressTokens {
    fn process(&self, _ids: &[i64], _prompt: usize, scores: &mut [f32]) {
        suppress(&self.0, scores);
    }
}

/// Does not choose some tokens directly after the prompt (`begin_suppress_tokens`).
#[derive(Debug, Clone)]
pub struct SuppressAtBegin(pub Vec<i64>);

impl LogitsProcessor for SuppressAtBegin {
    fn process(&self, ids: &[i64], prompt: usize, scores: &mut [f32]) {
        if ids.len() == prompt {
            suppress(&self.0, scores);
        }
    }
}

/// Chooses a certain token when the sequence has a certain length (`forced_bos_token_id` at 1,
/// `forced_eos_token_id` at one less than the maximal length).
#[derive(Debug, Clone, Copy)]
pub struct ForceToken {
    /// Tokens before it, the prompt included.
    pub at: usize,
    /// The token.
    pub token: i64,
}

impl LogitsProcessor for ForceToken {
    fn process(&self, ids: &[i64], _prompt: usize, scores: &mut [f32]) {
        if ids.len() != self.at {
            return;
        }
        scores.fill(f32::NEG_INFINITY);
        if let Some(score) = score_of(self.token, scores) {
            *score = 0.0;
        }
    }
}

/// Makes the scores log-probabilities again after others were suppressed (`renormalize_logits`); comes
/// last.
#[derive(Debug, Clone, Copy)]
pub struct Renormalise;

impl LogitsProcessor for Renormalise {
    fn process(&self, _ids: &[i64], _prompt: usize, scores: &mut [f32]) {
        log_softmax(scores);
    }
}

fn suppress(tokens: &[i64], scores: &mut [f32]) {
    for &token in tokens {
        if let Some(score) = score_of(token, scores) {
            *score = f32::NEG_INFINITY;
        }
    }
}

fn score_of(token: i64, scores: &mut [f32]) -> Option<&mut f32> {
    scores.get_mut(usize::try_from(token).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn processed(processor: &dyn LogitsProcessor, ids: &[i64], prompt: usize) -> Vec<f32> {
        let mut scores = vec![1.0, 2.0, 3.0];
        processor.process(ids, prompt, &mut scores);
        scores
    }

    #[test]
    fn suppresses_always_or_at_the_beginning() {
        const NEVER: f32 = f32::NEG_INFINITY;
        // Ids that the vocabulary does not have are let be.
        assert_eq!(
            processed(&SuppressTokens(vec![1, -1, 9]), &[0], 1),
            [1.0, NEVER, 3.0]
        );
        assert_eq!(
            processed(&SuppressAtBegin(vec![0]), &[7, 7], 2),
            [NEVER, 2.0, 3.0]
        );
        assert_eq!(
            processed(&SuppressAtBegin(vec![0]), &[7, 7, 7], 2),
            [1.0, 2.0, 3.0]
        );
        let force = ForceToken { at: 2, token: 1 };
        assert_eq!(processed(&force, &[7, 7], 1), [NEVER, 0.0, NEVER]);
        assert_eq!(processed(&force, &[7], 1), [1.0, 2.0, 3.0]);
    }

    #[test]
    fn renormalises() {
        let scores = processed(&Renormalise, &[7], 1);
        let total: f32 = scores.iter().map(|score| score.exp()).sum();
        assert!((total - 1.0).abs() < 1e-6);
    }
}
