//! Who may do what: tokens in LiveKit's claim layout (JWT, HS256) and the keys of services.

mod claims;
mod grant;
mod lenient;
mod names;
mod service_key;
mod tokens;

pub use claims::Claims;
pub use grant::VideoGrant;
pub use names::{Identity, InvalidName, RoomName};
pub use service_key::ServiceKeys;
pub use tokens::{IssueTokenError, Keyring, VerifyTokenError};

use std::time::{SystemTime, UNIX_EPOCH};

/// Now, in Unix seconds, as `exp` and `nbf` count (RFC 7519).
pub fn unix_seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
