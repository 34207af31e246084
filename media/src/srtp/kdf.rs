//! Session keys from the master key and salt (RFC 3711 §4.3.3: AES in counter mode as the PRF).

use aes::cipher::consts::U16;
use aes::cipher::generic_array::GenericArray;
use aes::cipher::{BlockEncrypt, BlockSizeUser, KeyInit};

/// What a derived key is for; the values are RFC 3711's labels for RTP, RTCP's are 3 higher.
#[derive(Clone, Copy)]
pub(super) enum Label {
    Encryption = 0,
    Authentication = 1,
    Salt = 2,
}

/// Fills `out` with the session key of `label`, for RTCP if `rtcp`.
///
/// `key` is 16 or 32 bytes, `salt` 12 or 14; `None` for any other key length.
pub(super) fn derive(
    key: &[u8],
    salt: &[u8],
    label: Label,
    rtcp: bool,
    out: &mut [u8],
) -> Option<()> {
    let label = label as u8 + if rtcp { 3 } else { 0 };
    match key.len() {
        16 => expand(&aes::Aes128::new_from_slice(key).ok()?, salt, label, out),
        32 => expand(&aes::Aes256::new_from_slice(key).ok()?, salt, label, out),
        _ => None,
    }
}

fn expand<C>(cipher: &C, salt: &[u8], label: u8, out: &mut [u8]) -> Option<()>
where
    C: BlockEncrypt + BlockSizeUser<BlockSize = U16>,
{
    for (counter, chunk) in out.chunks_mut(16).enumerate() {
        let mut block = [0u8; 16];
        block.get_mut(..salt.len())?.copy_from_slice(salt);
        block[7] ^= label;
        block[15] ^= counter as u8;
        let mut block = GenericArray::from(block);
        cipher.encrypt_block(&mut block);
        chunk.copy_from_slice(&block[..chunk.len()]);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3711 appendix B.3.
    #[test]
    fn derives_the_keys_of_the_rfc() {
        let key = [
            0xE1, 0xF9, 0x7A, 0x0D, 0x3E, 0x01, 0x8B, 0xE0, 0xD6, 0x4F, 0xA3, 0x2C, 0x06, 0xDE,
            0x41, 0x39,
        ];
        let salt = [
            0x0E, 0xC6, 0x75, 0xAD, 0x49, 0x8A, 0xFE, 0xEB, 0xB6, 0x96, 0x0B, 0x3A, 0xAB, 0xE6,
        ];
        let mut cipher_key = [0; 16];
        derive(&key, &salt, Label::Encryption, false, &mut cipher_key).unwrap();
        assert_eq!(
            cipher_key,
            [
                0xC6, 0x1E, 0x7A, 0x93, 0x74, 0x4F, 0x39, 0xEE, 0x10, 0x73, 0x4A, 0xFE, 0x3F, 0xF7,
                0xA0, 0x87
            ]
        );
        let mut session_salt = [0; 14];
        derive(&key, &salt, Label::Salt, false, &mut session_salt).unwrap();
        assert_eq!(
            session_salt,
            [
                0x30, 0xCB, 0xBC, 0x08, 0x86, 0x3D, 0x8C, 0x85, 0xD4, 0x9D, 0xB3, 0x4A, 0x9A, 0xE1
            ]
        );
        let mut auth_key = [0; 20];
        derive(&key, &salt, Label::Authentication, false, &mut auth_key).unwrap();
        assert_eq!(auth_key[..4], [0xCE, 0xBE, 0x32, 0x1F]);
    }
}
