//! How a receiver knows that a post is ours and whole: a token with the body's SHA-256.

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::digest::{SHA256, digest};

use crate::auth::{Claims, IssueTokenError, Keyring};

/// How long a signature is good for, in seconds: LiveKit's 5 minutes.
const LIFE: u64 = 300;

/// Signs bodies with the secret of an API key.
#[derive(Clone)]
pub(super) struct Signer {
    pub(super) keyring: Keyring,
    pub(super) api_key: String,
    /// Unix seconds.
    pub(super) now: fn() -> u64,
}

impl Signer {
    /// The token that goes with `body`.
    pub(super) fn sign(&self, body: &[u8]) -> Result<String, IssueTokenError> {
        let now = (self.now)();
        self.keyring.sign(&Claims {
            iss: self.api_key.clone(),
            nbf: Some(now),
            exp: now.saturating_add(LIFE),
            sha256: Some(STANDARD.encode(digest(&SHA256, body))),
            ..Claims::default()
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::config::{Auth, Secret};
    use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
    use serde_json::{Value, json};

    const SECRET: &str = "d8Qk1mZpX0aLw7vTn3RyUe5BhJc9GsFo";

    pub(in super::super) fn signer() -> Signer {
        let mut auth = Auth::default();
        auth.keys.insert("key".to_owned(), Secret::new(SECRET));
        Signer {
            keyring: Keyring::new(&auth),
            api_key: "key".to_owned(),
            now: || 1_800_000_000,
        }
    }

    #[test]
    fn the_token_holds_the_bodys_digest_and_little_else() {
        let body = br#"{"event":"room_started","id":"EV_1"}"#;
        let token = signer().sign(body).expect("signed");
        let mut validation = Validation::new(Algorithm::HS256);
        validation.validate_exp = false;
        let key = DecodingKey::from_secret(SECRET.as_bytes());
        let claims = decode::<Value>(&token, &key, &validation)
            .expect("HS256")
            .claims;
        assert_eq!(
            claims,
            json!({
                "iss": "key",
                "nbf": 1_800_000_000,
                "exp": 1_800_000_300,
                // printf '{"event":"room_started","id":"EV_1"}' | openssl dgst -sha256 -binary | base64
                "sha256": "ZYQ+lXP6v+9WEJABoE/0hl6cUiPYTBHbDM4ow9BzwQE=",
            })
        );
    }

    #[test]
    fn a_key_that_is_not_there_signs_nothing() {
        let mut signer = signer();
        signer.api_key = "other".to_owned();
        assert_eq!(signer.sign(b"x"), Err(IssueTokenError::NoKey));
    }
}
