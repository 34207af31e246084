//! How a room and its participants ask for languages.
//!
//! A participant's attributes `hive.speaks` (one language) and `hive.listens` (one or more, with
//! commas between), and a room's metadata: a JSON object in which `hive` holds `speaks`, `languages`
//! and `captions`, such as `{"hive": {"languages": ["es"], "captions": true}}`. Metadata that is
//! something else is the application's own business.

use std::collections::{BTreeSet, HashMap};

use hive_models::Lang;
use serde_json::Value;

/// The attribute that says what language a participant speaks.
pub const SPEAKS: &str = "hive.speaks";
/// The attribute that says what languages a participant wants to hear and read.
pub const LISTENS: &str = "hive.listens";

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

/// The language that a participant says they speak.
pub(crate) fn speaks(attributes: &HashMap<String, String>) -> Option<Lang> {
    attributes.get(SPEAKS)?.trim().parse().ok()
}

/// The languages that a participant wants to hear; none if they do not say, which is not the same as
/// an empty list.
pub(crate) fn listens(attributes: &HashMap<String, String>) -> Option<BTreeSet<Lang>> {
    attributes.get(LISTENS).map(|text| split(text))
}

fn list(value: &Value) -> BTreeSet<Lang> {
    match value {
        Value::String(text) => split(text),
        Value::Array(items) => items
            .iter()
            .filter_map(Value::as_str)
            .flat_map(split)
            .collect(),
        _ => BTreeSet::new(),
    }
}

fn split(text: &str) -> BTreeSet<Lang> {
    text.split(',')
        .filter_map(|lang| lang.trim().parse().ok())
        .collect()
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

    #[test]
    fn an_empty_list_is_not_the_same_as_none() {
        assert_eq!(listens(&HashMap::new()), None);
        let attributes = HashMap::from([(LISTENS.to_owned(), String::new())]);
        assert_eq!(listens(&attributes), Some(BTreeSet::new()));
    }
}
