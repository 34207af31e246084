//! Credentials that are derived, not stored: coturn's `use-auth-secret`, draft-uberti-behave-turn-rest.
//!
//! The user name is `<expiry, Unix seconds>:<identity>`, the password is the Base64 of its HMAC-SHA-1 under a
//! secret that the signalling and the TURN server share. SHA-1 is what the scheme and STUN ask for; as an HMAC
//! it is not broken.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use rand::{TryRngCore, rngs::OsRng};
use ring::hmac;

use crate::config::Secret;

/// What credentials are derived from.
#[derive(Clone)]
pub struct SharedSecret(hmac::Key);

/// What a client shows to a TURN server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// ASCII without characters that a header would have to escape.
    pub username: String,
    /// The password.
    pub credential: Secret,
}

/// A user name taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Username<'t> {
    /// Unix seconds from which it opens no allocation.
    pub(super) expires_at: u64,
    /// Whose it is.
    pub(super) user: &'t str,
}

impl SharedSecret {
    /// The secret that several servers share.
    pub fn new(secret: &Secret) -> Self {
        Self::from_bytes(secret.expose().as_bytes())
    }

    /// One that nobody else has.
    pub fn random() -> Self {
        let mut bytes = [0; 32];
        OsRng
            .try_fill_bytes(&mut bytes)
            .expect("the operating system has randomness");
        Self::from_bytes(&bytes)
    }

    fn from_bytes(bytes: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, bytes))
    }

    /// Credentials of an identity that open allocations until `expires_at`, in Unix seconds.
    pub fn credentials(&self, identity: &str, expires_at: u64) -> Credentials {
        let username = format!("{expires_at}:{}", escaped(identity));
        let credential = self.password(&username);
        Credentials {
            username,
            credential,
        }
    }

    /// The password of any user name.
    pub(super) fn password(&self, username: &str) -> Secret {
        Secret::new(STANDARD.encode(hmac::sign(&self.0, username.as_bytes())))
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl<'t> Username<'t> {
    /// `None` is no user name of this scheme.
    pub(super) fn parse(text: &'t str) -> Option<Self> {
        let (expires_at, user) = text.split_once(':')?;
        Some(Self {
            expires_at: expires_at.parse().ok()?,
            user,
        })
    }
}

/// Percent-encoded (RFC 3986) but for unreserved characters: identities may hold any text, and a user name goes
/// into a header and through clients that disagree about SASLprep.
fn escaped(identity: &str) -> String {
    let mut text = String::with_capacity(identity.len());
    for byte in identity.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SharedSecret {
        SharedSecret::new(&Secret::new(text))
    }

    #[test]
    fn passwords_are_those_of_coturn() {
        // `echo -n 1433895918:ann | openssl dgst -binary -sha1 -hmac north | openssl base64`, which is how
        // coturn's README.turnserver derives them.
        assert_eq!(
            secret("north").password("1433895918:ann").expose(),
            "zAlhH20kpuDJR8ZKdq5vyQV+Ung="
        );
        // The vector of pion/turn's lt_cred_test.go.
        assert_eq!(
            secret("foobar").password("1599491771").expose(),
            "Tpz/nKkyvX/vMSLKvL4sbtBt8Vs="
        );
    }

    #[test]
    fn credentials_say_until_when_and_whose() {
        let credentials = secret("north").credentials("ann", 1_433_895_918);
        assert_eq!(credentials.username, "1433895918:ann");
        assert_eq!(
            credentials.credential.expose(),
            "zAlhH20kpuDJR8ZKdq5vyQV+Ung="
        );
        assert_eq!(
            Username::parse(&credentials.username),
            Some(Username {
                expires_at: 1_433_895_918,
                user: "ann"
            })
        );
        for other in ["", "ann", "ann:1433895918", ":", "-1:ann"] {
            assert_eq!(Username::parse(other), None, "{other}");
        }
    }

    #[test]
    fn any_identity_becomes_a_plain_user_name() {
        let credentials = secret("north").credentials("Zoë \"Z\": 100%", 7);
        assert_eq!(credentials.username, "7:Zo%C3%AB%20%22Z%22%3A%20100%25");
        let longest = secret("north").credentials(&"ë".repeat(64), u64::MAX);
        assert!(longest.username.len() <= 508, "RFC 8489, section 14.3");
    }

    #[test]
    fn a_shared_secret_does_not_show_itself() {
        let secret = secret("swordfish");
        let shown = format!("{secret:?} {:?}", secret.credentials("ann", 1));
        assert!(!shown.contains("swordfish"), "{shown}");
        let password = secret.password("1:ann");
        assert!(!shown.contains(password.expose()), "{shown}");
    }
}
