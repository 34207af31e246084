//! Plain text in and out of Apertium's stream format.
//!
//! In the stream `^…$` are words, `[…]` is passed through, `\` escapes the next character and NUL
//! flushes. Text that is not escaped swallows or empties later replies.

/// Ends every clause: a full stop, so that the tagger and transfer do not wait for more, in a
/// sentence of its own with the format's own end mark.
const END: &str = " .[][\n]";

/// What is sent for a clause, NUL included.
pub(super) fn request(clause: &str) -> Vec<u8> {
    let mut text = String::with_capacity(clause.len() + clause.len() / 8 + END.len() + 1);
    for character in clause.chars() {
        match character {
            '^' | '$' | '[' | ']' | '{' | '}' | '/' | '\\' | '@' | '<' | '>' => {
                text.push('\\');
                text.push(character);
            }
            _ if character.is_control() => text.push(' '),
            _ => text.push(character),
        }
    }
    text.push_str(END);
    text.push('\0');
    text.into_bytes()
}

/// The translation in a reply; none when the reply does not end as every request does.
pub(super) fn translation(reply: &[u8]) -> Option<String> {
    let reply = String::from_utf8_lossy(reply);
    let body = reply.strip_suffix("[][\n]")?.trim_end();
    let body = body.strip_suffix('.').unwrap_or(body);
    let mut text = String::with_capacity(body.len());
    let mut characters = body.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => text.extend(characters.next()),
            _ => text.push(character),
        }
    }
    let words: Vec<&str> = text
        .split_whitespace()
        .map(unmarked)
        .filter(|word| !word.is_empty())
        .collect();
    Some(words.join(" "))
}

/// The translation with the first letter as the clause has it: every request follows a full stop, so
/// Apertium begins them all with a capital letter.
pub(super) fn with_first_letter_of(clause: &str, translation: String) -> String {
    let Some(model) = clause.chars().find(|c| c.is_alphabetic()) else {
        return translation;
    };
    let Some((at, first)) = translation.char_indices().find(|(_, c)| c.is_alphabetic()) else {
        return translation;
    };
    let rest = &translation[at + first.len_utf8()..];
    let acronym = rest.starts_with(char::is_uppercase);
    let changed: String = match (model.is_uppercase(), first.is_uppercase()) {
        (true, false) => first.to_uppercase().collect(),
        (false, true) if !acronym => first.to_lowercase().collect(),
        _ => return translation,
    };
    format!("{}{changed}{rest}", &translation[..at])
}

/// The word without the mark of one that Apertium does not know (`*`), cannot translate (`@`) or
/// cannot inflect (`#`).
fn unmarked(word: &str) -> &str {
    match word.strip_prefix(['*', '@', '#']) {
        Some(rest) if rest.starts_with(char::is_alphabetic) => rest,
        _ => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_streams_own_characters_are_escaped() {
        assert_eq!(request("a^b"), b"a\\^b .[][\n]\0");
        assert_eq!(request("\\"), b"\\\\ .[][\n]\0");
        assert_eq!(request("a\0b\nc\u{85}"), b"a b c  .[][\n]\0");
    }

    #[test]
    fn a_reply_loses_its_end_and_its_marks() {
        assert_eq!(
            translation(b"Hola mundo.[][\n]").as_deref(),
            Some("Hola mundo")
        );
        assert_eq!(translation(b"Hola. .[][\n]").as_deref(), Some("Hola."));
        assert_eq!(
            translation(b"*Kubernetes @go #ser \\^x\\$ # 5 .[][\n]").as_deref(),
            Some("Kubernetes go ser ^x$ # 5")
        );
        assert_eq!(translation(b".[][\n]").as_deref(), Some(""));
    }

    #[test]
    fn the_first_letter_is_the_clauses() {
        let first =
            |clause: &str, translation: &str| with_first_letter_of(clause, translation.into());
        assert_eq!(first("the house", "La casa"), "la casa");
        assert_eq!(first("Thank you", "¡gracias!"), "¡Gracias!");
        assert_eq!(first("nato is", "OTAN es"), "OTAN es");
        assert_eq!(first("5", "Cinco"), "Cinco");
        assert_eq!(first("a", "5"), "5");
    }

    #[test]
    fn a_reply_without_the_end_is_none() {
        assert_eq!(translation(b"Hola"), None);
        assert_eq!(translation(b""), None);
    }
}
