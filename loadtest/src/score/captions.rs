//! How soon, how rightly and how steadily words were captioned.

use std::collections::HashMap;

use crate::peer::events::CaptionKind;
use crate::speech::Meeting;

use super::transcript::{Shown, ShownWord, Utterance};
use super::words::{Step, align, errors, normalise};

/// A word is the same one in two hypotheses if its start moved by less than this, seconds.
const SAME_WORD: f64 = 0.25;

/// A latency and the compute time within it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Latency {
    /// From the end of the word to the event, ms.
    pub lived_ms: f64,
    /// The event's own compute time, ms.
    pub compute_ms: f64,
}

/// Which word of which utterance.
pub type WordKey = (String, usize);

/// Captions against the script.
#[derive(Debug, Clone, Default)]
pub struct CaptionScores {
    /// Per recognised word: end of the word → first event that shows it.
    pub caption: Vec<Latency>,
    /// Per recognised word: end of the word → event that commits it.
    pub commit: Vec<Latency>,
    /// Words said.
    pub reference_words: usize,
    /// Substitutions, deletions and insertions.
    pub word_errors: usize,
    /// Longest run of words said and not captioned.
    pub longest_deletion: usize,
    /// When each captioned word ends by the script, seconds on the media clock; for words that are
    /// not in the script, by the recogniser.
    pub ends: HashMap<WordKey, f64>,
}

/// Score all speakers' captions.
///
/// `start` is when the media clocks began, seconds.
pub fn score(meeting: &Meeting, utterances: &[Utterance], start: f64) -> CaptionScores {
    let mut scores = CaptionScores::default();
    for track in &meeting.tracks {
        let mine = utterances
            .iter()
            .filter(|utterance| utterance.speaker == track.identity)
            .collect::<Vec<_>>();
        let captioned = mine
            .iter()
            .flat_map(|utterance| utterance.words().into_iter().map(move |w| (*utterance, w)))
            .collect::<Vec<_>>();
        for (utterance, word) in &captioned {
            if let Some(end) = word.end {
                scores.ends.insert((utterance.id.clone(), word.index), end);
            }
        }
        let reference = track
            .words
            .iter()
            .map(|w| normalise(&w.text))
            .collect::<Vec<_>>();
        let hypothesis = captioned
            .iter()
            .map(|(_, w)| w.text.clone())
            .collect::<Vec<_>>();
        let steps = align(&reference, &hypothesis);
        scores.reference_words += reference.len();
        scores.word_errors += errors(&steps);
        let mut deletions = 0;
        for step in steps {
            deletions = match step {
                Step::Deletion(_) => deletions + 1,
                _ => 0,
            };
            scores.longest_deletion = scores.longest_deletion.max(deletions);
            let (Step::Match(said, heard) | Step::Substitution(said, heard)) = step else {
                continue;
            };
            let (utterance, word) = &captioned[heard];
            let end = track.words[said].end;
            scores.ends.insert((utterance.id.clone(), word.index), end);
            if !matches!(step, Step::Match(..)) {
                continue;
            }
            let latency = |shown: &Shown| Latency {
                lived_ms: (shown.at - start - end) * 1000.0,
                compute_ms: shown.compute_ms,
            };
            scores
                .caption
                .extend(first_holding(utterance, word).map(latency));
            scores
                .commit
                .extend(committing(utterance, word).map(latency));
        }
    }
    scores
}

/// The first event that shows a word.
fn first_holding<'a>(utterance: &'a Utterance, word: &ShownWord) -> Option<&'a Shown> {
    utterance.shown.iter().find(|shown| {
        shown.words.iter().any(|w| {
            let near = match (w.start, word.start) {
                (Some(a), Some(b)) => (a - b).abs() < SAME_WORD,
                _ => false,
            };
            w.text == word.text && (w.index == word.index || near)
        })
    })
}

/// The event that commits a word: its committed event, or the final one if that came first.
fn committing<'a>(utterance: &'a Utterance, word: &ShownWord) -> Option<&'a Shown> {
    utterance.shown.iter().find(|shown| {
        shown.kind != CaptionKind::Partial && shown.words.iter().any(|w| w.index == word.index)
    })
}

