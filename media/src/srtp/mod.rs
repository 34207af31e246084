//! SRTP and SRTCP in place (RFC 3711, RFC 7714).
//!
//! The forward path protects one packet per subscriber, so nothing here allocates per packet and
//! every operation works inside the buffer that goes to the socket.

mod cipher;
mod kdf;
mod protect;
mod replay;
mod unprotect;

pub use protect::Protect;
pub use unprotect::{Unprotect, UnprotectError};

use cipher::Cipher;

/// The longest authentication tag any profile appends to an RTP packet, in bytes.
pub const MAX_TAG: usize = 16;
/// The most bytes SRTCP adds: tag and index.
pub const MAX_RTCP_TRAILER: usize = MAX_TAG + 4;

/// The protection profiles this server negotiates by DTLS-SRTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// `SRTP_AES128_CM_HMAC_SHA1_80` (RFC 5764); Chromium picks it whenever it is offered.
    Aes128CmSha1_80,
    /// `SRTP_AEAD_AES_128_GCM` (RFC 7714).
    AeadAes128Gcm,
    /// `SRTP_AEAD_AES_256_GCM` (RFC 7714).
    AeadAes256Gcm,
}

impl Profile {
    /// Master key length in bytes.
    pub fn key_len(self) -> usize {
        match self {
            Profile::Aes128CmSha1_80 | Profile::AeadAes128Gcm => 16,
            Profile::AeadAes256Gcm => 32,
        }
    }

    /// Master salt length in bytes.
    pub fn salt_len(self) -> usize {
        match self {
            Profile::Aes128CmSha1_80 => 14,
            Profile::AeadAes128Gcm | Profile::AeadAes256Gcm => 12,
        }
    }

    /// Bytes the tag adds to an RTP packet.
    pub fn tag_len(self) -> usize {
        match self {
            Profile::Aes128CmSha1_80 => 10,
            Profile::AeadAes128Gcm | Profile::AeadAes256Gcm => 16,
        }
    }

    /// Bytes to export from DTLS: both keys and both salts.
    pub fn keying_len(self) -> usize {
        2 * (self.key_len() + self.salt_len())
    }
}

/// Splits what DTLS exported (RFC 5764 §4.2) into the two directions of the DTLS *server*: what it
/// sends is protected by the first, what it receives is unprotected by the second.
///
/// `material` holds client key, server key, client salt, server salt, [`Profile::keying_len`] bytes
/// in all; `None` if it has another length.
pub fn server_contexts(profile: Profile, material: &[u8]) -> Option<(Protect, Unprotect)> {
    if material.len() != profile.keying_len() {
        return None;
    }
    let (keys, salts) = material.split_at(2 * profile.key_len());
    let (client_key, server_key) = keys.split_at(profile.key_len());
    let (client_salt, server_salt) = salts.split_at(profile.salt_len());
    Some((
        Protect::new(Cipher::new(profile, server_key, server_salt)?),
        Unprotect::new(Cipher::new(profile, client_key, client_salt)?),
    ))
}

#[cfg(test)]
mod tests;
