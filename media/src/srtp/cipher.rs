//! The transforms of the negotiated profile, each sealing or opening one packet in place.

use aes::cipher::{KeyInit, StreamCipherCoreWrapper};
use ctr::cipher::{InnerIvInit, StreamCipher};
use ring::{aead, hmac};

use super::Profile;
use super::kdf::{Label, derive};

/// The keys of one direction, for RTP and for RTCP.
pub(super) struct Cipher {
    rtp: Keys,
    rtcp: Keys,
    profile: Profile,
}

enum Keys {
    Cm(Box<CmKeys>),
    Gcm(Box<GcmKeys>),
}

struct CmKeys {
    aes: aes::Aes128,
    mac: hmac::Key,
    salt: [u8; 14],
}

struct GcmKeys {
    key: aead::LessSafeKey,
    salt: [u8; 12],
}

/// The tag did not match: the packet is not from the peer, or not as the peer sent it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Forged;

impl Cipher {
    /// Derives the session keys. `None` if key or salt have another length than `profile` says.
    pub(super) fn new(profile: Profile, key: &[u8], salt: &[u8]) -> Option<Cipher> {
        if key.len() != profile.key_len() || salt.len() != profile.salt_len() {
            return None;
        }
        Some(Cipher {
            rtp: Keys::new(profile, key, salt, false)?,
            rtcp: Keys::new(profile, key, salt, true)?,
            profile,
        })
    }

    pub(super) fn tag_len(&self) -> usize {
        self.profile.tag_len()
    }

    /// Encrypts `packet[header..len]` and writes the tag after it. `packet` must have
    /// [`Cipher::tag_len`] bytes of room behind `len`. Returns the protected length.
    pub(super) fn seal_rtp(
        &self,
        packet: &mut [u8],
        header: usize,
        len: usize,
        ssrc: u32,
        index: u64,
    ) -> usize {
        match &self.rtp {
            Keys::Cm(keys) => {
                keys.apply(&mut packet[header..len], ssrc, index);
                let tag = keys.tag(&packet[..len], &((index >> 16) as u32).to_be_bytes());
                packet[len..len + 10].copy_from_slice(&tag);
                len + 10
            }
            Keys::Gcm(keys) => {
                let nonce = keys.rtp_nonce(ssrc, index);
                let (aad, rest) = packet.split_at_mut(header);
                let (payload, room) = rest.split_at_mut(len - header);
                keys.seal(nonce, aad, payload, room);
                len + 16
            }
        }
    }

    /// Checks the tag of `packet` and decrypts it. Returns the length without the tag.
    ///
    /// The caller made sure that `packet` is at least `header` plus [`Cipher::tag_len`] long.
    pub(super) fn open_rtp(
        &self,
        packet: &mut [u8],
        header: usize,
        ssrc: u32,
        index: u64,
    ) -> Result<usize, Forged> {
        let len = packet.len() - self.tag_len();
        match &self.rtp {
            Keys::Cm(keys) => {
                let tag = keys.tag(&packet[..len], &((index >> 16) as u32).to_be_bytes());
                same(&tag, &packet[len..])?;
                keys.apply(&mut packet[header..len], ssrc, index);
            }
            Keys::Gcm(keys) => {
                let nonce = keys.rtp_nonce(ssrc, index);
                let (aad, sealed) = packet.split_at_mut(header);
                keys.open(nonce, aad, sealed)?;
            }
        }
        Ok(len)
    }

    /// Protects the RTCP compound `packet[..len]` as number `index` (31 bits). `packet` must have
    /// room for [`super::MAX_RTCP_TRAILER`] more bytes. Returns the protected length.
    pub(super) fn seal_rtcp(&self, packet: &mut [u8], len: usize, ssrc: u32, index: u32) -> usize {
        let word = (index | 0x8000_0000).to_be_bytes();
        match &self.rtcp {
            Keys::Cm(keys) => {
                keys.apply(&mut packet[8..len], ssrc, u64::from(index));
                packet[len..len + 4].copy_from_slice(&word);
                let tag = keys.tag(&packet[..len + 4], &[]);
                packet[len + 4..len + 14].copy_from_slice(&tag);
                len + 14
            }
            Keys::Gcm(keys) => {
                let nonce = keys.rtcp_nonce(ssrc, index);
                let mut aad = [0; 12];
                aad[..8].copy_from_slice(&packet[..8]);
                aad[8..].copy_from_slice(&word);
                let (payload, room) = packet[8..].split_at_mut(len - 8);
                keys.seal(nonce, &aad, payload, room);
                packet[len + 16..len + 20].copy_from_slice(&word);
                len + 20
            }
        }
    }

    /// The index of a protected RTCP packet and the length of its compound, or `None` if it is too
    /// short. Nothing is authenticated yet.
    pub(super) fn rtcp_index(&self, packet: &[u8]) -> Option<u32> {
        if packet.len() < 8 + 4 + self.tag_len() {
            return None;
        }
        let at = match self.rtcp {
            Keys::Cm(_) => packet.len() - 14,
            Keys::Gcm(_) => packet.len() - 4,
        };
        let word = packet.get(at..at + 4)?;
        Some(u32::from_be_bytes([word[0], word[1], word[2], word[3]]))
    }

