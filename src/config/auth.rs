//! `auth`: who may sign tokens and who may ask for them.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::Secret;

/// Shortest secret that is accepted, in bytes: HMAC-SHA-256's output (RFC 7518, section 3.2).
pub const SHORTEST_SECRET: usize = 32;

/// Keys and the life of tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// API key (`iss` of a token) → the secret that signs its tokens.
    pub keys: BTreeMap<String, Secret>,
    /// Bearer keys of services that may ask for tokens and see `/supervision`.
    pub service_keys: Vec<Secret>,
    /// Life of an issued token when nobody says.
    #[serde(with = "super::duration")]
    pub default_ttl: Duration,
    /// Longest life of an issued token.
    #[serde(with = "super::duration")]
    pub max_ttl: Duration,
    /// How far clocks may be apart.
    #[serde(with = "super::duration")]
    pub leeway: Duration,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            keys: BTreeMap::new(),
            service_keys: Vec::new(),
            default_ttl: Duration::from_secs(6 * 3600),
            max_ttl: Duration::from_secs(24 * 3600),
            leeway: Duration::from_secs(10),
        }
    }
}
