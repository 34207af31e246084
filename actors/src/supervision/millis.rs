//! Times as they stand in JSON: milliseconds.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serializer;

/// Since the Unix epoch.
pub(crate) fn unix<S: Serializer>(at: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    duration(
        &at.duration_since(UNIX_EPOCH).unwrap_or_default(),
        serializer,
    )
}

/// A length of time.
pub(crate) fn duration<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64() * 1000.0)
}
