//! Commas after the words that people begin with, which recognisers leave out.
//!
//! `hello i am here` is a greeting and a clause. Without the comma Apertium's tagger takes `I` for a
//! letter of the alphabet (`hola I soy aquí`) and `no` for a determiner (`ningún es`).

use crate::Lang;

/// What is said before a clause and is no part of it.
const OPENERS: &[&[&str]] = &[
    &["all", "right"],
    &["excuse", "me"],
    &["good", "afternoon"],
    &["good", "evening"],
    &["good", "morning"],
    &["good", "night"],
    &["of", "course"],
    &["thank", "you"],
    &["thank", "you", "very", "much"],
    &["goodbye"],
    &["hello"],
    &["hi"],
    &["no"],
    &["okay"],
    &["oh"],
    &["sorry"],
    &["thanks"],
    &["well"],
    &["yes"],
];

/// Words that begin a clause and do not continue an opener.
const BEGINNINGS: &[&str] = &[
    "can", "could", "did", "do", "does", "he", "how", "i", "i'd", "i'll", "i'm", "i've", "is",
    "it", "it's", "let", "let's", "my", "our", "please", "she", "should", "that", "that's",
    "there", "there's", "these", "they", "this", "we", "we'll", "we're", "we've", "what", "when",
    "where", "who", "why", "will", "would", "you", "you're",
];

/// The clause with a comma after each interjection at its beginning. Only English has rules; spaces are
/// made single.
pub fn set_off(lang: Lang, clause: &str) -> String {
    let words: Vec<&str> = clause.split_whitespace().collect();
    let mut text = String::with_capacity(clause.len() + 2);
    let mut at = 0;
    if lang == Lang::EN {
        while let Some(length) = opener(&words[at..]) {
            let (interjection, rest) = words[at..].split_at(length);
            let set_off = rest.first().is_some_and(|next| BEGINNINGS.contains(next));
            if !set_off && opener(rest).is_none() {
                break;
            }
            push(&mut text, interjection);
            text.push(',');
            at += length;
        }
    }
    push(&mut text, &words[at..]);
    text
}

/// How many of the first words are one interjection.
fn opener(words: &[&str]) -> Option<usize> {
    let matching = OPENERS.iter().filter(|opener| words.starts_with(opener));
    matching.map(|opener| opener.len()).max()
}

fn push(text: &mut String, words: &[&str]) {
    for word in words {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn en(clause: &str) -> String {
        set_off(Lang::EN, clause)
    }

    #[test]
    fn a_greeting_or_an_answer_is_set_off() {
        assert_eq!(en("hello i am here"), "hello, i am here");
        assert_eq!(en("no it is too high"), "no, it is too high");
        assert_eq!(
            en("yes thank you very much i will"),
            "yes, thank you very much, i will"
        );
    }

    #[test]
    fn what_belongs_together_stays_together() {
        for whole in [
            "thank you for coming",
            "no one knows",
            "good morning everybody",
            "we said no it seems",
            "well known people",
            "yes",
            "",
        ] {
            assert_eq!(en(whole), whole);
        }
        assert_eq!(set_off(Lang::ES, "no he visto"), "no he visto");
    }
}
