//! Durations in the configuration are written with a unit: `250ms`, `30s`, `2h`.
//!
//! A bare number is refused: half of the world's configuration mistakes are a unit that was guessed.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer};

pub(super) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&humantime::format_duration(*value))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    parse(&text).map_err(serde::de::Error::custom)
}

/// Parses `250ms`, `30s`, `1h 30m`; the error says how a duration is written.
pub fn parse(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| {
        format!("`{text}` is no duration ({error}); write it like 250ms, 30s or 2h")
    })
}

#[cfg(test)]
mod tests {
    use super::parse;
    use std::time::Duration;

    #[test]
    fn a_duration_has_a_unit() {
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse("2h"), Ok(Duration::from_secs(7200)));
        let error = parse("30").expect_err("no unit");
        assert!(error.contains("30s"), "{error}");
    }
}
