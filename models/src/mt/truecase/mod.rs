//! Capital letters for recognised words, which have none, before translation.
//!
//! Apertium looks words up as written: `i think` has no pronoun in it for Apertium, `monday` is no
//! weekday and `john` is an unknown word. The lists are modest on purpose: a word that is also a
//! common one (`may`, `march`, `will`, `mark`, `turkey`) is left alone unless its neighbours decide.

mod names;

use self::names::{
    BEFORE_MONTH, DOUBTFUL_MONTHS, FIRST_NAMES, ORDINALS, PLACES_AND_PEOPLES, SEVERAL_WORDS,
    TITLES, WEEKDAYS_AND_MONTHS,
};
use crate::Lang;

/// The clause with capital letters where the language's spelling has them. `starts_sentence` gives
/// the first word one. Words that have a capital already are left as they are; languages without
/// rules here get only the first letter. Spaces are made single.
pub fn truecase(lang: Lang, clause: &str, starts_sentence: bool) -> String {
    let words: Vec<&str> = clause.split_whitespace().collect();
    let mut capital: Vec<bool> = match lang {
        Lang::EN => (0..words.len()).map(|i| is_capital(&words, i)).collect(),
        _ => vec![false; words.len()],
    };
    if lang == Lang::EN {
        for name in SEVERAL_WORDS {
            for (at, window) in words.windows(name.len()).enumerate() {
                if window
                    .iter()
                    .zip(*name)
                    .all(|(word, part)| bare(word) == *part)
                {
                    capital[at..at + name.len()].fill(true);
                }
            }
        }
    }
    if let Some(first) = capital.first_mut() {
        *first |= starts_sentence;
    }
    let spelt = words
        .iter()
        .zip(capital)
        .map(|(word, capital)| spell(word, capital));
    spelt.collect::<Vec<_>>().join(" ")
}

fn is_capital(words: &[&str], at: usize) -> bool {
    let word = bare(words[at]);
    let stem = word.strip_suffix("'s").unwrap_or(word);
    let before = at.checked_sub(1).map(|i| bare(words[i]));
    let after = words.get(at + 1).map(|word| bare(word));
    if matches!(word, "i" | "i'm" | "i've" | "i'll" | "i'd") {
        return true;
    }
    if DOUBTFUL_MONTHS.contains(&word) {
        let number = |word: &str| {
            ORDINALS.contains(&word) || word.starts_with(|first: char| first.is_ascii_digit())
        };
        return before.is_some_and(|word| BEFORE_MONTH.contains(&word))
            || after.is_some_and(number);
    }
    // A name goes on after its first part only when a title says that it is one.
    let after_title = before.is_some_and(|word| TITLES.contains(&word))
        || (at >= 2
            && TITLES.contains(&bare(words[at - 2]))
            && before.is_some_and(is_first_name)
            && !is_function_word(word));
    WEEKDAYS_AND_MONTHS.contains(&stem)
        || is_first_name(stem)
        || PLACES_AND_PEOPLES.binary_search(&stem).is_ok()
        || (after_title && !is_function_word(word))
}

fn is_first_name(word: &str) -> bool {
    FIRST_NAMES.binary_search(&word).is_ok()
}

/// Words that never are part of a name, however they follow one.
fn is_function_word(word: &str) -> bool {
    const WORDS: &[&str] = &[
        "a", "about", "after", "an", "and", "are", "as", "asked", "at", "because", "but", "by",
        "came", "can", "could", "did", "does", "for", "from", "gave", "goes", "had", "has", "have",
        "he", "her", "his", "if", "in", "is", "it", "just", "may", "might", "must", "not", "now",
        "of", "on", "or", "said", "says", "she", "should", "so", "that", "the", "their", "then",
        "they", "thinks", "to", "told", "wants", "was", "we", "went", "were", "when", "who",
        "will", "with", "would", "you",
    ];
    WORDS.contains(&word)
}

/// The word without punctuation around it.
fn bare(word: &str) -> &str {
    word.trim_matches(|c: char| !c.is_alphanumeric() && c != '\'')
}

fn spell(word: &str, capital: bool) -> String {
    if !capital || word.chars().any(char::is_uppercase) {
        return word.to_owned();
    }
    let Some((at, first)) = word.char_indices().find(|(_, c)| c.is_alphabetic()) else {
        return word.to_owned();
    };
    let rest = at + first.len_utf8();
    word[..at]
        .chars()
        .chain(first.to_uppercase())
        .chain(word[rest..].chars())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn en(clause: &str) -> String {
        truecase(Lang::EN, clause, false)
    }

    #[test]
    fn the_pronoun_and_its_contractions() {
        assert_eq!(
            en("i think i'm right and i've said i'll go"),
            "I think I'm right and I've said I'll go"
        );
        assert_eq!(en("it is in italics"), "it is in italics");
    }

    #[test]
    fn days_months_names_and_places() {
        assert_eq!(
            en("we'll see mary on monday in london"),
            "we'll see Mary on Monday in London"
        );
        assert_eq!(
            en("john's flight to new york is in december"),
            "John's flight to New York is in December"
        );
        assert_eq!(
            en("the spanish office of the united nations"),
            "the Spanish office of the United Nations"
        );
        assert_eq!(
            en("and mister john dashwood had then leisure"),
            "and mister John Dashwood had then leisure"
        );
        assert_eq!(en("mister john said so"), "mister John said so");
    }

    #[test]
    fn words_that_may_be_names_need_a_reason() {
        assert_eq!(en("you may go"), "you may go");
        assert_eq!(en("it ends in may"), "it ends in May");
        assert_eq!(en("on may third"), "on May third");
        assert_eq!(en("they march on"), "they march on");
        assert_eq!(en("will mark bill them"), "will mark bill them");
    }

    #[test]
    fn sentences_start_with_a_capital_when_they_start() {
        assert_eq!(truecase(Lang::EN, "thank you", true), "Thank you");
        assert_eq!(truecase(Lang::ES, "ésta es", true), "Ésta es");
        assert_eq!(truecase(Lang::ES, "hola john", false), "hola john");
        assert_eq!(truecase(Lang::EN, "", true), "");
    }

    #[test]
    fn other_text_passes_through() {
        assert_eq!(en("NATO iPhone \"i\" 😀 <b>"), "NATO iPhone \"I\" 😀 <b>");
        assert_eq!(en(" a \n b "), "a b");
    }

    #[test]
    fn searched_lists_are_sorted() {
        assert!(FIRST_NAMES.is_sorted());
        assert!(PLACES_AND_PEOPLES.is_sorted());
    }
}
