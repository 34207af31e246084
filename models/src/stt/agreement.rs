//! LocalAgreement: which words of a growing hypothesis are certain enough to be shown for good.
//!
//! The policy is LocalAgreement-n of Liu, Spanakis and Niehues, "Low-Latency Sequence-to-Sequence
//! Speech Recognition and Translation by Partial Hypothesis Selection" (Interspeech 2020), in the
//! streaming form of Macháček, Dabre and Bojar, "Turning Whisper into Real-Time Transcription
//! System" (2023): the longest prefix on which n successive hypotheses agree is committed, and never
//! changes. What the recogniser later thinks of committed words is aligned away, by text and time, so
//! none is repeated.

use std::collections::VecDeque;

use super::{Hypothesis, Word};

/// Committed words that a new hypothesis is aligned with; older ones are taken as settled.
const ALIGNED_WORDS: usize = 12;

/// Samples at 16 kHz by which word boundaries may disagree before it costs as much as a wrong word.
const BOUNDARY_SAMPLES: f64 = 4_800.0;

/// What one hypothesis added.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Agreement {
    /// Words committed by this hypothesis; they follow all those committed before.
    pub committed: Vec<Word>,
    /// Words after the committed ones, which may still change.
    pub tail: Vec<Word>,
}

/// The policy's state for one utterance.
#[derive(Debug, Clone)]
pub struct LocalAgreement {
    agree: usize,
    hold: u64,
    committed: Vec<Word>,
    /// The last `agree − 1` hypotheses, without the committed words, oldest first.
    earlier: VecDeque<Vec<Word>>,
}

impl LocalAgreement {
    /// Commits words on which `agree` successive hypotheses agree (2 is usual; at least 1).
    pub fn new(agree: usize) -> Self {
        Self::resume(agree, Vec::new())
    }

    /// Continues an utterance of which `committed` has been shown, after the recogniser was restarted
    /// on the audio of the whole utterance or of any later part.
    pub fn resume(agree: usize, committed: Vec<Word>) -> Self {
        LocalAgreement {
            agree: agree.max(1),
            hold: 0,
            committed,
            earlier: VecDeque::new(),
        }
    }

    /// Lets no word be committed before `samples` (at 16 kHz) of audio after its end have been heard.
    ///
    /// A recogniser that searches by Viterbi prefers, at the edge of the audio, words that end there:
    /// successive hypotheses agree on `to use` until the rest of `too small` is heard. Waiting costs
    /// commit latency, and nothing of the volatile tail's. With PocketSphinx and hypotheses every 100 ms,
    /// two agreeing, on 40 sentences of flite (`examples/agreement_policies.rs`): without holding 20.5 %
    /// of committed words are wrong, 200 ms after their end at the median; holding 300 ms 8.7 % and
    /// 360 ms; holding 500 ms 5.9 % and 540 ms.
    #[must_use]
    pub fn holding(mut self, samples: u64) -> Self {
        self.hold = samples;
        self
    }

    /// All words committed so far.
    pub fn committed(&self) -> &[Word] {
        &self.committed
    }

    /// The words of a hypothesis after the committed ones.
    fn tail(&self, hypothesis: &Hypothesis) -> Vec<Word> {
        hypothesis.words[tail_start(&self.committed, &hypothesis.words)..].to_vec()
    }

    /// Takes the next hypothesis of the utterance, as if the audio ended with its last word.
    pub fn update(&mut self, hypothesis: &Hypothesis) -> Agreement {
        let heard_until = hypothesis.words.last().map_or(0, |word| word.end);
        self.update_at(hypothesis, heard_until)
    }

    /// Takes the next hypothesis of the utterance, made of the audio before sample `heard_until`.
    pub fn update_at(&mut self, hypothesis: &Hypothesis, heard_until: u64) -> Agreement {
        let mut tail = self.tail(hypothesis);
        let settled = tail
            .iter()
            .take_while(|word| word.end.saturating_add(self.hold) <= heard_until)
            .count();
        let agreed = if self.earlier.len() + 1 < self.agree {
            0
        } else {
            let prefixes = self
                .earlier
                .iter()
                .map(|earlier| common_prefix(earlier, &tail));
            prefixes.min().unwrap_or(tail.len()).min(settled)
        };
        self.earlier.push_back(tail.clone());
        while self.earlier.len() >= self.agree {
            self.earlier.pop_front();
        }
        for earlier in &mut self.earlier {
            earlier.drain(..agreed.min(earlier.len()));
        }
        let committed: Vec<Word> = tail.drain(..agreed).collect();
        self.committed.extend_from_slice(&committed);
        Agreement { committed, tail }
    }

