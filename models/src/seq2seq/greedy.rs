//! Always the likeliest token.

use super::{Hypothesis, SearchOptions, log_sum_exp, scores};

#[derive(Debug)]
pub(super) struct GreedySearch {
    hypothesis: Hypothesis,
}

impl GreedySearch {
    pub(super) fn new(start: Hypothesis) -> GreedySearch {
        GreedySearch { hypothesis: start }
    }

    pub(super) fn hypothesis(&self) -> &Hypothesis {
        &self.hypothesis
    }

    pub(super) fn hypothesis_mut(&mut self) -> &mut Hypothesis {
        &mut self.hypothesis
    }

    pub(super) fn into_hypothesis(self) -> Hypothesis {
        self.hypothesis
    }

    /// True when the sequence has ended or is full.
    pub(super) fn advance(&mut self, logits: &[f32], options: &SearchOptions) -> bool {
        let hypothesis = &mut self.hypothesis;
        let mut scores = logits.to_vec();
        for processor in &options.processors {
            processor.process(&hypothesis.ids, options.prompt.len(), &mut scores);
        }
        let best = scores::argmax(&scores);
        let score = hypothesis.score + scores[best] - log_sum_exp(&scores);
        hypothesis.push(best as i64, score);
        best as i64 == options.end || hypothesis.ids.len() >= options.max_length
    }
}
