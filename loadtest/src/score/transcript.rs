//! Source captions put together: utterances, what was shown of them, and when.

use std::collections::HashMap;

use crate::clock::Clock;
use crate::peer::events::{Caption, CaptionKind, Event, ReceivedEvent};

use super::words::normalise;

/// A word of an utterance.
#[derive(Debug, Clone, PartialEq)]
pub struct ShownWord {
    /// Index in the utterance.
    pub index: usize,
    /// The word, normalised.
    pub text: String,
    /// Start on the speaker's media clock, seconds.
    pub start: Option<f64>,
    /// End on the speaker's media clock, seconds.
    pub end: Option<f64>,
}

/// A caption event of an utterance.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// When it reached the client, seconds.
    pub at: f64,
    /// How settled it is.
    pub kind: CaptionKind,
    /// Index of the first word that is not in an earlier committed event.
    pub from: usize,
    /// Its words.
    pub words: Vec<ShownWord>,
    /// Time the engine computed, ms.
    pub compute_ms: f64,
}

/// One utterance of one speaker.
#[derive(Debug, Clone, PartialEq)]
pub struct Utterance {
    /// Its id.
    pub id: String,
    /// Who said it.
    pub speaker: String,
    /// Every event, in the order they arrived.
    pub shown: Vec<Shown>,
}

impl Utterance {
    /// The words in the end: those of the final event, or without one the committed ones.
    pub fn words(&self) -> Vec<ShownWord> {
        let last = |kind| {
            self.shown
                .iter()
                .rev()
                .find(move |shown| shown.kind == kind)
        };
        if let Some(shown) = last(CaptionKind::Final) {
            return shown.words.clone();
        }
        let mut words = self
            .committed()
            .map(|(_, word)| word.clone())
            .collect::<Vec<_>>();
        words.sort_by_key(|word| word.index);
        words.dedup_by_key(|word| word.index);
        words
    }

    /// Whether the final event came.
    pub fn is_final(&self) -> bool {
        self.shown
            .iter()
            .any(|shown| shown.kind == CaptionKind::Final)
    }

    /// Every word of every committed event.
    pub fn committed(&self) -> impl Iterator<Item = (&Shown, &ShownWord)> {
        self.shown
            .iter()
            .filter(|shown| shown.kind == CaptionKind::Committed)
            .flat_map(|shown| shown.words.iter().map(move |word| (shown, word)))
    }

    /// Start of the first word, or else the first event; orders the utterances of a speaker.
    fn order(&self, start: f64) -> f64 {
        self.words()
            .first()
            .and_then(|word| word.start)
            .or_else(|| self.shown.first().map(|shown| shown.at - start))
            .unwrap_or(f64::INFINITY)
    }
}

/// Gather the source captions of a language into utterances, in the order they were said.
///
/// `start` is when the speakers' media clocks began, seconds on `clock`.
pub fn utterances(
    events: &[ReceivedEvent],
    lang: &str,
    clock: &Clock,
    start: f64,
) -> Vec<Utterance> {
    let mut gathered: Vec<Utterance> = Vec::new();
    let mut index = HashMap::<String, usize>::new();
    for event in events {
        let Event::Caption(caption) = &event.envelope.event else {
            continue;
        };
        if caption.translated || caption.lang != lang {
            continue;
        }
        let position = *index.entry(caption.utterance.clone()).or_insert_with(|| {
            gathered.push(Utterance {
                id: caption.utterance.clone(),
                speaker: caption.speaker.clone(),
                shown: Vec::new(),
            });
            gathered.len() - 1
        });
        gathered[position]
            .shown
            .push(shown(caption, clock.seconds(event.at)));
    }
    gathered.sort_by(|a, b| a.order(start).total_cmp(&b.order(start)));
    gathered
}

/// A caption event as it is scored.
pub(super) fn shown(caption: &Caption, at: f64) -> Shown {
    let words = caption.words.iter().enumerate().map(|(n, word)| ShownWord {
        index: word.i.unwrap_or(caption.from + n),
        text: normalise(&word.text),
        start: word.start_ms.map(|ms| ms / 1000.0),
        end: word.end_ms.map(|ms| ms / 1000.0),
    });
    Shown {
        at,
        kind: caption.kind,
        from: caption.from,
        words: words.collect(),
        compute_ms: caption.compute_ms.unwrap_or(0.0),
    }
}

#[cfg(test)]
pub(super) mod samples {
    use super::*;

    /// An utterance from (time, kind, from, words "a b c") with words of 0.1 s from 0.
    pub(crate) fn utterance(events: &[(f64, CaptionKind, usize, &str)]) -> Utterance {
        let shown = events.iter().map(|(at, kind, from, text)| Shown {
            at: *at,
            kind: *kind,
            from: *from,
            words: text
                .split_whitespace()
                .enumerate()
                .map(|(n, text)| ShownWord {
                    index: from + n,
                    text: text.to_owned(),
                    start: Some((from + n) as f64 * 0.1),
                    end: Some((from + n) as f64 * 0.1 + 0.1),
                })
                .collect(),
            compute_ms: 10.0,
        });
        Utterance {
            id: "a-0".to_owned(),
            speaker: "a".to_owned(),
            shown: shown.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::samples::utterance;
    use super::*;
    use CaptionKind::{Committed, Final, Partial};

    fn texts(utterance: &Utterance) -> String {
        let words = utterance.words();
        let texts = words.iter().map(|w| w.text.as_str()).collect::<Vec<_>>();
        texts.join(" ")
    }

    #[test]
    fn the_final_event_has_the_last_word() {
        let events = [
            (1.0, Partial, 0, "a x"),
            (1.2, Committed, 0, "a"),
            (1.5, Final, 0, "a b"),
        ];
        assert_eq!(texts(&utterance(&events)), "a b");
    }

    #[test]
    fn without_a_final_event_the_committed_words_stand() {
        let events = [(1.2, Committed, 0, "a b"), (1.3, Committed, 2, "c")];
        let utterance = utterance(&events);
        assert_eq!(texts(&utterance), "a b c");
        assert!(!utterance.is_final());
    }
}
