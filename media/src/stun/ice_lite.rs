//! Answers to the peer's connectivity checks (RFC 8445 §7.3, as the lite agent).

use std::net::SocketAddr;

use rand::Rng;
use rtc_crypto::RTCCryptoProvider;
use rtc_crypto::providers::RingProvider;
use rtc_stun::attributes::{ATTR_FINGERPRINT, ATTR_ICE_CONTROLLED, ATTR_USE_CANDIDATE};
use rtc_stun::error_code::ErrorCodeAttribute;
use rtc_stun::fingerprint::FINGERPRINT;
use rtc_stun::integrity::MessageIntegrity;
use rtc_stun::message::{BINDING_ERROR, BINDING_SUCCESS, Message, Setter};
use rtc_stun::xoraddr::XorMappedAddress;

/// A user name fragment and its password.
#[derive(Clone, PartialEq, Eq)]
pub struct IceCredentials {
    /// `a=ice-ufrag`.
    pub ufrag: String,
    /// `a=ice-pwd`. A secret: never logged.
    pub pwd: String,
}

impl std::fmt::Debug for IceCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IceCredentials")
            .field("ufrag", &self.ufrag)
            .finish_non_exhaustive()
    }
}

impl IceCredentials {
    /// Random credentials: 48 and 144 bits, more than RFC 8445 §5.3 asks for.
    pub fn generate(random: &mut impl Rng) -> IceCredentials {
        const ALPHABET: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = |len: usize| -> String {
            (0..len)
                .map(|_| char::from(ALPHABET[random.random_range(0..ALPHABET.len())]))
                .collect()
        };
        IceCredentials {
            ufrag: text(8),
            pwd: text(24),
        }
    }
}

/// A check that was not answered with success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// Not a STUN message after all.
    #[error("the binding request is malformed")]
    Malformed,
    /// The sender does not know the password.
    #[error("the binding request's integrity does not match")]
    Integrity,
}

/// What a valid check asks for.
#[derive(Debug)]
pub struct Checked {
    /// The response to send back to where the request came from.
    pub response: Vec<u8>,
    /// Whether the path works: false if the response is an error.
    pub success: bool,
    /// Whether the peer nominates this path.
    pub nominated: bool,
}

/// Checks a binding request with `local`'s password and makes the response to it.
///
/// # Errors
///
/// See [`CheckError`]; nothing is answered then, so that the server reflects nothing to strangers.
pub fn answer_check(
    datagram: &[u8],
    from: SocketAddr,
    local: &IceCredentials,
) -> Result<Checked, CheckError> {
    let provider = RingProvider::default();
    let mut request = Message::new();
    request
        .unmarshal_binary(datagram)
        .map_err(|_| CheckError::Malformed)?;
    if request.contains(ATTR_FINGERPRINT) && FINGERPRINT.check(&request).is_err() {
        return Err(CheckError::Malformed);
    }
    MessageIntegrity::check(&mut request, local.pwd.as_bytes(), provider.crypto())
        .map_err(|_| CheckError::Integrity)?;

    // A lite agent is always controlled; a full peer that believes the same must change its mind.
    let conflict = request.contains(ATTR_ICE_CONTROLLED);
    let integrity = MessageIntegrity::new_short_term_integrity_with_provider(
        local.pwd.clone(),
        provider.crypto(),
    );
    let mut response = Message::new();
    response.set_type(if conflict {
        BINDING_ERROR
    } else {
        BINDING_SUCCESS
    });
    response.transaction_id = request.transaction_id;
    response.write_header();
    let body: Box<dyn Setter> = if conflict {
        Box::new(ErrorCodeAttribute {
            code: rtc_stun::error_code::CODE_ROLE_CONFLICT,
            reason: b"Role Conflict".to_vec(),
        })
    } else {
        Box::new(XorMappedAddress {
            ip: from.ip(),
            port: from.port(),
        })
    };
    body.add_to(&mut response)
        .and_then(|()| integrity.add_to(&mut response))
        .and_then(|()| FINGERPRINT.add_to(&mut response))
        .map_err(|_| CheckError::Malformed)?;
    Ok(Checked {
        response: response.raw,
        success: !conflict,
        nominated: !conflict && request.contains(ATTR_USE_CANDIDATE),
    })
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rtc_stun::attributes::{ATTR_ICE_CONTROLLING, ATTR_USERNAME, AttrType};
    use rtc_stun::message::{BINDING_REQUEST, Getter};

    use super::*;

    fn credentials() -> IceCredentials {
        IceCredentials::generate(&mut rand::rngs::StdRng::seed_from_u64(1))
    }

    fn request(pwd: &str, attributes: &[AttrType]) -> Vec<u8> {
        let provider = RingProvider::default();
        let mut message = Message::new();
        message.set_type(BINDING_REQUEST);
        message.write_header();
        message.add(ATTR_USERNAME, b"ours:theirs");
        for &attribute in attributes {
            message.add(
                attribute,
                &[0; 8][..if attribute == ATTR_USE_CANDIDATE {
                    0
                } else {
                    8
                }],
            );
        }
        MessageIntegrity::new_short_term_integrity_with_provider(pwd.into(), provider.crypto())
            .add_to(&mut message)
            .unwrap();
        FINGERPRINT.add_to(&mut message).unwrap();
        message.raw
    }

    #[test]
    fn tells_a_valid_peer_its_address() {
        let local = credentials();
        for from in ["192.0.2.7:4567", "[2001:db8::9]:4567"] {
            let from: SocketAddr = from.parse().unwrap();
            let request = request(&local.pwd, &[ATTR_ICE_CONTROLLING, ATTR_USE_CANDIDATE]);
            let checked = answer_check(&request, from, &local).unwrap();
            assert!(checked.success && checked.nominated);
            let mut response = Message::new();
            response.unmarshal_binary(&checked.response).unwrap();
            assert_eq!(response.transaction_id.0, request[8..20]);
            let mut mapped = XorMappedAddress::default();
            mapped.get_from(&response).unwrap();
            assert_eq!(SocketAddr::new(mapped.ip, mapped.port), from);
            FINGERPRINT.check(&response).unwrap();
            let provider = RingProvider::default();
            MessageIntegrity::check(&mut response, local.pwd.as_bytes(), provider.crypto())
                .unwrap();
        }
    }

    #[test]
    fn answers_nobody_without_the_password() {
        let from = "192.0.2.7:1".parse().unwrap();
        let local = credentials();
        let request = request("something else", &[]);
        assert_eq!(
            answer_check(&request, from, &local).unwrap_err(),
            CheckError::Integrity
        );
        assert_eq!(
            answer_check(&request[..40], from, &local).unwrap_err(),
            CheckError::Malformed
        );
    }

    #[test]
    fn a_controlled_peer_is_told_of_the_conflict() {
        let from = "192.0.2.7:1".parse().unwrap();
        let local = credentials();
        let request = request(&local.pwd, &[ATTR_ICE_CONTROLLED, ATTR_USE_CANDIDATE]);
        let checked = answer_check(&request, from, &local).unwrap();
        assert!(!checked.success && !checked.nominated);
    }

    #[test]
    fn the_password_is_not_in_debug_output() {
        let local = credentials();
        assert!(!format!("{local:?}").contains(&local.pwd));
    }
}