    /// Checks and decrypts a protected RTCP packet whose trailing word is `word`. Returns the length
    /// of the compound. An unencrypted (E = 0) packet is refused: WebRTC never sends one.
    pub(super) fn open_rtcp(
        &self,
        packet: &mut [u8],
        ssrc: u32,
        word: u32,
    ) -> Result<usize, Forged> {
        if word & 0x8000_0000 == 0 {
            return Err(Forged);
        }
        let index = word & 0x7FFF_FFFF;
        match &self.rtcp {
            Keys::Cm(keys) => {
                let signed = packet.len() - 10;
                let tag = keys.tag(&packet[..signed], &[]);
                same(&tag, &packet[signed..])?;
                keys.apply(&mut packet[8..signed - 4], ssrc, u64::from(index));
                Ok(signed - 4)
            }
            Keys::Gcm(keys) => {
                let nonce = keys.rtcp_nonce(ssrc, index);
                let mut aad = [0; 12];
                aad[..8].copy_from_slice(&packet[..8]);
                aad[8..].copy_from_slice(&word.to_be_bytes());
                let end = packet.len() - 4;
                keys.open(nonce, &aad, &mut packet[8..end])?;
                Ok(end - 16)
            }
        }
    }
}

impl Keys {
    fn new(profile: Profile, key: &[u8], salt: &[u8], rtcp: bool) -> Option<Keys> {
        match profile {
            Profile::Aes128CmSha1_80 => {
                let (mut session_key, mut auth_key, mut session_salt) = ([0; 16], [0; 20], [0; 14]);
                derive(key, salt, Label::Encryption, rtcp, &mut session_key)?;
                derive(key, salt, Label::Authentication, rtcp, &mut auth_key)?;
                derive(key, salt, Label::Salt, rtcp, &mut session_salt)?;
                Some(Keys::Cm(Box::new(CmKeys {
                    aes: aes::Aes128::new_from_slice(&session_key).ok()?,
                    mac: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &auth_key),
                    salt: session_salt,
                })))
            }
            Profile::AeadAes128Gcm | Profile::AeadAes256Gcm => {
                let (mut session_key, mut session_salt) = ([0; 32], [0; 12]);
                let session_key = &mut session_key[..key.len()];
                derive(key, salt, Label::Encryption, rtcp, session_key)?;
                derive(key, salt, Label::Salt, rtcp, &mut session_salt)?;
                let algorithm = if key.len() == 16 {
                    &aead::AES_128_GCM
                } else {
                    &aead::AES_256_GCM
                };
                Some(Keys::Gcm(Box::new(GcmKeys {
                    key: aead::LessSafeKey::new(
                        aead::UnboundKey::new(algorithm, session_key).ok()?,
                    ),
                    salt: session_salt,
                })))
            }
        }
    }
}

impl CmKeys {
    /// AES-CM over `data` with the IV of RFC 3711 §4.1.1; its own inverse.
    fn apply(&self, data: &mut [u8], ssrc: u32, index: u64) {
        let mut iv = [0u8; 16];
        iv[..14].copy_from_slice(&self.salt);
        for (byte, with) in iv[4..8].iter_mut().zip(ssrc.to_be_bytes()) {
            *byte ^= with;
        }
        for (byte, with) in iv[8..14].iter_mut().zip(&index.to_be_bytes()[2..]) {
            *byte ^= with;
        }
        let core = ctr::CtrCore::<&aes::Aes128, ctr::flavors::Ctr128BE>::inner_iv_init(
            &self.aes,
            &iv.into(),
        );
        StreamCipherCoreWrapper::from_core(core).apply_keystream(data);
    }

    /// HMAC-SHA1 over `signed` and `suffix`, truncated to 80 bits.
    fn tag(&self, signed: &[u8], suffix: &[u8]) -> [u8; 10] {
        let mut context = hmac::Context::with_key(&self.mac);
        context.update(signed);
        context.update(suffix);
        let mut tag = [0; 10];
        tag.copy_from_slice(&context.sign().as_ref()[..10]);
        tag
    }
}

impl GcmKeys {
    fn rtp_nonce(&self, ssrc: u32, index: u64) -> aead::Nonce {
        let mut nonce = self.salt;
        for (byte, with) in nonce[2..6].iter_mut().zip(ssrc.to_be_bytes()) {
            *byte ^= with;
        }
        for (byte, with) in nonce[6..].iter_mut().zip(&index.to_be_bytes()[2..]) {
            *byte ^= with;
        }
        aead::Nonce::assume_unique_for_key(nonce)
    }

    fn rtcp_nonce(&self, ssrc: u32, index: u32) -> aead::Nonce {
        let mut nonce = self.salt;
        for (byte, with) in nonce[2..6].iter_mut().zip(ssrc.to_be_bytes()) {
            *byte ^= with;
        }
        for (byte, with) in nonce[8..].iter_mut().zip(index.to_be_bytes()) {
            *byte ^= with;
        }
        aead::Nonce::assume_unique_for_key(nonce)
    }

    /// Seals `payload` and writes the 16-byte tag to the start of `room`.
    fn seal(&self, nonce: aead::Nonce, aad: &[u8], payload: &mut [u8], room: &mut [u8]) {
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce, aead::Aad::from(aad), payload)
            .expect("ring refuses only inputs over 64 GiB; a datagram is under 64 KiB");
        room[..16].copy_from_slice(tag.as_ref());
    }

    fn open(&self, nonce: aead::Nonce, aad: &[u8], sealed: &mut [u8]) -> Result<(), Forged> {
        match self.key.open_in_place(nonce, aead::Aad::from(aad), sealed) {
            Ok(_) => Ok(()),
            Err(_) => Err(Forged),
        }
    }
}

/// Compares two tags without telling by its duration where they differ.
fn same(left: &[u8; 10], right: &[u8]) -> Result<(), Forged> {
    let difference = left
        .iter()
        .zip(right)
        .fold(0u8, |all, (left, right)| all | (left ^ right));
    if right.len() == left.len() && std::hint::black_box(difference) == 0 {
        Ok(())
    } else {
        Err(Forged)
    }
}
