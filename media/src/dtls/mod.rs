//! DTLS-SRTP, as the server (RFC 5764), and what else DTLS carries.

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

/// Datagrams that may come before they can be decrypted. A client sends its last flight that early if the
/// network reorders it; the library keeps all there are.
const MAX_EARLY: usize = 32;

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
    /// Application data of the last datagram.
    received: VecDeque<BytesMut>,
    /// Datagrams of the epoch after the handshake's that came before its end.
    early: usize,
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
            received: VecDeque::new(),
            early: 0,
            established: false,
            over: false,
        }
    }

    /// Tells whose certificate is expected, if that was not known before.
    pub(crate) fn expect(&mut self, fingerprint: &Fingerprint) {
        self.expected.get_or_insert_with(|| fingerprint.clone());
    }

    /// Takes a datagram that came over a path that ICE has validated. [`Dtls::poll_data`] has the
    /// application data in it.
    pub(crate) fn read(&mut self, now: Instant, datagram: &[u8]) -> DtlsEvent {
        self.received.clear();
        if self.over || self.expected.is_none() {
            return DtlsEvent::None;
        }
        if !self.established && is_encrypted(datagram) {
            self.early += 1;
            if self.early > MAX_EARLY {
                return DtlsEvent::Malformed;
            }
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
        let mut outcome = DtlsEvent::None;
        for event in events {
            match event {
                EndpointEvent::HandshakeComplete => {
                    self.established = true;
                    self.flight = None;
                    outcome = self.keys();
                }
                EndpointEvent::ApplicationData(data) => self.received.push_back(data),
                EndpointEvent::PeerClosed => {
                    self.over = true;
                    outcome = DtlsEvent::Closed;
                }
                _ => {}
            }
        }
        // Nobody vouches for data of a peer whose certificate is not the one in its offer.
        if matches!(outcome, DtlsEvent::Failed(_)) {
            self.received.clear();
        }
        outcome
    }

    /// The data of the next application data record of the datagram that [`Dtls::read`] took last; what
    /// is not asked for before the next datagram is lost. There is none before the handshake is complete,
    /// but there may be with its end.
    pub(crate) fn poll_data(&mut self) -> Option<BytesMut> {
        self.received.pop_front()
    }

    /// Encrypts application data, as one record that [`Dtls::poll_transmit`] has. False, and nothing is
    /// sent, unless the handshake is complete.
    pub(crate) fn write(&mut self, now: Instant, data: &[u8]) -> bool {
        if !self.established || self.over {
            return false;
        }
        let written = catch_unwind(AssertUnwindSafe(|| {
            self.endpoint.write(now, ASSOCIATION, data)
        }));
        while let Some(transmit) = self.endpoint.poll_transmit() {
            self.to_send.push_back(transmit.message);
        }
        matches!(written, Ok(Ok(())))
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

/// Whether a datagram begins with a record of a later epoch than the handshake's first.
fn is_encrypted(datagram: &[u8]) -> bool {
    datagram.get(3..5).is_some_and(|epoch| epoch != [0, 0])
}

#[cfg(test)]
mod tests;
