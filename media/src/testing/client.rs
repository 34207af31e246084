//! A client's transport, made of the component crates: ICE checks, DTLS and SRTP.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use rtc_crypto::RTCCryptoProvider;
use rtc_crypto::providers::RingProvider;
use rtc_dtls::config::{ConfigBuilder, ExtendedMasterSecretType};
use rtc_dtls::endpoint::{Endpoint, EndpointEvent};
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc_shared::TransportProtocol;
use rtc_srtp::context::Context;
use rtc_srtp::protection_profile::ProtectionProfile;
use rtc_stun::attributes::{ATTR_ICE_CONTROLLING, ATTR_USE_CANDIDATE, ATTR_USERNAME};
use rtc_stun::fingerprint::FINGERPRINT;
use rtc_stun::integrity::MessageIntegrity;
use rtc_stun::message::{BINDING_REQUEST, Message, Setter};

use super::net::SERVER;
use crate::certificate::Certificate;
use crate::clock::Now;
use crate::engine::{ConnectionId, Path, TcpPath};
use crate::rtcp::read::{RtcpItem, read_compound};
use crate::rtp::header::Header;

/// The audio level extension id that clients use.
pub(crate) const LEVEL_ID: u8 = 1;

/// What a client offers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offering {
    pub(crate) direction: &'static str,
    pub(crate) sections: usize,
    pub(crate) nack: bool,
    pub(crate) profile: SrtpProtectionProfile,
}

impl Offering {
    pub(crate) const PUBLISH: Offering = Offering {
        direction: "sendonly",
        sections: 1,
        nack: true,
        profile: SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80,
    };

    pub(crate) const fn listen(sections: usize) -> Offering {
        Offering {
            direction: "recvonly",
            sections,
            ..Offering::PUBLISH
        }
    }
}

/// A packet as a client decrypted it.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) header: Header,
    pub(crate) bytes: Vec<u8>,
}

impl Heard {
    pub(crate) fn payload(&self) -> &[u8] {
        self.header.payload(&self.bytes).unwrap()
    }
}

pub(crate) struct Client {
    pub(crate) address: SocketAddr,
    /// The connection it uses instead of UDP.
    pub(crate) connection: Option<ConnectionId>,
    pub(crate) ufrag: String,
    pub(crate) server_ufrag: String,
    pub(crate) server_pwd: String,
    certificate: Certificate,
    offering: Offering,
    dtls: Endpoint,
    srtp: Option<(Context, Context)>,
    /// The last protected datagram, for replays.
    pub(crate) last_sent: Vec<u8>,
    pub(crate) outbox: VecDeque<Vec<u8>>,
    pub(crate) heard: Vec<Heard>,
    pub(crate) rtcp: Vec<(Instant, RtcpItem)>,
    pub(crate) check_answers: usize,
    pub(crate) closed: bool,
    pub(crate) slots: Vec<u32>,
    /// Application data that DTLS carried.
    pub(crate) records: Vec<BytesMut>,
}

impl Client {
    pub(crate) fn new(address: &str, offering: Offering) -> Client {
        Client {
            address: address.parse().unwrap(),
            connection: None,
            ufrag: "client".to_owned(),
            server_ufrag: String::new(),
            server_pwd: String::new(),
            certificate: Certificate::generate().unwrap(),
            offering,
            dtls: Endpoint::new(address.parse().unwrap(), TransportProtocol::UDP, None),
            srtp: None,
            last_sent: Vec::new(),
            outbox: VecDeque::new(),
            heard: Vec::new(),
            rtcp: Vec::new(),
            check_answers: 0,
            closed: false,
            slots: Vec::new(),
            records: Vec::new(),
        }
    }

    pub(crate) fn path(&self) -> Path {
        let remote = self.address;
        match self.connection {
            Some(id) => Path::Tcp(TcpPath { id, remote }),
            None => Path::Udp(remote),
        }
    }

