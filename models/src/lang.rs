//! Languages, as the outside world and as the engines name them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// ISO 639-1 code, ISO 639-3 code (Apertium's names) and English name.
const KNOWN: &[(&str, &str, &str)] = &[
    ("af", "afr", "Afrikaans"),
    ("ca", "cat", "Catalan"),
    ("de", "deu", "German"),
    ("en", "eng", "English"),
    ("eo", "epo", "Esperanto"),
    ("es", "spa", "Spanish"),
    ("eu", "eus", "Basque"),
    ("fr", "fra", "French"),
    ("gl", "glg", "Galician"),
    ("it", "ita", "Italian"),
    ("nl", "nld", "Dutch"),
    ("oc", "oci", "Occitan"),
    ("pl", "pol", "Polish"),
    ("pt", "por", "Portuguese"),
    ("ro", "ron", "Romanian"),
    ("ru", "rus", "Russian"),
    ("sv", "swe", "Swedish"),
    ("uk", "ukr", "Ukrainian"),
];

/// A language, by its BCP 47 primary subtag in lower case: `en`, `es`.
///
/// Region and script are dropped when parsed (`en-GB` is `en`), and ISO 639-3 codes of the
/// languages with a two-letter one are mapped to it (`spa` is `es`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lang {
    /// Lower-case ASCII letters, padded with zeros.
    code: [u8; 3],
}

impl Lang {
    /// English.
    pub const EN: Lang = Lang { code: *b"en\0" };
    /// Spanish.
    pub const ES: Lang = Lang { code: *b"es\0" };

    /// The primary subtag: two or three lower-case letters.
    pub fn as_str(&self) -> &str {
        let length = if self.code[2] == 0 { 2 } else { 3 };
        std::str::from_utf8(&self.code[..length]).unwrap_or("und")
    }

    /// The three-letter ISO 639-3 code, which Apertium uses: `eng`, `spa`.
    pub fn iso639_3(&self) -> &str {
        KNOWN
            .iter()
            .find(|(two, _, _)| *two == self.as_str())
            .map_or(self.as_str(), |(_, three, _)| three)
    }

    /// The English name, or the code when the name is not known here.
    pub fn english_name(&self) -> &str {
        KNOWN
            .iter()
            .find(|(two, _, _)| *two == self.as_str())
            .map_or(self.as_str(), |(_, _, name)| name)
    }
}

/// The text is not a language tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{tag}` is not a language tag; use a BCP 47 tag such as `en` or `es`")]
pub struct ParseLangError {
    /// What was given, cut to 32 characters.
    pub tag: String,
}

impl FromStr for Lang {
    type Err = ParseLangError;

    fn from_str(tag: &str) -> Result<Self, Self::Err> {
        let error = || ParseLangError {
            tag: tag.chars().take(32).collect(),
        };
        let primary = tag
            .split(['-', '_'])
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        let well_formed = |subtag: &str| {
            !subtag.is_empty()
                && subtag.len() <= 8
                && subtag.bytes().all(|b| b.is_ascii_alphanumeric())
        };
        if !(2..=3).contains(&primary.len())
            || !primary.bytes().all(|b| b.is_ascii_lowercase())
            || !tag.split(['-', '_']).all(well_formed)
        {
            return Err(error());
        }
        let primary = KNOWN
            .iter()
            .find(|(_, three, _)| *three == primary)
            .map_or(primary.as_str(), |(two, _, _)| two);
        let mut code = [0; 3];
        code[..primary.len()].copy_from_slice(primary.as_bytes());
        Ok(Lang { code })
    }
}

impl fmt::Display for Lang {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Lang {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lang({self})")
    }
}

impl Serialize for Lang {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Lang {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let tag = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        tag.parse().map_err(serde::de::Error::custom)
    }
}

/// A direction of translation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LangPair {
    /// The language translated from.
    pub from: Lang,
    /// The language translated to.
    pub to: Lang,
}

impl LangPair {
    /// The pair `from` → `to`.
    pub const fn new(from: Lang, to: Lang) -> Self {
        LangPair { from, to }
    }
}

impl fmt::Display for LangPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.from, self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn region_and_case_are_dropped_and_iso_639_3_is_mapped() {
        for tag in ["en", "EN", "en-GB", "en_US", "eng"] {
            assert_eq!(tag.parse::<Lang>(), Ok(Lang::EN), "{tag}");
        }
        assert_eq!("spa".parse::<Lang>(), Ok(Lang::ES));
        assert_eq!(Lang::ES.iso639_3(), "spa");
        assert_eq!(
            "ast".parse::<Lang>().map(|l| l.to_string()),
            Ok("ast".into())
        );
    }

    #[test]
    fn garbage_is_refused_with_what_to_do() {
        for tag in [
            "",
            "e",
            "english-language",
            "e1",
            "../es",
            "es;rm",
            "é",
            "es-",
            "es--x",
        ] {
            let error = tag.parse::<Lang>().expect_err(tag);
            assert!(error.to_string().contains("BCP 47"), "{error}");
        }
    }
}
