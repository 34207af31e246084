//! How a room and its participants ask for languages.
//!
//! A participant's attributes `hive.speaks` (one language) and `hive.listens` (one or more, with
//! commas between), and a room's metadata: a JSON object in which `hive` holds `speaks`, `languages`
//! and `captions`, such as `{"hive": {"languages": ["es"], "captions": true}}`. Metadata that is
//! something else is the application's own business.

use std::collections::{BTreeSet, HashMap};

use hive_models::{Lang, LangPair, ParseLangError};
use serde_json::Value;

use crate::engines::Engines;

/// The attribute that says what language a participant speaks.
pub const SPEAKS: &str = "hive.speaks";
/// The attribute that says what languages a participant wants to hear and read.
pub const LISTENS: &str = "hive.listens";

/// What `hive.listens` holds for nothing at all. An attribute with an empty value is one that goes.
const NOTHING: &str = "none";

/// Languages that a participant or a room may ask for; of more the first are taken.
const MAX_LANGUAGES: usize = 8;

/// What a participant's attributes say of languages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Languages {
    /// What they speak.
    pub(crate) speaks: Option<Lang>,
    /// What they want to hear and read; none if they do not say, which is not the same as an empty
    /// list.
    pub(crate) listens: Option<BTreeSet<Lang>>,
}

/// What an attribute says of languages cannot be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LanguageError {
    #[error("{attribute}: {reason}")]
    NotALanguage {
        attribute: &'static str,
        reason: ParseLangError,
    },
    #[error("{attribute} may name {max} languages at most", max = MAX_LANGUAGES)]
    TooMany { attribute: &'static str },
    #[error("{name}: nothing is interpreted into `{lang}` here; possible are {}", list_of(.pairs), name = LISTENS)]
    NotInterpreted { lang: Lang, pairs: Vec<LangPair> },
}

impl Languages {
    /// Reads a participant's attributes: what can be read, and what cannot.
    pub(crate) fn read(attributes: &HashMap<String, String>) -> (Self, Vec<LanguageError>) {
        let mut errors = Vec::new();
        let mut parse = |attribute: &'static str, tag: &str| match tag.trim().parse::<Lang>() {
            Ok(lang) => Some(lang),
            Err(reason) => {
                errors.push(LanguageError::NotALanguage { attribute, reason });
                None
            }
        };
        let speaks = attributes.get(SPEAKS).and_then(|tag| parse(SPEAKS, tag));
        let listens = attributes.get(LISTENS).map(|text| {
            let tags = text.split(',').filter(|tag| !tag.trim().is_empty());
            tags.filter(|tag| tag.trim() != NOTHING)
                .take(MAX_LANGUAGES + 1)
                .filter_map(|tag| parse(LISTENS, tag))
                .collect::<BTreeSet<Lang>>()
        });
        let mut languages = Languages { speaks, listens };
        if let Some(listens) = &mut languages.listens
            && listens.len() > MAX_LANGUAGES
        {
            errors.push(LanguageError::TooMany { attribute: LISTENS });
            *listens = listens.iter().copied().take(MAX_LANGUAGES).collect();
        }
        (languages, errors)
    }

    /// Why a participant may not ask for these languages, if they may not.
    pub(crate) fn refusal(
        attributes: &HashMap<String, String>,
        engines: &Engines,
    ) -> Option<LanguageError> {
        if !attributes.contains_key(SPEAKS) && !attributes.contains_key(LISTENS) {
            return None;
        }
        let given = |(name, value): &(&String, &String)| {
            (*name == SPEAKS || *name == LISTENS) && !value.is_empty()
        };
        let asked = attributes.iter().filter(given);
        let asked = asked.map(|(name, value)| (name.clone(), value.clone()));
        let (languages, errors) = Languages::read(&asked.collect());
        errors.into_iter().next().or_else(|| {
            let mut listens = languages.listens.iter().flatten();
            let lang = *listens.find(|lang| !engines.leads_to(**lang))?;
            let pairs = engines.pairs();
            Some(LanguageError::NotInterpreted { lang, pairs })
        })
    }
}

fn list_of(pairs: &[LangPair]) -> String {
    let pairs: Vec<String> = pairs.iter().map(LangPair::to_string).collect();
    pairs.join(", ")
}