/// Words erased from the display per word of the final text.
///
/// Normalised erasure (Arivazhagan et al., "Re-translation versus Streaming for Simultaneous
/// Translation", 2020): for every two successive states of the display, the words of the former
/// beyond their common prefix. The display is the committed words followed by the partial ones.
pub fn tail_retraction(utterances: &[Utterance]) -> f64 {
    let mut erased = 0;
    let mut total = 0;
    for utterance in utterances {
        total += utterance.words().len();
        let mut committed = Vec::<String>::new();
        let mut display = Vec::<String>::new();
        for shown in &utterance.shown {
            let texts = || shown.words.iter().map(|word| word.text.clone());
            let next = match shown.kind {
                CaptionKind::Final => texts().collect::<Vec<_>>(),
                CaptionKind::Partial => {
                    let settled = shown.from.min(committed.len());
                    committed[..settled]
                        .iter()
                        .cloned()
                        .chain(texts())
                        .collect()
                }
                CaptionKind::Committed => {
                    committed.truncate(shown.from);
                    committed.extend(texts());
                    // The tail behind the committed words stays on display until the next event.
                    let tail = display.iter().skip(committed.len()).cloned();
                    committed.iter().cloned().chain(tail).collect()
                }
            };
            let common = display
                .iter()
                .zip(&next)
                .take_while(|(a, b)| a == b)
                .count();
            erased += display.len() - common;
            display = next;
        }
    }
    erased as f64 / total.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::super::transcript::samples::utterance;
    use super::*;
    use crate::peer::events::CaptionKind::{Committed, Final, Partial};
    use crate::speech::{SpeakerTrack, Word};

    fn meeting(text: &str) -> Meeting {
        let mut track = SpeakerTrack::new("a");
        track.words = text
            .split_whitespace()
            .enumerate()
            .map(|(n, text)| Word {
                text: text.to_owned(),
                start: n as f64 * 0.1,
                end: n as f64 * 0.1 + 0.1,
            })
            .collect();
        Meeting {
            tracks: vec![track],
        }
    }

    #[test]
    fn a_word_is_timed_from_its_end_to_the_first_event_that_holds_it() {
        let heard = utterance(&[
            (10.4, Partial, 0, "hello word"),
            (10.6, Committed, 0, "hello"),
            (10.7, Partial, 1, "world"),
            (10.9, Committed, 1, "world"),
            (11.0, Final, 0, "hello world"),
        ]);
        let scores = score(&meeting("Hello, world."), &[heard], 10.0);
        let lived = |latencies: &[Latency]| {
            latencies
                .iter()
                .map(|l| l.lived_ms.round())
                .collect::<Vec<_>>()
        };
        assert_eq!(lived(&scores.caption), [300.0, 500.0]);
        assert_eq!(lived(&scores.commit), [500.0, 700.0]);
        assert_eq!((scores.reference_words, scores.word_errors), (2, 0));
    }

    #[test]
    fn words_never_captioned_are_errors_without_latency() {
        let heard = utterance(&[(10.5, Final, 0, "b d")]);
        let scores = score(&meeting("a b c d"), &[heard], 10.0);
        assert_eq!((scores.word_errors, scores.caption.len()), (2, 2));
        assert_eq!(scores.longest_deletion, 1);
    }

    #[test]
    fn erasure_counts_what_vanished_from_the_display() {
        let steady = utterance(&[
            (1.0, Partial, 0, "a b"),
            (1.1, Committed, 0, "a"),
            (1.2, Partial, 1, "b c"),
            (1.3, Final, 0, "a b c"),
        ]);
        assert_eq!(tail_retraction(&[steady]), 0.0);
        let flickering = utterance(&[
            (1.0, Partial, 0, "a x y"),
            (1.1, Partial, 0, "a b"),
            (1.2, Final, 0, "a b c d"),
        ]);
        assert_eq!(tail_retraction(&[flickering]), 0.5);
    }
}
