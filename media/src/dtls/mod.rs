//! DTLS-SRTP, as the server (RFC 5764).

mod flight;

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use rtc_dtls::config::{ClientAuthType, ConfigBuilder, ExtendedMasterSecretType, HandshakeConfig};
use rtc_dtls::endpoint::{Endpoint, EndpointEvent};
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc_shared::TransportProtocol;

use self::flight::Flight;
use crate::certificate::{Certificate, fingerprint};
use crate::sdp::offer::Fingerprint;
use crate::srtp::{Profile, Protect, Unprotect, server_contexts};

const EXPORTER_LABEL: &str = "EXTRACTOR-dtls_srtp";

/// The endpoint keeps associations by address; ours has one, which must survive a change of the
/// peer's address, so it is kept under a name instead.
const ASSOCIATION: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 1));

/// The configuration all associations share.
pub(crate) fn server_config(certificate: &Certificate) -> Result<Arc<HandshakeConfig>, String> {
    ConfigBuilder::default()
        .with_crypto_provider(certificate.provider.clone())
        .with_certificates(vec![certificate.dtls.clone()])
        // In our order of preference: GCM costs a third of AES-CM with HMAC-SHA1.
        .with_srtp_protection_profiles(vec![
            SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm,
            SrtpProtectionProfile::Srtp_Aead_Aes_256_Gcm,
            SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80,
        ])
        .with_client_auth(ClientAuthType::RequireAnyClientCert)
        // Certificates are self-signed; the fingerprint is compared after the handshake, before any
        // key is used.
        .with_insecure_skip_verify(true)
        .with_extended_master_secret(ExtendedMasterSecretType::Require)
        .build(false, None)
        .map(Arc::new)
        .map_err(|error| error.to_string())
}

/// Why an association is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DtlsFailure {
    /// The handshake ran out of retransmissions, or the peer or the library rejected it.
    #[error("the DTLS handshake failed")]
    Handshake,
    /// The peer's certificate is not the one its offer promised.
    #[error("the peer's certificate does not match the fingerprint in its offer")]
    Fingerprint,
    /// The peer offered no SRTP profile of ours.
    #[error("the peer offered no SRTP protection profile that this server supports")]
    Profile,
}

/// What a datagram led to.
pub(crate) enum DtlsEvent {
    /// Nothing to act on.
    None,
    /// The handshake is complete, with these keys.
    Keys(Box<(Protect, Unprotect)>),
    /// The peer said goodbye.
    Closed,
    /// The association cannot be used.
    Failed(DtlsFailure),
    /// The datagram made no sense; nothing changed.
    Malformed,
}

/// One peer's association.
pub(crate) struct Dtls {
    endpoint: Endpoint,
    expected: Option<Fingerprint>,
    to_send: VecDeque<BytesMut>,
    /// What the peer has not answered yet.
    flight: Option<Flight>,
    established: bool,
    over: bool,
}

impl Dtls {
    /// Waits for the client hello of the peer whose description holds `expected`. Without it the
    /// handshake waits until [`Dtls::expect`] tells.
    pub(crate) fn new(config: &Arc<HandshakeConfig>, expected: Option<Fingerprint>) -> Dtls {
        Dtls {
            endpoint: Endpoint::new(ASSOCIATION, TransportProtocol::UDP, Some(config.clone())),
            expected,
            to_send: VecDeque::new(),
            flight: None,
            established: false,
            over: false,
        }
    }

    /// Tells whose certificate is expected, if that was not known before.
    pub(crate) fn expect(&mut self, fingerprint: &Fingerprint) {
        self.expected.get_or_insert_with(|| fingerprint.clone());
    }

    /// Takes a datagram that came over a path that ICE has validated.
    pub(crate) fn read(&mut self, now: Instant, datagram: &[u8]) -> DtlsEvent {
        if self.over || self.expected.is_none() {
            return DtlsEvent::None;
        }
        // A defect of the library, met by one peer's bytes, must end that peer only.
        let read = catch_unwind(AssertUnwindSafe(|| {
            self.endpoint
                .read(now, ASSOCIATION, None, BytesMut::from(datagram))
        }));
        let sent = self.queue();
        let events = match read {
            Ok(Ok(events)) => events,
            Ok(Err(_)) => return DtlsEvent::Malformed,
            Err(_) => return self.fail(DtlsFailure::Handshake),
        };
        // Once all is agreed the library repeats its last flight whenever the peer repeats its own.
        if !sent.is_empty() && !self.established {
            self.flight = Flight::sent(sent, now);
        }
        for event in events {
            match event {
                EndpointEvent::HandshakeComplete => {
                    self.established = true;
                    self.flight = None;
                    return self.keys();
                }
                EndpointEvent::PeerClosed => {
                    self.over = true;
                    return DtlsEvent::Closed;
                }
                _ => {}
            }
        }
        DtlsEvent::None
    }

    /// Retransmits what is due.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> DtlsEvent {
        let Some(flight) = self.flight.as_mut().filter(|_| !self.over) else {
            return DtlsEvent::None;
        };
        match flight.again(now) {
            Ok(datagrams) => {
                self.to_send.extend(datagrams.iter().cloned());
                DtlsEvent::None
            }
            Err(flight::Unanswered) => self.fail(DtlsFailure::Handshake),
        }
    }

    /// When [`Dtls::handle_timeout`] has something to do.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        if self.over {
            return None;
        }
        self.flight.as_ref().map(Flight::next_at)
    }

    /// The next datagram to send.
    pub(crate) fn poll_transmit(&mut self) -> Option<BytesMut> {
        self.to_send.pop_front()
    }

    /// Says goodbye; [`Dtls::poll_transmit`] has the words.
    pub(crate) fn close(&mut self, now: Instant) {
        if !self.over {
            self.over = true;
            self.endpoint.stop(now, ASSOCIATION);
            self.queue();
        }
    }

    /// Queues what the library has to say; gives a copy of it.
    fn queue(&mut self) -> Vec<BytesMut> {
        let mut said = Vec::new();
        while let Some(transmit) = self.endpoint.poll_transmit() {
            said.push(transmit.message);
        }
        self.to_send.extend(said.iter().cloned());
        said
    }

    fn fail(&mut self, failure: DtlsFailure) -> DtlsEvent {
        self.over = true;
        DtlsEvent::Failed(failure)
    }

    fn keys(&mut self) -> DtlsEvent {
        let Some(state) = self.endpoint.get_connection_state(ASSOCIATION) else {
            return self.fail(DtlsFailure::Handshake);
        };
        let genuine = match (&self.expected, state.peer_certificates.first()) {
            (Some(expected), Some(der)) => {
                let actual = fingerprint(expected.algorithm.digest(), der);
                actual.eq_ignore_ascii_case(&expected.value)
            }
            _ => false,
        };
        if !genuine {
            return self.fail(DtlsFailure::Fingerprint);
        }
        let profile = match state.srtp_protection_profile() {
            SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80 => Profile::Aes128CmSha1_80,
            SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm => Profile::AeadAes128Gcm,
            SrtpProtectionProfile::Srtp_Aead_Aes_256_Gcm => Profile::AeadAes256Gcm,
            _ => return self.fail(DtlsFailure::Profile),
        };
        let contexts = state
            .export_keying_material(EXPORTER_LABEL, &[], profile.keying_len())
            .ok()
            .and_then(|material| server_contexts(profile, material.as_ref()));
        match contexts {
            Some(contexts) => DtlsEvent::Keys(Box::new(contexts)),
            None => self.fail(DtlsFailure::Handshake),
        }
    }
}
