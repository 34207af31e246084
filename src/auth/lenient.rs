//! Claims as LiveKit's libraries write them: what is not said may be left out, empty or null.

use serde::{Deserialize, Deserializer, de::Error};

use super::Identity;

/// `null` is the default, as to Go's decoder.
pub(super) fn null_is_default<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::deserialize(from).map(Option::unwrap_or_default)
}

/// An empty text says nothing.
pub(super) fn text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let text: Option<String> = Option::deserialize(from)?;
    Ok(text.filter(|text| !text.is_empty()))
}

/// An empty identity is none: livekit-api writes one into its servers' tokens.
pub(super) fn identity<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Identity>, D::Error> {
    text(from)?
        .map(|text| text.parse())
        .transpose()
        .map_err(D::Error::custom)
}

/// Whether there is nothing to write.
pub(super) fn is_false(value: &bool) -> bool {
    !value
}
