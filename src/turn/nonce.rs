//! Nonces that need no memory: each says until when it is good, and a key that lives as long as the process
//! signs that together with the client's address (RFC 8489, section 9.2, asks for both).
//!
//! A server that remembers the nonces it gave out can be filled up by anybody who forges source addresses.

use std::net::SocketAddr;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{hmac, rand::SystemRandom};
use subtle::ConstantTimeEq;

/// Seconds for which a nonce is good: the most that RFC 8656 (section 5) recommends.
const LIFE: u64 = 3600;
/// Bytes of the tag; 96 bits are as many as SRTP's, and a short answer is a small one for a forged question.
const TAG: usize = 12;

/// Gives out nonces and knows them again.
pub(super) struct Nonces(hmac::Key);

impl Nonces {
    pub(super) fn new() -> Self {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        Self(key.expect("the operating system has randomness"))
    }

    /// A nonce for a client at `now`, in Unix seconds.
    pub(super) fn issue(&self, client: SocketAddr, now: u64) -> String {
        let until = now.saturating_add(LIFE);
        format!(
            "{until:x}.{}",
            URL_SAFE_NO_PAD.encode(self.tag(client, until))
        )
    }

    /// Whether it was issued to this client and is still good.
    pub(super) fn knows(&self, nonce: &str, client: SocketAddr, now: u64) -> bool {
        let Some((until, tag)) = nonce.split_once('.') else {
            return false;
        };
        let (Ok(until), Ok(tag)) = (u64::from_str_radix(until, 16), URL_SAFE_NO_PAD.decode(tag))
        else {
            return false;
        };
        until > now && bool::from(self.tag(client, until).ct_eq(&tag))
    }

    fn tag(&self, client: SocketAddr, until: u64) -> [u8; TAG] {
        let tag = hmac::sign(&self.0, format!("{client} {until}").as_bytes());
        let mut short = [0; TAG];
        short.copy_from_slice(&tag.as_ref()[..TAG]);
        short
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_good_for_one_address_and_one_hour() {
        let (ours, others) = (Nonces::new(), Nonces::new());
        let ann = "192.0.2.1:5000".parse().expect("an address");
        let bob = "192.0.2.1:5001".parse().expect("an address");
        let nonce = ours.issue(ann, 1000);
        assert!(nonce.len() < 128, "RFC 8489, section 14.10");
        assert!(ours.knows(&nonce, ann, 1000));
        assert!(ours.knows(&nonce, ann, 1000 + LIFE - 1));
        assert!(!ours.knows(&nonce, ann, 1000 + LIFE));
        assert!(!ours.knows(&nonce, bob, 1000));
        assert!(!others.knows(&nonce, ann, 1000));
        let stretched = format!("f{nonce}");
        for forged in ["", ".", "zz.zz", "ffffffff.", &stretched] {
            assert!(!ours.knows(forged, ann, 1000), "{forged}");
        }
    }
}
