//! Who comes in: the long-term credential mechanism (RFC 8489, section 9.2) over derived credentials, without
//! memory of anybody. A stranger costs one answer, whatever source address they show.

use std::net::SocketAddr;

use turn_server_proto::types::stun::{
    attribute::{ErrorCode, MessageIntegrity, Nonce, Realm, Username as UsernameAttribute},
    message::{IntegrityAlgorithm, IntegrityKey, LongTermCredentials, Message},
    prelude::AttributeStaticType,
};

use super::{
    answer,
    credentials::{SharedSecret, Username},
    nonce::Nonces,
    telemetry::{self, AuthFailure},
};

/// Knows credentials when it sees them.
pub(super) struct Door {
    realm: String,
    secret: SharedSecret,
    nonces: Nonces,
}

/// Somebody with good credentials.
#[derive(Clone)]
pub(super) struct User {
    /// Whose credentials they are; quotas count by this.
    pub(super) name: String,
    pub(super) credentials: LongTermCredentials,
    pub(super) key: IntegrityKey,
}

/// Whether credentials that have expired are still good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expiry {
    /// They are not: for a new allocation.
    Enforced,
    /// They are, for the allocation that they opened in time; as a token's `exp` bounds joining, not staying.
    Waived,
}

impl Door {
    pub(super) fn new(realm: String, secret: SharedSecret) -> Self {
        Self {
            realm,
            secret,
            nonces: Nonces::new(),
        }
    }

    pub(super) fn realm(&self) -> &str {
        &self.realm
    }

    /// Who sent a request, or what to answer. `now` is Unix seconds.
    pub(super) fn examine(
        &self,
        request: &Message<'_>,
        client: SocketAddr,
        expiry: Expiry,
        now: u64,
    ) -> Result<User, Vec<u8>> {
        let challenge =
            |code| answer::challenge(request, code, &self.realm, &self.nonces.issue(client, now));
        let refuse = |why| {
            telemetry::auth_failed(why);
            challenge(ErrorCode::UNAUTHORIZED)
        };
        // Nonces of ours do not offer RFC 8489's newer algorithms, so nobody signs with SHA-256.
        if !request.has_attribute(MessageIntegrity::TYPE) {
            return Err(challenge(ErrorCode::UNAUTHORIZED));
        }
        let (Ok(username), Ok(_), Ok(nonce)) = (
            request.attribute::<UsernameAttribute>(),
            request.attribute::<Realm>(),
            request.attribute::<Nonce>(),
        ) else {
            return Err(answer::unsigned(request, ErrorCode::BAD_REQUEST));
        };
        // First, because it is what a forged source address cannot have, and cheap.
        if !self.nonces.knows(nonce.nonce(), client, now) {
            return Err(challenge(ErrorCode::STALE_NONCE));
        }
        let Some(said) = Username::parse(username.username()) else {
            return Err(refuse(AuthFailure::Username));
        };
        let user = self.user(username.username(), said.user);
        if request.validate_integrity_with_key(&user.key).is_err() {
            return Err(refuse(AuthFailure::Password));
        }
        if expiry == Expiry::Enforced && said.expires_at <= now {
            return Err(refuse(AuthFailure::Expired));
        }
        Ok(user)
    }

    fn user(&self, username: &str, name: &str) -> User {
        let password = self.secret.password(username).expose().to_owned();
        let credentials = LongTermCredentials::new(username.to_owned(), password);
        let key = credentials
            .to_key(self.realm.clone())
            .make_key(IntegrityAlgorithm::Sha1);
        User {
            name: name.to_owned(),
            credentials,
            key,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::Secret,
        turn::test_client::{Asking, ask, code},
    };

    const NOW: u64 = 1000;

    fn door() -> Door {
        Door::new("hive".to_owned(), SharedSecret::new(&Secret::new("north")))
    }

    fn client() -> SocketAddr {
        "192.0.2.1:5000".parse().expect("an address")
    }

    fn examined(door: &Door, request: &[u8], expiry: Expiry, now: u64) -> Result<String, u16> {
        let request = Message::from_bytes(request).expect("STUN");
        door.examine(&request, client(), expiry, now)
            .map(|user| user.name)
            .map_err(|answer| code(&answer))
    }

    #[test]
    fn a_stranger_is_asked_for_credentials_and_comes_in_with_them() {
        let door = door();
        let request = ask(&Asking::default());
        let message = Message::from_bytes(&request).expect("STUN");
        let Err(challenge) = door.examine(&message, client(), Expiry::Enforced, NOW) else {
            panic!("without credentials");
        };
        assert!(challenge.len() < 150, "{} bytes", challenge.len());
        let challenge = Message::from_bytes(&challenge).expect("STUN");
        let nonce = challenge.attribute::<Nonce>().expect("a nonce");
        let signed = ask(&Asking {
            nonce: Some(nonce.nonce()),
            credentials: Some(&SharedSecret::new(&Secret::new("north")).credentials("ann", 2000)),
            ..Asking::default()
        });
        assert_eq!(
            examined(&door, &signed, Expiry::Enforced, NOW),
            Ok("ann".to_owned())
        );
    }

    #[test]
    fn wrong_and_expired_credentials_and_old_nonces_are_refused() {
        let door = door();
        let nonce = door.nonces.issue(client(), NOW);
        let signed = |secret: &str, expires_at, nonce: &str| {
            ask(&Asking {
                nonce: Some(nonce),
                credentials: Some(
                    &SharedSecret::new(&Secret::new(secret)).credentials("ann", expires_at),
                ),
                ..Asking::default()
            })
        };
        let wrong = signed("south", 2000, &nonce);
        assert_eq!(examined(&door, &wrong, Expiry::Enforced, NOW), Err(401));
        let expired = signed("north", NOW, &nonce);
        assert_eq!(examined(&door, &expired, Expiry::Enforced, NOW), Err(401));
        assert_eq!(
            examined(&door, &expired, Expiry::Waived, NOW),
            Ok("ann".to_owned()),
            "a living allocation is refreshed"
        );
        let wrong = signed("south", NOW, &nonce);
        assert_eq!(examined(&door, &wrong, Expiry::Waived, NOW), Err(401));
        let stale = signed("north", 2000, "0.AAAA");
        assert_eq!(examined(&door, &stale, Expiry::Enforced, NOW), Err(438));
        let good = signed("north", 9000, &nonce);
        assert_eq!(
            examined(&door, &good, Expiry::Enforced, NOW + 3600),
            Err(438)
        );
    }

    #[test]
    fn half_a_proof_is_a_bad_request() {
        let unnamed = ask(&Asking {
            credentials: Some(&SharedSecret::random().credentials("ann", 2000)),
            nonce: None,
            ..Asking::default()
        });
        assert_eq!(examined(&door(), &unnamed, Expiry::Enforced, NOW), Err(400));
    }
}
