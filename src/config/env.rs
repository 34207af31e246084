//! `HIVE__SECTION__KEY`: the environment as overrides of the configuration.

use serde_norway::{Mapping, Value};

use super::LoadConfigError;

/// What an overriding variable's name starts with.
pub const VARIABLE_PREFIX: &str = "HIVE__";

/// One variable, taken apart.
pub(super) struct Override {
    pub(super) name: String,
    path: Vec<String>,
    text: String,
}

/// The variables that override something, by name, so that the result does not depend on their order.
pub(super) fn overrides(
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Vec<Override>, LoadConfigError> {
    let mut found = Vec::new();
    for (name, text) in environment {
        let Some(rest) = name.strip_prefix(VARIABLE_PREFIX) else {
            continue;
        };
        let path: Vec<String> = rest.split("__").map(str::to_ascii_lowercase).collect();
        if path.iter().any(String::is_empty) {
            return Err(LoadConfigError::Variable {
                name,
                reason: "it has an empty part".to_owned(),
            });
        }
        if path.len() < 2 {
            return Err(LoadConfigError::Variable {
                name,
                reason: "it names a section, not a key".to_owned(),
            });
        }
        found.push(Override { name, path, text });
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

impl Override {
    /// What the text may mean: YAML (so numbers, booleans and `[lists]` have their types), or itself.
    pub(super) fn readings(&self) -> Vec<Value> {
        let text = Value::String(self.text.clone());
        match serde_norway::from_str::<Value>(&self.text) {
            Ok(typed) if typed != text => vec![typed, text],
            _ => vec![text],
        }
    }

    /// Puts a value at the variable's place.
    pub(super) fn lay(&self, tree: &mut Value, value: Value) -> Result<(), LoadConfigError> {
        let (last, sections) = self
            .path
            .split_last()
            .expect("split yields at least one part");
        let mut place = tree;
        for section in sections {
            place = self
                .mapping(place)?
                .entry(Value::String(section.clone()))
                .or_insert_with(|| Value::Mapping(Mapping::new()));
        }
        self.mapping(place)?
            .insert(Value::String(last.clone()), value);
        Ok(())
    }

    fn mapping<'t>(&self, place: &'t mut Value) -> Result<&'t mut Mapping, LoadConfigError> {
        if place.is_null() {
            *place = Value::Mapping(Mapping::new());
        }
        place
            .as_mapping_mut()
            .ok_or_else(|| LoadConfigError::Variable {
                name: self.name.clone(),
                reason: "it goes into a key that has no keys of its own".to_owned(),
            })
    }
}
