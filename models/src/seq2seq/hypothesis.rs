//! One way a sequence may go on.

use std::sync::Arc;

use super::{Dimensions, KvCache};

/// Tokens, and what the decoder remembers of those it was fed. Cloning shares the memory until one of
/// the clones goes on.
#[derive(Debug, Clone)]
pub struct Hypothesis {
    pub(super) ids: Vec<i64>,
    pub(super) cache: Arc<KvCache>,
    /// Sum of the log-probabilities of the tokens after the prompt.
    pub(super) score: f32,
    /// The log-probability of each token after the prompt.
    pub(super) log_probabilities: Vec<f32>,
    /// For each token fed, its cross-attention: alignment heads × frames.
    pub(super) alignment: Vec<Arc<[f32]>>,
}

impl Hypothesis {
    pub(super) fn new(prompt: Vec<i64>, dimensions: &Dimensions) -> Hypothesis {
        Hypothesis {
            ids: prompt,
            cache: Arc::new(KvCache::new(dimensions)),
            score: 0.0,
            log_probabilities: Vec::new(),
            alignment: Vec::new(),
        }
    }

    /// The tokens, prompt included.
    pub fn ids(&self) -> &[i64] {
        &self.ids
    }

    /// For each token fed so far (usually all but the last), its cross-attention over the frames, one
    /// alignment head after the other. Empty unless the search keeps it and the decoder gives it.
    pub fn alignment(&self) -> &[Arc<[f32]>] {
        &self.alignment
    }

    /// Tokens the decoder has not been fed.
    pub(super) fn pending(&self) -> usize {
        self.ids.len() - self.cache.rows()
    }

    /// This hypothesis and one token more, with which its score is `score`.
    pub(super) fn with(&self, token: i64, score: f32) -> Hypothesis {
        let mut next = self.clone();
        next.push(token, score);
        next
    }

    pub(super) fn push(&mut self, token: i64, score: f32) {
        self.ids.push(token);
        self.log_probabilities.push(score - self.score);
        self.score = score;
    }
}