/// What a room's metadata asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RoomLanguages {
    /// What is spoken by whoever does not say otherwise.
    pub(crate) speaks: Option<Lang>,
    /// What the room is interpreted into.
    pub(crate) languages: BTreeSet<Lang>,
    /// Whether what is said is written down even if nothing is interpreted.
    pub(crate) captions: bool,
}

impl RoomLanguages {
    /// Reads a room's metadata.
    pub(crate) fn of(metadata: &str) -> Self {
        let Ok(Value::Object(top)) = serde_json::from_str(metadata) else {
            return RoomLanguages::default();
        };
        let nested = top.get("hive").and_then(Value::as_object);
        let field = |name: &str| {
            let flat = top.get(&format!("hive.{name}"));
            nested.and_then(|hive| hive.get(name)).or(flat)
        };
        let languages = field("languages").or_else(|| field("listens"));
        RoomLanguages {
            speaks: field("speaks")
                .and_then(Value::as_str)
                .and_then(|lang| lang.trim().parse().ok()),
            languages: languages.map(list).unwrap_or_default(),
            captions: field("captions").and_then(Value::as_bool).unwrap_or(false),
        }
    }
}

fn list(value: &Value) -> BTreeSet<Lang> {
    let tags: Vec<&str> = match value {
        Value::String(text) => text.split(',').collect(),
        Value::Array(items) => items
            .iter()
            .filter_map(Value::as_str)
            .flat_map(|text| text.split(','))
            .collect(),
        _ => Vec::new(),
    };
    let known = tags.into_iter().filter_map(|tag| tag.trim().parse().ok());
    known.take(MAX_LANGUAGES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_asks_for_languages_nested_or_flat_as_a_list_or_with_commas() {
        for metadata in [
            r#"{"hive": {"languages": ["es"], "speaks": "en"}}"#,
            r#"{"hive": {"languages": "es", "speaks": "en"}, "other": 1}"#,
            r#"{"hive.languages": ["es"], "hive.speaks": "en"}"#,
        ] {
            let languages = RoomLanguages::of(metadata);
            assert_eq!(languages.languages, [Lang::ES].into(), "{metadata}");
            assert_eq!(languages.speaks, Some(Lang::EN), "{metadata}");
        }
    }

    #[test]
    fn other_metadata_asks_for_nothing() {
        for metadata in [
            "",
            "hello",
            "[1]",
            "{}",
            r#"{"hive": 3}"#,
            r#"{"hive": {"languages": [7, "!"]}}"#,
        ] {
            assert_eq!(
                RoomLanguages::of(metadata),
                RoomLanguages::default(),
                "{metadata}"
            );
        }
    }

    fn listening_to(value: &str) -> HashMap<String, String> {
        HashMap::from([(LISTENS.to_owned(), value.to_owned())])
    }

    #[test]
    fn an_empty_list_is_not_the_same_as_none() {
        assert_eq!(Languages::read(&HashMap::new()).0.listens, None);
        for nothing in ["", "none"] {
            let (languages, errors) = Languages::read(&listening_to(nothing));
            assert_eq!(languages.listens, Some(BTreeSet::new()));
            assert!(errors.is_empty(), "{errors:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_left_out_and_said() {
        let (languages, errors) = Languages::read(&listening_to("es, Klingon"));
        assert_eq!(languages.listens, Some([Lang::ES].into()));
        let [error] = &errors[..] else {
            panic!("{errors:?}")
        };
        assert!(error.to_string().contains("Klingon"), "{error}");
    }

    #[test]
    fn languages_are_not_asked_for_without_end() {
        let tags: Vec<String> = ('a'..='z').map(|letter| format!("a{letter}")).collect();
        let (languages, errors) = Languages::read(&listening_to(&tags.join(",")));
        assert_eq!(languages.listens.map(|it| it.len()), Some(MAX_LANGUAGES));
        assert_eq!(errors, [LanguageError::TooMany { attribute: LISTENS }]);
        let metadata = serde_json::json!({"hive": {"languages": tags}}).to_string();
        let asks = RoomLanguages::of(&metadata);
        assert_eq!(asks.languages.len(), MAX_LANGUAGES);
    }
}
