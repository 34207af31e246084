//! JSON answers as LiveKit's server writes them: names as in the `.proto` files, and every field, set or not.
//!
//! What reads LiveKit's JSON without its libraries (`curl`, `jq`, PHP) counts on both. The mapping that the
//! messages bring along has camelCase and leaves defaults out, as protobuf's standard does.

use serde_json::{Map, Value, json};

/// The fields of a message, by their names in the `.proto` files.
pub(super) type Fields = &'static [(&'static str, Field)];

/// A field that is no `oneof` and not `optional`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Field {
    Text,
    /// Of at most 32 bits.
    Number,
    /// Of 64 bits, which JSON has as a string.
    Long,
    Flag,
    /// An enumeration, and the name of its 0.
    Choice(&'static str),
    /// Of anything but messages with fields of their own.
    List,
    Map,
    Message(Fields),
    Messages(Fields),
}

impl Field {
    fn unset(self) -> Value {
        match self {
            Field::Text => json!(""),
            Field::Number => json!(0),
            Field::Long => json!("0"),
            Field::Flag => json!(false),
            Field::Choice(zero) => json!(zero),
            Field::List | Field::Messages(_) => json!([]),
            Field::Map => json!({}),
            Field::Message(_) => Value::Null,
        }
    }

    fn shape(self, value: Value) -> Value {
        match (self, value) {
            (Field::Message(fields), value) => shape(value, fields),
            (Field::Messages(fields), Value::Array(values)) => {
                let shaped = values.into_iter().map(|value| shape(value, fields));
                shaped.collect()
            }
            (_, value) => value,
        }
    }
}

/// A message in protobuf's standard JSON, as LiveKit's server has it.
pub(super) fn shape(message: Value, fields: Fields) -> Value {
    let mut given = match message {
        Value::Object(given) => given,
        _ => Map::new(),
    };
    let shaped = fields.iter().map(|(name, field)| {
        let value = given.remove(&camel_case(name));
        let value = value.map_or_else(|| field.unset(), |value| field.shape(value));
        ((*name).to_owned(), value)
    });
    shaped.collect()
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        let (first, rest) = word.split_at(word.len().min(1));
        camel.push_str(&first.to_ascii_uppercase());
        camel.push_str(rest);
    }
    camel
}

#[cfg(test)]
mod tests {
    use super::*;

    const INNER: Fields = &[("unix_micro", Field::Long)];
    const OUTER: Fields = &[
        ("name", Field::Text),
        ("num_publishers", Field::Number),
        ("attributes", Field::Map),
        ("joined_at_ms", Field::Long),
        ("can_hear", Field::Flag),
        ("kind", Field::Choice("STANDARD")),
        ("version", Field::Message(INNER)),
        ("inner", Field::Messages(INNER)),
    ];

    #[test]
    fn every_field_is_there_under_its_own_name() {
        assert_eq!(
            shape(json!({}), OUTER),
            json!({
                "name": "", "num_publishers": 0, "attributes": {}, "joined_at_ms": "0", "can_hear": false,
                "kind": "STANDARD", "version": null, "inner": [],
            })
        );
        assert_eq!(
            shape(
                json!({
                    "numPublishers": 2, "joinedAtMs": "7", "version": { "unixMicro": "1" }, "inner": [{}],
                    "attributes": { "lk.camelCase": "keepsIt" },
                }),
                OUTER
            ),
            json!({
                "name": "", "num_publishers": 2, "attributes": { "lk.camelCase": "keepsIt" }, "joined_at_ms": "7",
                "can_hear": false, "kind": "STANDARD", "version": { "unix_micro": "1" },
                "inner": [{ "unix_micro": "0" }],
            })
        );
    }
}
