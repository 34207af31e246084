//! Where an utterance that goes on is cut, so that its translation can be spoken before it ends.

use hive_models::stt::Word;

use super::samples;
use crate::settings::ClauseSettings;

/// Words before which English, and with it most of its neighbours, starts a new thought.
const CONJUNCTIONS: &[&str] = &[
    "and", "but", "because", "so", "or", "which", "while", "when", "if", "then", "although",
    "where", "who", "that", "as", "since", "after", "before", "until", "though", "unless",
    "whether",
];

/// Words that have to follow before a clause is cut for its length alone: one or two left over would make
/// no sense by themselves, and would wait for all of the clause to be spoken.
const FOLLOWING: usize = 3;

/// The index at which the clause that starts at `from` ends, if `words` (the utterance's committed
/// ones) hold a place for it: the first pause or conjunction after `min_words`, otherwise `max_words`
/// once some more follow. A word that nothing follows yet is never cut off, as the utterance's end will
/// do it better.
pub(crate) fn cut(words: &[Word], from: usize, settings: &ClauseSettings) -> Option<usize> {
    let pause = samples(settings.pause);
    let min = settings.min_words.max(1);
    let max = settings.max_words.max(min);
    for at in from + min..words.len() {
        let gap = words[at].start.saturating_sub(words[at - 1].end);
        let good = gap >= pause || CONJUNCTIONS.contains(&words[at].text.as_str());
        if good {
            return Some(at);
        }
        if at - from >= max {
            return (words.len() >= at + FOLLOWING).then_some(at);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(texts: &[&str]) -> Vec<Word> {
        let word = |(i, text): (usize, &&str)| Word {
            text: (*text).into(),
            start: i as u64 * 4_800,
            end: (i as u64 + 1) * 4_800,
            confidence: None,
        };
        texts.iter().enumerate().map(word).collect()
    }

    fn settings() -> ClauseSettings {
        ClauseSettings {
            max_words: 6,
            min_words: 3,
            ..ClauseSettings::default()
        }
    }

    #[test]
    fn a_conjunction_or_a_pause_after_enough_words_ends_a_clause() {
        assert_eq!(
            cut(
                &words(&["and", "we", "go", "home", "and", "sleep"]),
                0,
                &settings()
            ),
            Some(4)
        );
        let mut paused = words(&["we", "go", "home", "now", "yes"]);
        paused[4].start += 4_000;
        assert_eq!(cut(&paused, 0, &settings()), Some(4));
    }

    #[test]
    fn without_either_it_ends_at_the_limit_once_more_words_follow() {
        let long = words(&["a"; 9]);
        assert_eq!(cut(&long, 0, &settings()), Some(6));
        assert_eq!(cut(&long[..8], 0, &settings()), None);
        assert_eq!(cut(&long, 6, &settings()), None);
    }
}
