//! LiveKit's server-side ids: a prefix for the kind, and enough randomness to be unique.

use std::sync::Arc;

use rand::Rng;
use rand::distr::Alphanumeric;

/// Characters after the prefix: 71 bits.
const LENGTH: usize = 12;

/// Of a room.
pub(crate) fn room() -> Arc<str> {
    sid("RM_")
}

/// Of one stay of a participant.
pub(crate) fn participant() -> Arc<str> {
    sid("PA_")
}

/// Of a published track.
pub(crate) fn track() -> Arc<str> {
    sid("TR_")
}

/// Of a text stream: no two of a room have the same, whoever began them.
pub(crate) fn stream() -> String {
    sid("ST_").to_string()
}

fn sid(prefix: &str) -> Arc<str> {
    let random = rand::rng().sample_iter(Alphanumeric).take(LENGTH);
    let random: String = random.map(char::from).collect();
    format!("{prefix}{random}").into()
}
