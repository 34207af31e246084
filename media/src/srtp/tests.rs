//! Byte for byte against `rtc-srtp`.

use rtc_crypto::RTCCryptoProvider;
use rtc_crypto::providers::RingProvider;
use rtc_srtp::context::Context;
use rtc_srtp::protection_profile::ProtectionProfile;

use super::*;

const PROFILES: [(Profile, ProtectionProfile); 3] = [
    (
        Profile::Aes128CmSha1_80,
        ProtectionProfile::Aes128CmHmacSha1_80,
    ),
    (Profile::AeadAes128Gcm, ProtectionProfile::AeadAes128Gcm),
    (Profile::AeadAes256Gcm, ProtectionProfile::AeadAes256Gcm),
];

fn material(profile: Profile) -> Vec<u8> {
    (0..profile.keying_len() as u8)
        .map(|byte| byte.wrapping_mul(37).wrapping_add(11))
        .collect()
}

/// The reference's context for one side: `client` true for what the client sends.
fn reference(profile: Profile, theirs: ProtectionProfile, client: bool) -> Context {
    let material = material(profile);
    let (keys, salts) = material.split_at(2 * profile.key_len());
    let side = usize::from(!client);
    let key = &keys[side * profile.key_len()..][..profile.key_len()];
    let salt = &salts[side * profile.salt_len()..][..profile.salt_len()];
    Context::new(
        key,
        salt,
        theirs,
        None,
        None,
        RingProvider::default().crypto(),
    )
    .unwrap()
}

fn packet(seq: u16) -> Vec<u8> {
    let mut packet = vec![0x90, 111];
    packet.extend(seq.to_be_bytes());
    packet.extend(u32::from(seq).wrapping_mul(960).to_be_bytes());
    packet.extend(0xDEAD_BEEF_u32.to_be_bytes());
    packet.extend([0xBE, 0xDE, 0, 1, 0x10, 0x55, 0, 0]);
    packet.extend((0..160).map(|byte| byte as u8 ^ seq as u8));
    packet
}

const HEADER: usize = 20;

#[test]
fn protects_like_the_reference_over_a_rollover() {
    for (profile, theirs) in PROFILES {
        let (protect, _) = server_contexts(profile, &material(profile)).unwrap();
        let mut reference = reference(profile, theirs, false);
        for index in 65_500u64..65_600 {
            let plain = packet(index as u16);
            let mut ours = plain.clone();
            ours.resize(plain.len() + MAX_TAG, 0);
            let len = protect.rtp(&mut ours, HEADER, plain.len(), 0xDEAD_BEEF, index);
            ours.truncate(len);
            let theirs = reference.encrypt_rtp(&plain).unwrap();
            assert_eq!(ours, theirs[..], "{profile:?} index {index}");
        }
    }
}

#[test]
fn unprotects_the_reference_once_only_and_reordered() {
    for (profile, theirs) in PROFILES {
        let (_, mut unprotect) = server_contexts(profile, &material(profile)).unwrap();
        let mut reference = reference(profile, theirs, true);
        let mut sealed: Vec<_> = (65_400u64..65_700)
            .map(|index| {
                reference
                    .encrypt_rtp(&packet(index as u16))
                    .unwrap()
                    .to_vec()
            })
            .collect();
        sealed.swap(135, 140);
        sealed.swap(4, 2);
        for bytes in &sealed {
            let seq = u16::from_be_bytes([bytes[2], bytes[3]]);
            let mut copy = bytes.clone();
            let len = unprotect.rtp(&mut copy, HEADER, 0xDEAD_BEEF, seq).unwrap();
            assert_eq!(copy[..len], packet(seq)[..], "{profile:?} seq {seq}");
            let mut again = bytes.clone();
            assert_eq!(
                unprotect.rtp(&mut again, HEADER, 0xDEAD_BEEF, seq),
                Err(UnprotectError::Replayed)
            );
        }
    }
}

#[test]
fn a_forged_packet_leaves_no_trace() {
    for (profile, theirs) in PROFILES {
        let (_, mut unprotect) = server_contexts(profile, &material(profile)).unwrap();
        let good = reference(profile, theirs, true)
            .encrypt_rtp(&packet(7))
            .unwrap();
        for at in [0, 3, 9, HEADER, good.len() - 1] {
            let mut bad = good.to_vec();
            bad[at] ^= 0x01;
            let seq = u16::from_be_bytes([bad[2], bad[3]]);
            let ssrc = u32::from_be_bytes([bad[8], bad[9], bad[10], bad[11]]);
            assert_eq!(
                unprotect.rtp(&mut bad, HEADER, ssrc, seq),
                Err(UnprotectError::Forged)
            );
        }
        assert_eq!(unprotect.len(), 0);
        assert_eq!(
            unprotect.rtp(&mut good[..HEADER + 3].to_vec(), HEADER, 0xDEAD_BEEF, 7),
            Err(UnprotectError::TooShort)
        );
        assert!(
            unprotect
                .rtp(&mut good.to_vec(), HEADER, 0xDEAD_BEEF, 7)
                .is_ok()
        );
    }
}

/// A receiver report without blocks, then a BYE.
fn compound() -> Vec<u8> {
    vec![0x80, 201, 0, 1, 1, 2, 3, 4, 0x81, 203, 0, 1, 1, 2, 3, 4]
}

#[test]
fn rtcp_agrees_with_the_reference_in_both_directions() {
    for (profile, theirs) in PROFILES {
        let (mut protect, mut unprotect) = server_contexts(profile, &material(profile)).unwrap();
        let mut sender = reference(profile, theirs, true);
        let mut receiver = reference(profile, theirs, false);
        for _ in 0..3 {
            let mut ours = compound();
            let plain = ours.len();
            ours.resize(plain + MAX_RTCP_TRAILER, 0);
            let len = protect.rtcp(&mut ours, plain);
            ours.truncate(len);
            assert_eq!(receiver.decrypt_rtcp(&ours).unwrap()[..], compound()[..]);

            let mut theirs = sender.encrypt_rtcp(&compound()).unwrap().to_vec();
            let mut replay = theirs.clone();
            let mut forged = theirs.clone();
            forged[9] ^= 1;
            assert_eq!(unprotect.rtcp(&mut forged), Err(UnprotectError::Forged));
            let len = unprotect.rtcp(&mut theirs).unwrap();
            assert_eq!(theirs[..len], compound()[..]);
            assert_eq!(unprotect.rtcp(&mut replay), Err(UnprotectError::Replayed));
        }
        assert_eq!(
            unprotect.rtcp(&mut [0x80, 201, 0, 1, 1, 2, 3]),
            Err(UnprotectError::TooShort)
        );
    }
}
