use rtc_dtls::config::HandshakeConfig;

use super::*;
use crate::sdp::offer::Offer;
use crate::testing::{Client, Offering};

/// A client and the server's side of its association.
struct Pair {
    now: Instant,
    client: Endpoint,
    server: Dtls,
    received: Vec<Vec<u8>>,
    connected: bool,
}

fn client_config(certificate: &Certificate) -> Arc<HandshakeConfig> {
    let config = ConfigBuilder::default()
        .with_crypto_provider(certificate.provider.clone())
        .with_certificates(vec![certificate.dtls.clone()])
        .with_srtp_protection_profiles(vec![SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm])
        .with_insecure_skip_verify(true)
        .with_extended_master_secret(ExtendedMasterSecretType::Require)
        .build(true, None);
    Arc::new(config.unwrap())
}

impl Pair {
    fn new(genuine: bool) -> Pair {
        let certificate = Certificate::generate().unwrap();
        let mut client = Endpoint::new(ASSOCIATION, TransportProtocol::UDP, None);
        let now = Instant::now();
        let config = client_config(&certificate);
        client.connect(now, ASSOCIATION, config, None).unwrap();
        let value = match genuine {
            true => certificate.fingerprint_sha256().to_owned(),
            false => Certificate::generate()
                .unwrap()
                .fingerprint_sha256()
                .to_owned(),
        };
        let offer = Client::new("192.0.2.1:1", Offering::PUBLISH).offer();
        let mut expected = Offer::parse(&offer).unwrap().fingerprint;
        expected.value = value;
        let config = server_config(&Certificate::generate().unwrap()).unwrap();
        Pair {
            now,
            client,
            server: Dtls::new(&config, Some(expected)),
            received: Vec::new(),
            connected: false,
        }
    }

    /// What the client has to send.
    fn outbox(&mut self) -> Vec<BytesMut> {
        std::iter::from_fn(|| self.client.poll_transmit())
            .map(|transmit| transmit.message)
            .collect()
    }

    fn reach_server(&mut self, datagram: &[u8]) -> DtlsEvent {
        let event = self.server.read(self.now, datagram);
        self.connected |= matches!(event, DtlsEvent::Keys(_));
        while let Some(data) = self.server.poll_data() {
            self.received.push(data.to_vec());
        }
        event
    }

    /// Delivers what the server has to say; gives the data in it.
    fn reach_client(&mut self) -> Vec<Vec<u8>> {
        let mut data = Vec::new();
        while let Some(datagram) = self.server.poll_transmit() {
            let read = self.client.read(self.now, ASSOCIATION, None, datagram);
            data.extend(read.unwrap().into_iter().filter_map(|event| match event {
                EndpointEvent::ApplicationData(data) => Some(data.to_vec()),
                _ => None,
            }));
        }
        data
    }

    fn exchange(&mut self) {
        for _ in 0..10 {
            for datagram in self.outbox() {
                self.reach_server(&datagram);
            }
            self.reach_client();
        }
    }

    fn write(&mut self, data: &[u8]) {
        self.client.write(self.now, ASSOCIATION, data).unwrap();
    }
}

#[test]
fn application_data_passes_both_ways() {
    let mut pair = Pair::new(true);
    assert!(!pair.server.write(pair.now, b"early"));
    pair.exchange();
    assert!(pair.connected);
    for len in [1, 1191, 1300] {
        pair.write(&vec![7; len]);
        pair.exchange();
        assert_eq!(pair.received.pop(), Some(vec![7; len]));
        assert!(pair.server.write(pair.now, &vec![9; len]));
        assert_eq!(pair.reach_client(), [vec![9; len]]);
    }
    assert!(pair.received.is_empty());
}

#[test]
fn a_datagram_may_hold_several_records() {
    let mut pair = Pair::new(true);
    pair.exchange();
    for byte in 1..=3 {
        pair.write(&[byte; 20]);
    }
    let datagram = pair.outbox().concat();
    pair.reach_server(&datagram);
    assert_eq!(pair.received, [[1; 20], [2; 20], [3; 20]]);
    // What is not asked for is not kept.
    pair.server.read(pair.now, &datagram);
    pair.write(b"next");
    let next = pair.outbox().concat();
    pair.server.read(pair.now, &next);
    pair.server.read(pair.now, &[]);
    assert!(pair.server.poll_data().is_none());
}

#[test]
fn data_queued_during_the_handshake_arrives_after_it() {
    let mut pair = Pair::new(true);
    pair.write(b"queued");
    pair.exchange();
    assert!(pair.connected);
    assert_eq!(pair.received, [b"queued"]);
}

#[test]
fn data_of_the_wrong_peer_is_not_handed_out() {
    let mut pair = Pair::new(false);
    pair.write(b"queued");
    pair.exchange();
    assert!(!pair.connected);
    assert!(pair.received.is_empty());
    assert!(!pair.server.write(pair.now, b"secret"));
}

#[test]
fn datagrams_that_cannot_be_decrypted_yet_are_bounded_and_harmless() {
    let mut pair = Pair::new(true);
    let mut record = vec![23, 254, 253, 0, 1, 0, 0, 0, 0, 0, 0, 0, 40];
    record.extend([3; 40]);
    let hello = pair.outbox().concat();
    pair.reach_server(&hello);
    let malformed = (0..100)
        .filter(|_| matches!(pair.reach_server(&record), DtlsEvent::Malformed))
        .count();
    assert_eq!(malformed, 100 - MAX_EARLY);
    pair.reach_client();
    pair.exchange();
    assert!(pair.connected);
    pair.write(b"after");
    pair.exchange();
    assert_eq!(pair.received, [b"after"]);
}