    /// Takes the final hypothesis: everything after the committed words is committed.
    pub fn finish(&mut self, hypothesis: &Hypothesis) -> Agreement {
        let committed = self.tail(hypothesis);
        self.committed.extend_from_slice(&committed);
        self.earlier.clear();
        Agreement {
            committed,
            tail: Vec::new(),
        }
    }
}

fn common_prefix(a: &[Word], b: &[Word]) -> usize {
    a.iter()
        .zip(b)
        .take_while(|(a, b)| a.text == b.text)
        .count()
}

/// The index of the first word of `hypothesis` that comes after all of `committed`.
fn tail_start(committed: &[Word], hypothesis: &[Word]) -> usize {
    let Some(last) = committed.last() else {
        return 0;
    };
    let unchanged = hypothesis.len() >= committed.len()
        && common_prefix(committed, hypothesis) == committed.len()
        && boundary_cost(hypothesis[committed.len() - 1].end, last.end) < 2.0;
    if unchanged {
        return committed.len();
    }

    let recent = &committed[committed.len().saturating_sub(ALIGNED_WORDS)..];
    let middle = |word: &Word| word.start.midpoint(word.end);
    let first = hypothesis
        .iter()
        .take_while(|word| middle(word) < recent[0].start)
        .count();
    let candidates = &hypothesis[first..];
    let audio_start = hypothesis.first().map_or(u64::MAX, |word| word.start);

    // Edit distance of `recent` to each prefix of the candidates, where words that the hypothesis's
    // audio does not reach back to cost nothing.
    let mut row: Vec<f64> = (0..=candidates.len())
        .map(|inserted| inserted as f64)
        .collect();
    for word in recent {
        let unheard = if middle(word) < audio_start { 0.0 } else { 1.0 };
        let mut diagonal = row[0];
        row[0] += unheard;
        for (k, candidate) in candidates.iter().enumerate() {
            let replaced = diagonal + f64::from(u8::from(candidate.text != word.text));
            diagonal = row[k + 1];
            row[k + 1] = replaced.min(diagonal + unheard).min(row[k] + 1.0);
        }
    }

    let misplaced = |k: usize| {
        let before = match k.checked_sub(1).map(|k| &candidates[k]) {
            Some(word) => boundary_cost(word.end, last.end),
            None => 0.0,
        };
        let after = match candidates.get(k) {
            Some(word) if word.start < last.end => boundary_cost(word.start, last.end),
            _ => 0.0,
        };
        before + after
    };
    let cost = |k: &usize| row[*k] + misplaced(*k);
    let best = (0..=candidates.len())
        .min_by(|a, b| cost(a).total_cmp(&cost(b)))
        .unwrap_or(0);
    first + best
}