    pub(crate) fn offer(&self) -> String {
        let mids: Vec<String> = (0..self.offering.sections).map(|n| n.to_string()).collect();
        let mut sdp = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {}\r\n",
            mids.join(" ")
        );
        for mid in mids {
            sdp += &format!(
                "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:{mid}\r\n\
                 a=ice-ufrag:{}\r\na=ice-pwd:0123456789012345678901\r\na=setup:actpass\r\n\
                 a=fingerprint:sha-256 {}\r\na={}\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n\
                 a=extmap:{LEVEL_ID} urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n\
                 a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n",
                self.ufrag,
                self.certificate.fingerprint_sha256(),
                self.offering.direction,
            );
            if self.offering.nack {
                sdp += "a=rtcp-fb:111 nack\r\n";
            }
        }
        sdp
    }

    pub(crate) fn take_answer(&mut self, answer: &str) {
        let value = |name: &str| {
            answer
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .unwrap()
                .to_owned()
        };
        self.server_ufrag = value("a=ice-ufrag:");
        self.server_pwd = value("a=ice-pwd:");
        for line in answer
            .lines()
            .filter_map(|line| line.strip_prefix("a=ssrc:"))
        {
            let ssrc = line.split(' ').next().unwrap().parse().unwrap();
            if !self.slots.contains(&ssrc) {
                self.slots.push(ssrc);
            }
        }
    }

    pub(crate) fn check(&mut self, nominate: bool) {
        let provider = RingProvider::default();
        let mut message = Message::new();
        message.set_type(BINDING_REQUEST);
        message.new_transaction_id().unwrap();
        message.write_header();
        let username = format!("{}:{}", self.server_ufrag, self.ufrag);
        message.add(ATTR_USERNAME, username.as_bytes());
        message.add(ATTR_ICE_CONTROLLING, &[1; 8]);
        if nominate {
            message.add(ATTR_USE_CANDIDATE, &[]);
        }
        MessageIntegrity::new_short_term_integrity_with_provider(
            self.server_pwd.clone(),
            provider.crypto(),
        )
        .add_to(&mut message)
        .unwrap();
        FINGERPRINT.add_to(&mut message).unwrap();
        self.outbox.push_back(message.raw);
    }

    pub(crate) fn start_dtls(&mut self, now: Instant) {
        let config = ConfigBuilder::default()
            .with_crypto_provider(self.certificate.provider.clone())
            .with_certificates(vec![self.certificate.dtls.clone()])
            .with_srtp_protection_profiles(vec![self.offering.profile])
            .with_insecure_skip_verify(true)
            .with_extended_master_secret(ExtendedMasterSecretType::Require)
            .build(true, None)
            .unwrap();
        self.dtls
            .connect(now, SERVER.parse().unwrap(), Arc::new(config), None)
            .unwrap();
        self.flush_dtls();
    }

    pub(crate) fn close(&mut self, now: Instant) {
        self.dtls.close(now).unwrap();
        self.flush_dtls();
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        let server = SERVER.parse().unwrap();
        if self.dtls.poll_timeout(&server).is_some_and(|at| at <= now) {
            self.dtls.handle_timeout(server, now).unwrap();
            self.flush_dtls();
        }
    }

    fn flush_dtls(&mut self) {
        while let Some(transmit) = self.dtls.poll_transmit() {
            self.outbox.push_back(transmit.message.to_vec());
        }
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.srtp.is_some()
    }

    pub(crate) fn handle(&mut self, now: &Now, datagram: &[u8]) {
        match datagram[0] {
            0..=3 => self.check_answers += 1,
            20..=63 => {
                let server = SERVER.parse().unwrap();
                // The server's own goodbye crosses ours when both close.
                let Ok(events) = self
                    .dtls
                    .read(now.mono, server, None, BytesMut::from(datagram))
                else {
                    return;
                };
                for event in events {
                    match event {
                        EndpointEvent::HandshakeComplete => self.take_keys(),
                        EndpointEvent::PeerClosed => self.closed = true,
                        EndpointEvent::ApplicationData(data) => self.records.push(data),
                        _ => {}
                    }
                }
                self.flush_dtls();
            }
            _ => {
                let Some((_, remote)) = &mut self.srtp else {
                    return;
                };
                if (192..=223).contains(&datagram[1]) {
                    let compound = remote.decrypt_rtcp(datagram).unwrap();
                    read_compound(&compound, |item| self.rtcp.push((now.mono, item))).unwrap();
                } else {
                    let bytes = remote.decrypt_rtp(datagram).unwrap().to_vec();
                    self.heard.push(Heard {
                        header: Header::parse(&bytes).unwrap(),
                        bytes,
                    });
                }
            }
        }
    }

    fn take_keys(&mut self) {
        let state = self
            .dtls
            .get_connection_state(SERVER.parse().unwrap())
            .unwrap();
        let profile = match state.srtp_protection_profile() {
            SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm => ProtectionProfile::AeadAes128Gcm,
            SrtpProtectionProfile::Srtp_Aead_Aes_256_Gcm => ProtectionProfile::AeadAes256Gcm,
            _ => ProtectionProfile::Aes128CmHmacSha1_80,
        };
        let (key, salt) = (profile.key_len(), profile.salt_len());
        let material = state
            .export_keying_material("EXTRACTOR-dtls_srtp", &[], 2 * (key + salt))
            .unwrap();
        let material: &[u8] = material.as_ref();
        let (keys, salts) = material.split_at(2 * key);
        let provider = RingProvider::default();
        let context = |side: usize| {
            Context::new(
                &keys[side * key..][..key],
                &salts[side * salt..][..salt],
                profile,
                None,
                None,
                provider.crypto(),
            )
            .unwrap()
        };
        self.srtp = Some((context(0), context(1)));
    }

    pub(crate) fn send_audio(&mut self, seq: u16, timestamp: u32, level: u8, payload: &[u8]) {
        self.send_audio_as(0x1111, seq, timestamp, level, payload);
    }

    pub(crate) fn send_audio_as(
        &mut self,
        ssrc: u32,
        seq: u16,
        timestamp: u32,
        level: u8,
        payload: &[u8],
    ) {
        let mut packet = vec![0x90, 111];
        packet.extend(seq.to_be_bytes());
        packet.extend(timestamp.to_be_bytes());
        packet.extend(ssrc.to_be_bytes());
        packet.extend([0xBE, 0xDE, 0, 1, LEVEL_ID << 4, level, 0, 0]);
        packet.extend(payload);
        self.send_rtp(&packet);
    }

    /// Protects and sends a packet.
    pub(crate) fn send_rtp(&mut self, packet: &[u8]) {
        let (local, _) = self.srtp.as_mut().unwrap();
        self.last_sent = local.encrypt_rtp(packet).unwrap().to_vec();
        self.outbox.push_back(self.last_sent.clone());
    }

    /// Sends application data over DTLS.
    pub(crate) fn send_record(&mut self, now: Instant, data: &[u8]) {
        let server = SERVER.parse().unwrap();
        self.dtls.write(now, server, data).unwrap();
        self.flush_dtls();
    }

    pub(crate) fn fingerprint(&self) -> &str {
        self.certificate.fingerprint_sha256()
    }

    pub(crate) fn send_rtcp(&mut self, compound: &[u8]) {
        let (local, _) = self.srtp.as_mut().unwrap();
        self.outbox
            .push_back(local.encrypt_rtcp(compound).unwrap().to_vec());
    }
}
