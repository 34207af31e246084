//! Beam search with the ids of transformers 4.45 (`BeamSearchScorer`), for one sequence.
//!
//! transformers rewrote it later (`GenerationMixin._beam_search`). The two differ in one place: whether
//! a hypothesis may still become better than those that ended is judged here by the best continuation,
//! even one that has just ended, and there by the best that goes on. With [`EarlyStopping::Heuristic`]
//! the later one therefore ends sooner now and then.

use super::{Hypothesis, SearchOptions, log_softmax, scores};

/// A score that no hypothesis has; what is not to be chosen lies below it.
const IMPOSSIBLE: f32 = -1e9;

/// When beam search ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EarlyStopping {
    /// When as many hypotheses have ended as there are beams (`early_stopping=True`).
    WhenFull,
    /// When the best continuation, at its present length, is no better than the worst that ended
    /// (`early_stopping=False`, transformers' default).
    Heuristic,
    /// When no running one can become better at any length (`early_stopping="never"`).
    Never,
}

/// How beam search decodes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BeamOptions {
    /// Hypotheses kept; one is greedy search.
    pub beams: usize,
    /// Exponent of the length by which a hypothesis' score is divided: 0 prefers short ones, 1 is the
    /// mean log-probability.
    pub length_penalty: f32,
    /// When it ends.
    pub early_stopping: EarlyStopping,
}

#[derive(Debug)]
struct Ended {
    hypothesis: Hypothesis,
    /// After the length penalty.
    score: f32,
    /// False for what fills the places of hypotheses to come.
    ended: bool,
}

#[derive(Debug)]
pub(super) struct BeamSearch {
    options: BeamOptions,
    /// One in the first step, which would be the same for all; then as many as there are beams.
    running: Vec<Hypothesis>,
    /// As many as there are beams, best first.
    ended: Vec<Ended>,
    improvable: bool,
}

impl BeamSearch {
    pub(super) fn new(start: Hypothesis, options: BeamOptions) -> BeamSearch {
        let place = || Ended {
            hypothesis: start.clone(),
            score: IMPOSSIBLE,
            ended: false,
        };
        BeamSearch {
            options,
            ended: (0..options.beams).map(|_| place()).collect(),
            running: vec![start],
            improvable: true,
        }
    }

    pub(super) fn running(&self) -> &[Hypothesis] {
        &self.running
    }

    pub(super) fn running_mut(&mut self) -> &mut [Hypothesis] {
        &mut self.running
    }

    /// The best that ended, with its score after the length penalty; before any has, the best running.
    pub(super) fn into_best(self) -> (Hypothesis, f32) {
        let best = self.ended.into_iter().find(|ended| ended.ended);
        let running = self.running.into_iter().next();
        match (best, running) {
            (Some(ended), _) => (ended.hypothesis, ended.score),
            (None, Some(running)) => {
                let score = running.score;
                (running, score)
            }
            (None, None) => unreachable!("there is always a running hypothesis"),
        }
    }

    /// `logits` for every running hypothesis. True when the search has come to its end.
    pub(super) fn advance(&mut self, logits: &[&[f32]], options: &SearchOptions) -> bool {
        let beams = self.options.beams;
        let prompt = options.prompt.len();
        let length = self.running[0].ids.len();

        // Twice as many as there are beams, for each of them may end with its best token.
        let candidates: Vec<(f32, usize, i64)> = self.candidates(logits, options);
        let ends: Vec<bool> = candidates
            .iter()
            .map(|&(_, _, token)| token == options.end || length + 1 >= options.max_length)
            .collect();
        let grown: Vec<Hypothesis> = candidates
            .iter()
            .map(|&(score, beam, token)| self.running[beam].with(token, score))
            .collect();

        let open = candidates
            .iter()
            .zip(&ends)
            .map(|(&(score, ..), &ends)| if ends { score + IMPOSSIBLE } else { score });
        let next = scores::top(open, beams);

        let full = self.ended.iter().all(|ended| ended.ended);
        let penalty =
            ((length + 1 - prompt) as f64).powf(self.options.length_penalty.into()) as f32;
        let all: Vec<Ended> = std::mem::take(&mut self.ended);
        let new = grown
            .iter()
            .zip(&ends)
            .enumerate()
            .map(|(rank, (hypothesis, &ends))| {
                let mut score = hypothesis.score / penalty;
                if full && self.options.early_stopping == EarlyStopping::WhenFull {
                    score += IMPOSSIBLE;
                }
                if !self.improvable {
                    score += IMPOSSIBLE;
                }
                let ended = ends && rank < beams;
                if !ended {
                    score += IMPOSSIBLE;
                }
                Ended {
                    hypothesis: hypothesis.clone(),
                    score,
                    ended,
                }
            });
        let mut all: Vec<Option<Ended>> = all.into_iter().chain(new).map(Some).collect();
        let best = scores::top(all.iter().flatten().map(|ended| ended.score), beams);
        self.ended = best
            .into_iter()
            .filter_map(|(_, index)| all[index].take())
            .collect();

        self.running = next
            .iter()
            .map(|&(score, index)| {
                let mut hypothesis = grown[index].clone();
                hypothesis.score = score;
                hypothesis
            })
            .collect();
        let best = candidates[0].0;
        self.improvable &= self.may_improve(best, length + 1 - prompt, options.max_length - prompt);
        let open = !(self.options.early_stopping == EarlyStopping::WhenFull
            && self.ended.iter().all(|ended| ended.ended));
        !(self.improvable && open && !ends.iter().all(|&ends| ends))
    }

    /// Score, running hypothesis and token of the best continuations, best first.
    fn candidates(&self, logits: &[&[f32]], options: &SearchOptions) -> Vec<(f32, usize, i64)> {
        let processed: Vec<Vec<f32>> = self
            .running
            .iter()
            .zip(logits)
            .map(|(hypothesis, logits)| {
                let mut scores = logits.to_vec();
                log_softmax(&mut scores);
                for processor in &options.processors {
                    processor.process(&hypothesis.ids, options.prompt.len(), &mut scores);
                }
                for score in &mut scores {
                    *score += hypothesis.score;
                }
                scores
            })
            .collect();
        let vocab = logits[0].len();
        // In the first step the other beams would be copies that are out of the running.
        let copies = self.options.beams - self.running.len();
        let all = processed.iter().flatten().copied();
        let copied = processed[0].iter().map(|score| score + IMPOSSIBLE);
        let copied = copied.cycle().take(copies * vocab);
        scores::top(all.chain(copied), 2 * self.options.beams)
            .into_iter()
            .map(|(score, index)| {
                let beam = (index / vocab).min(self.running.len() - 1);
                (score, beam, (index % vocab) as i64)
            })
            .collect()
    }

    /// transformers' `BeamHypotheses.is_done`. `best` is the best continuation's score; lengths are those
    /// after the prompt.
    fn may_improve(&self, best: f32, length: usize, max_length: usize) -> bool {
        let penalty = self.options.length_penalty;
        let best_length = match self.options.early_stopping {
            EarlyStopping::Never if penalty > 0.0 => max_length,
            _ => length,
        };
        let best = best / (best_length as f64).powf(penalty.into()) as f32;
        let worst = self
            .ended
            .iter()
            .map(|ended| ended.score)
            .fold(f32::INFINITY, f32::min);
        self.ended
            .iter()
            .any(|ended| best > if ended.ended { worst } else { IMPOSSIBLE })
    }
}

#[cfg(test)]
mod tests;