fn boundary_cost(a: u64, b: u64) -> f64 {
    a.abs_diff(b) as f64 / BOUNDARY_SAMPLES
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words of 0.3 s from `start` seconds on.
    fn words(start: f64, text: &str) -> Vec<Word> {
        let at = |i: usize| (start * 16_000.0) as u64 + i as u64 * 4_800;
        text.split_whitespace()
            .enumerate()
            .map(|(i, text)| Word {
                text: text.into(),
                start: at(i),
                end: at(i + 1),
                confidence: None,
            })
            .collect()
    }

    fn heard(text: &str) -> Hypothesis {
        Hypothesis {
            words: words(0.0, text),
        }
    }

    fn text(words: &[Word]) -> String {
        Hypothesis {
            words: words.to_vec(),
        }
        .text()
    }

    #[test]
    fn two_hypotheses_commit_their_common_prefix() {
        let mut agreement = LocalAgreement::new(2);
        assert_eq!(text(&agreement.update(&heard("we knee")).committed), "");
        let second = agreement.update(&heard("we need to"));
        assert_eq!(
            (text(&second.committed), text(&second.tail)),
            ("we".into(), "need to".into())
        );
        let third = agreement.update(&heard("we need to finish"));
        assert_eq!(
            (text(&third.committed), text(&third.tail)),
            ("need to".into(), "finish".into())
        );
        let last = agreement.finish(&heard("we need to finish it"));
        assert_eq!(text(&last.committed), "finish it");
        assert_eq!(text(agreement.committed()), "we need to finish it");
    }

    #[test]
    fn a_committed_word_never_changes_nor_repeats() {
        let mut agreement = LocalAgreement::new(2);
        agreement.update(&heard("we need to"));
        agreement.update(&heard("we need to fish"));
        let changed = agreement.update(&heard("he needs two finish the"));
        assert_eq!(text(&changed.tail), "finish the");
        // A word of one hypothesis may be two of another.
        let mut agreement = LocalAgreement::resume(2, words(0.0, "in deed yes"));
        let merged = Hypothesis {
            words: vec![
                Word {
                    text: "indeed".into(),
                    start: 0,
                    end: 9_600,
                    confidence: None,
                },
                Word {
                    text: "yes".into(),
                    start: 9_600,
                    end: 14_400,
                    confidence: None,
                },
                Word {
                    text: "sir".into(),
                    start: 14_400,
                    end: 19_200,
                    confidence: None,
                },
            ],
        };
        assert_eq!(text(&agreement.finish(&merged).committed), "sir");
    }

    #[test]
    fn a_word_that_was_said_twice_is_kept_twice() {
        let mut agreement = LocalAgreement::new(2);
        agreement.update(&heard("very very"));
        agreement.update(&heard("very very very"));
        assert_eq!(
            text(&agreement.finish(&heard("very very very good")).committed),
            "very good"
        );
        assert_eq!(text(agreement.committed()), "very very very good");
    }

    #[test]
    fn a_restart_on_the_whole_utterance_repeats_nothing() {
        let mut agreement = LocalAgreement::resume(2, words(0.0, "we need to finish"));
        agreement.update(&heard("we need to finish the"));
        let update = agreement.update(&heard("we need to finish the project"));
        assert_eq!(
            (text(&update.committed), text(&update.tail)),
            ("the".into(), "project".into())
        );
    }

    #[test]
    fn a_restart_on_later_audio_repeats_nothing() {
        // The audio is given again from the middle of "to", which is heard as something else.
        let mut agreement = LocalAgreement::resume(2, words(0.0, "we need to finish"));
        let again = |text: &str| Hypothesis {
            words: words(0.75, text),
        };
        agreement.update(&again("a finish the"));
        let update = agreement.update(&again("a finish the project"));
        assert_eq!(
            (text(&update.committed), text(&update.tail)),
            ("the".into(), "project".into())
        );
    }

    #[test]
    fn a_restart_just_after_the_committed_words_loses_nothing() {
        let mut agreement = LocalAgreement::resume(2, words(0.0, "we need to finish"));
        let again = Hypothesis {
            words: words(1.2, "finish line first"),
        };
        assert_eq!(
            text(&agreement.finish(&again).committed),
            "finish line first"
        );
    }

    #[test]
    fn a_shorter_hypothesis_takes_nothing_back() {
        let mut agreement = LocalAgreement::resume(2, words(0.0, "one two three"));
        assert_eq!(agreement.update(&heard("one two")), Agreement::default());
        assert_eq!(agreement.update(&heard("")), Agreement::default());
        assert_eq!(text(agreement.committed()), "one two three");
    }

    #[test]
    fn one_suffices_when_one_is_asked_for() {
        let mut agreement = LocalAgreement::new(1);
        assert_eq!(
            text(&agreement.update(&heard("one two")).committed),
            "one two"
        );
    }

    #[test]
    fn the_newest_words_are_held() {
        let mut agreement = LocalAgreement::new(2).holding(4_800);
        agreement.update(&heard("one two"));
        assert_eq!(text(&agreement.update(&heard("one two")).committed), "one");
        let later = agreement.update_at(&heard("one two"), 3 * 4_800);
        assert_eq!(
            text(&later.committed),
            "two",
            "silence after a word settles it too"
        );
    }
}
