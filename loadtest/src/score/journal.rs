//! Whether committed words stayed as they were: none lost, doubled or changed.

use std::collections::BTreeMap;

use serde::Serialize;

use super::transcript::{ShownWord, Utterance};

/// Two committed words of one speaker that overlap by more than this share of the shorter one are
/// one word committed twice.
const OVERLAP: f64 = 0.5;

/// What became of committed words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Journal {
    /// Words committed at least once.
    pub committed: usize,
    /// Words of final texts, all utterances.
    pub final_words: usize,
    /// Words missing on one side: in the final text but never committed, committed but missing
    /// from the final text, or skipped between two committed ones.
    pub lost: usize,
    /// Words committed more than once, under one index or again in a later utterance.
    pub doubled: usize,
    /// Words that were committed and then read otherwise.
    pub changed: usize,
    /// Utterances with committed words and no final event.
    pub unfinished: usize,
}

/// Check every utterance's committed events against each other and against its final text.
pub fn check(utterances: &[Utterance]) -> Journal {
    let mut journal = Journal::default();
    for utterance in utterances {
        let mut committed = BTreeMap::<usize, &ShownWord>::new();
        for (_, word) in utterance.committed() {
            match committed.insert(word.index, word) {
                None => journal.committed += 1,
                Some(earlier) => {
                    journal.doubled += 1;
                    journal.changed += usize::from(earlier.text != word.text);
                }
            }
        }
        if !utterance.is_final() {
            journal.unfinished += usize::from(!committed.is_empty());
            let past_last = committed.last_key_value().map_or(0, |(index, _)| index + 1);
            journal.lost += past_last - committed.len();
            continue;
        }
        let finals = utterance
            .words()
            .into_iter()
            .map(|word| (word.index, word))
            .collect::<BTreeMap<_, _>>();
        journal.final_words += finals.len();
        journal.lost += finals
            .keys()
            .filter(|index| !committed.contains_key(index))
            .count();
        for (index, word) in &committed {
            match finals.get(index) {
                None => journal.lost += 1,
                Some(settled) => journal.changed += usize::from(settled.text != word.text),
            }
        }
    }
    journal.doubled += said_twice(utterances);
    journal
}

/// Committed words that are committed again, at the same time on the media clock, in another
/// utterance of the speaker: what a restarted stage that forgot its place would do.
fn said_twice(utterances: &[Utterance]) -> usize {
    let mut spans = utterances
        .iter()
        .flat_map(|utterance| {
            utterance.committed().filter_map(move |(_, word)| {
                Some((
                    &utterance.speaker,
                    word.start?,
                    word.end?,
                    &utterance.id,
                    &word.text,
                ))
            })
        })
        .collect::<Vec<_>>();
    spans.sort_by(|a, b| a.0.cmp(b.0).then(a.1.total_cmp(&b.1)));
    spans
        .windows(2)
        .filter(|pair| {
            let (
                (speaker_a, start_a, end_a, id_a, text_a),
                (speaker_b, start_b, end_b, id_b, text_b),
            ) = (pair[0], pair[1]);
            let overlap = end_a.min(end_b) - start_b.max(start_a);
            let shorter = (end_a - start_a).min(end_b - start_b);
            speaker_a == speaker_b
                && id_a != id_b
                && text_a == text_b
                && overlap > OVERLAP * shorter
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::super::transcript::samples::utterance;
    use super::*;
    use crate::peer::events::CaptionKind::{Committed, Final, Partial};

    #[test]
    fn an_orderly_utterance_loses_nothing() {
        let journal = check(&[utterance(&[
            (1.0, Partial, 0, "a b"),
            (1.1, Committed, 0, "a b"),
            (1.2, Committed, 2, "c"),
            (1.3, Final, 0, "a b c"),
        ])]);
        let orderly = Journal {
            committed: 3,
            final_words: 3,
            ..Journal::default()
        };
        assert_eq!(journal, orderly);
    }

    #[test]
    fn loss_doubling_and_change_are_told_apart() {
        let lost = utterance(&[(1.1, Committed, 0, "a"), (1.3, Final, 0, "a b")]);
        assert_eq!(check(&[lost]).lost, 1);
        let gap = utterance(&[(1.1, Committed, 0, "a"), (1.2, Committed, 2, "c")]);
        let journal = check(&[gap]);
        assert_eq!((journal.lost, journal.unfinished), (1, 1));
        let doubled = utterance(&[
            (1.1, Committed, 0, "a"),
            (1.2, Committed, 0, "a"),
            (1.3, Final, 0, "a"),
        ]);
        let journal = check(&[doubled]);
        assert_eq!((journal.doubled, journal.changed, journal.lost), (1, 0, 0));
        let changed = utterance(&[(1.1, Committed, 0, "a"), (1.3, Final, 0, "b")]);
        assert_eq!(check(&[changed]).changed, 1);
    }

    #[test]
    fn a_word_committed_again_in_another_utterance_is_doubled() {
        let first = utterance(&[(1.1, Committed, 0, "a b"), (1.3, Final, 0, "a b")]);
        let again = Utterance {
            id: "a-1".to_owned(),
            ..first.clone()
        };
        assert_eq!(check(&[first, again]).doubled, 2);
    }
}
