//! How a sequence is decoded, and what comes of it.

use std::sync::Arc;

use super::beam::BeamSearch;
use super::greedy::GreedySearch;
use super::{
    BeamOptions, Dimensions, Hypothesis, LogitsProcessor, RowsOutput, log_sum_exp, scores,
};
use crate::backend::RunError;

/// A token whose probability is wanted at a place in the prompt, before any processor: Whisper's
/// no-speech token after `<|startoftranscript|>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// The prompt's token after which it would come.
    pub position: usize,
    /// The token.
    pub token: i64,
}

/// What a search needs to know.
#[derive(Debug, Clone)]
pub struct SearchOptions {
    /// Tokens given, at least one.
    pub prompt: Vec<i64>,
    /// The token that ends a sequence.
    pub end: i64,
    /// Tokens at most, prompt and end included.
    pub max_length: usize,
    /// Applied in order.
    pub processors: Vec<Arc<dyn LogitsProcessor>>,
    /// Greedy search when `None`.
    pub beam: Option<BeamOptions>,
    /// Whether cross-attention is kept.
    pub keep_alignment: bool,
    /// A probability wanted of the prompt.
    pub probe: Option<Probe>,
}

/// What a search found.
#[derive(Debug, Clone)]
pub struct Decoded {
    /// Tokens after the prompt, without the one that ends the sequence.
    pub tokens: Vec<i64>,
    /// Whether the sequence ended; otherwise it reached its maximal length, or was taken out of the
    /// batch before.
    pub ended: bool,
    /// Sum of the chosen tokens' log-probabilities after processing; with beams, divided by the length
    /// to the power of the length penalty.
    pub score: f32,
    /// [`Decoded::score`] for each token, the ending one included: openai's `avg_logprob`.
    pub average_log_probability: f32,
    /// The log-probability of each token, the ending one included.
    pub log_probabilities: Vec<f32>,
    /// For each token fed, prompt included, its cross-attention: alignment heads × frames. The last
    /// token of all has not been fed.
    pub alignment: Vec<Arc<[f32]>>,
    /// Length of the prompt.
    pub prompt: usize,
    /// The probability asked for by [`SearchOptions::probe`].
    pub probed: Option<f32>,
}

/// Why a sequence cannot be decoded. Others of its batch are not affected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The prompt leaves no room for a token, or is empty.
    #[error(
        "a prompt of {prompt} tokens leaves no room among the {limit} of a sequence, or is empty"
    )]
    Prompt {
        /// Its length.
        prompt: usize,
        /// Tokens at most.
        limit: usize,
    },
    /// A token that the model does not have.
    #[error(
        "the token {token} is not among the model's {vocab_size}: tokenizer and model do not belong together"
    )]
    UnknownToken {
        /// The token.
        token: i64,
        /// Tokens there are.
        vocab_size: usize,
    },
    /// The model gave no usable numbers.
    #[error(
        "the model gave NaN or infinities for this sequence: its input is not finite, or its weights are damaged"
    )]
    NotFinite,
    /// The graph failed.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// A sequence being decoded.
#[derive(Debug)]
pub struct Search {
    kind: Kind,
    options: SearchOptions,
    probed: Option<f32>,
}

#[derive(Debug)]
enum Kind {
    Greedy(GreedySearch),
    Beam(BeamSearch),
}

impl Search {
    /// Starts from the options' prompt.
    pub fn new(options: SearchOptions, dimensions: &Dimensions) -> Result<Search, DecodeError> {
        let (prompt, limit) = (
            options.prompt.len(),
            options.max_length.min(dimensions.max_positions),
        );
        if prompt == 0 || prompt >= limit {
            return Err(DecodeError::Prompt { prompt, limit });
        }
        let known =
            |&token: &i64| usize::try_from(token).is_ok_and(|id| id < dimensions.vocab_size);
        let tokens = options.prompt.iter().copied().chain([options.end]);
        let asked = options.probe.map(|probe| probe.token);
        if let Some(token) = tokens.chain(asked).find(|token| !known(token)) {
            return Err(DecodeError::UnknownToken {
                token,
                vocab_size: dimensions.vocab_size,
            });
        }
        let options = SearchOptions {
            max_length: limit,
            ..options
        };
        let start = Hypothesis::new(options.prompt.clone(), dimensions);
        let kind = match options.beam {
            Some(beam) if beam.beams > 1 => Kind::Beam(BeamSearch::new(start, beam)),
            _ => Kind::Greedy(GreedySearch::new(start)),
        };
        Ok(Search {
            kind,
            options,
            probed: None,
        })
    }

    /// What it was started with.
    pub fn options(&self) -> &SearchOptions {
        &self.options
    }

    /// What it goes on with, best first: one hypothesis, or as many as there are beams.
    pub fn hypotheses(&self) -> &[Hypothesis] {
        match &self.kind {
            Kind::Greedy(greedy) => std::slice::from_ref(greedy.hypothesis()),
            Kind::Beam(beam) => beam.running(),
        }
    }

    /// The hypotheses that the next step feeds to the decoder.
    pub(super) fn hypotheses_mut(&mut self) -> &mut [Hypothesis] {
        match &mut self.kind {
            Kind::Greedy(greedy) => std::slice::from_mut(greedy.hypothesis_mut()),
            Kind::Beam(beam) => beam.running_mut(),
        }
    }

    /// Takes what the decoder gave for its hypotheses, which are the run's rows from `first` on and
    /// were fed `fed` tokens each. True when decoding has come to its end.
    pub(super) fn advance(
        &mut self,
        output: &RowsOutput,
        first: usize,
        fed: usize,
        frames: usize,
    ) -> Result<bool, DecodeError> {
        if let Some(probe) = self.options.probe
            && self.probed.is_none()
            && fed == self.options.prompt.len()
            && probe.position < fed
        {
            let logits = output.logits(first, probe.position)?;
            let token = probe.token as usize;
            self.probed = Some((logits[token] - log_sum_exp(logits)).exp());
        }
        let rows = self.hypotheses().len();
        let mut logits = Vec::with_capacity(rows);
        for row in first..first + rows {
            let values = output.logits(row, fed - 1)?;
            if !scores::usable(values) {
                return Err(DecodeError::NotFinite);
            }
            logits.push(values);
        }
        if self.options.keep_alignment {
            for (row, hypothesis) in self.hypotheses_mut().iter_mut().enumerate() {
                for token in 0..fed {
                    if let Some(weights) = output.alignment(first + row, token, frames)? {
                        hypothesis.alignment.push(weights.into());
                    }
                }
            }
        }
        Ok(match &mut self.kind {
            Kind::Greedy(greedy) => greedy.advance(logits[0], &self.options),
            Kind::Beam(beam) => beam.advance(&logits, &self.options),
        })
    }

    /// The best so far; the result when decoding has come to its end.
    pub fn into_decoded(self) -> Decoded {
        let (best, score) = match self.kind {
            Kind::Greedy(greedy) => {
                let best = greedy.into_hypothesis();
                let score = best.score;
                (best, score)
            }
            Kind::Beam(beam) => beam.into_best(),
        };
        let prompt = self.options.prompt.len();
        let mut tokens = best.ids[prompt..].to_vec();
        let generated = tokens.len();
        let ended = tokens.last() == Some(&self.options.end);
        if ended {
            tokens.pop();
        }
        Decoded {
            average_log_probability: best.score / (generated.max(1) as f32),
            tokens,
            ended,
            score,
            log_probabilities: best.log_probabilities,
            alignment: best.alignment,
            prompt,
            probed: self.probed,
        }
    }
}
