//! Over a real socket, with peers that are whole WebRTC stacks of other hands.

mod measure;
mod tcp;

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use rtc::interceptor::Registry;
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::RTCConfigurationBuilder;
use rtc::peer_connection::configuration::interceptor_registry::register_default_interceptors;
use rtc::peer_connection::configuration::media_engine::MediaEngine;
use rtc::peer_connection::configuration::setting_engine::SettingEngineBuilder;
use rtc::peer_connection::message::{RTCMessage, TaggedRTCMessage};
use rtc::peer_connection::sdp::RTCSessionDescription;
use rtc::peer_connection::transport::{CandidateConfig, CandidateHostConfig, RTCIceCandidate};
use rtc::peer_connection::{RTCPeerConnection, RTCPeerConnectionBuilder};
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind,
};
use rtc::rtp_transceiver::{RTCRtpSenderId, RTCRtpTransceiverDirection, RTCRtpTransceiverInit};
use rtc::sansio::Protocol;
use rtc::shared::{TaggedBytesMut, TransportContext, TransportProtocol};

use super::*;
use crate::{AcceptError, CloseReason, OfferError, Role};

const PATIENCE: Duration = Duration::from_secs(20);

struct Peer {
    connection: RTCPeerConnection,
    socket: UdpSocket,
    sender: Option<RTCRtpSenderId>,
    heard: Vec<rtc::rtp::Packet>,
    sent: u16,
}

impl Peer {
    fn new(publish: bool, ip: &str) -> Peer {
        let now = Instant::now();
        let socket = UdpSocket::bind(format!("{ip}:0")).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(5)))
            .unwrap();
        let mut media = MediaEngine::default();
        media.register_default_codecs().unwrap();
        let registry = register_default_interceptors(Registry::new(), &mut media).unwrap();
        let settings = SettingEngineBuilder::new().with_include_loopback_candidate(true);
        let mut connection = RTCPeerConnectionBuilder::new()
            .with_configuration(RTCConfigurationBuilder::new().build())
            .with_media_engine(media)
            .with_setting_engine(settings.build())
            .with_interceptor_registry(registry)
            .build(now)
            .unwrap();
        let sender = publish.then(|| {
            let codec = RTCRtpCodec {
                mime_type: "audio/opus".into(),
                clock_rate: 48_000,
                channels: 2,
                sdp_fmtp_line: "minptime=10;useinbandfec=1".into(),
                rtcp_feedback: vec![],
            };
            let encoding = RTCRtpEncodingParameters {
                rtp_coding_parameters: RTCRtpCodingParameters {
                    ssrc: Some(0x1234),
                    ..Default::default()
                },
                codec,
                ..Default::default()
            };
            connection
                .add_track(MediaStreamTrack::new(
                    "stream".into(),
                    "track".into(),
                    "label".into(),
                    RtpCodecKind::Audio,
                    vec![encoding],
                ))
                .unwrap()
        });
        if !publish {
            connection
                .add_transceiver_from_kind(
                    RtpCodecKind::Audio,
                    Some(RTCRtpTransceiverInit {
                        direction: RTCRtpTransceiverDirection::Recvonly,
                        ..Default::default()
                    }),
                )
                .unwrap();
        }
        Peer {
            connection,
            socket,
            sender,
            heard: Vec::new(),
            sent: 0,
        }
    }

    fn offer(&mut self) -> String {
        let offer = self.connection.create_offer(None).unwrap();
        self.connection
            .set_local_description(Instant::now(), offer)
            .unwrap();
        let address = self.socket.local_addr().unwrap();
        let candidate = CandidateHostConfig {
            base_config: CandidateConfig {
                network: "udp".into(),
                address: address.ip().to_string(),
                port: address.port(),
                component: 1,
                ..Default::default()
            },
            ..Default::default()
        }
        .new_candidate_host()
        .unwrap();
        self.connection
            .add_local_candidate(RTCIceCandidate::from(&candidate).to_json().unwrap())
            .unwrap();
        self.connection.local_description().unwrap().sdp
    }

    fn answer(&mut self, answer: String) {
        let answer = RTCSessionDescription::answer(answer).unwrap();
        self.connection
            .set_remote_description(Instant::now(), answer)
            .unwrap();
    }

    /// Lets the stack do what it has to do, for one datagram or 5 ms.
    fn turn(&mut self) {
        let now = Instant::now();
        if self.connection.poll_timeout().is_some_and(|at| at <= now) {
            self.connection.handle_timeout(now).unwrap();
        }
        while let Some(out) = self.connection.poll_write() {
            let _ = self.socket.send_to(&out.message, out.transport.peer_addr);
        }
        while self.connection.poll_event().is_some() {}
        while let Some(TaggedRTCMessage { message, .. }) = self.connection.poll_read() {
            if let RTCMessage::RtpPacket(_, packet) = message {
                self.heard.push(packet);
            }
        }
        let mut buffer = [0; 2000];
        if let Ok((len, from)) = self.socket.recv_from(&mut buffer) {
            let _ = self.connection.handle_read(TaggedBytesMut {
                now: Instant::now(),
                transport: TransportContext {
                    local_addr: self.socket.local_addr().unwrap(),
                    peer_addr: from,
                    ecn: None,
                    transport_protocol: TransportProtocol::UDP,
                },
                message: BytesMut::from(&buffer[..len]),
            });
        }
    }

    fn speak(&mut self) {
        let sender = self.sender.unwrap();
        let packet = rtc::rtp::Packet {
            header: rtc::rtp::Header {
                version: 2,
                payload_type: 111,
                sequence_number: self.sent,
                timestamp: u32::from(self.sent) * 960,
                ssrc: 0x1234,
                ..Default::default()
            },
            payload: Bytes::from(vec![self.sent as u8; 60]),
        };
        self.sent += 1;
        let mut sender = self.connection.rtp_sender(sender).unwrap();
        sender.write_rtp(Instant::now(), packet).unwrap();
    }
}

fn worker(config: impl FnOnce(&mut WorkerConfig)) -> (MediaWorker, Receiver<MediaEvent>) {
    let certificate = Arc::new(Certificate::generate().unwrap());
    let mut settings = WorkerConfig::new("127.0.0.1:0".parse().unwrap(), certificate);
    config(&mut settings);
    let (sender, events) = sync_channel(1000);
    let worker = MediaWorker::start(settings, move |event| {
        let _ = sender.try_send(event);
    })
    .unwrap();
    (worker, events)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
        .block_on(future)
}

fn join(worker: &MediaWorker, id: u64, peer: &mut Peer, role: Role) -> Accepted {
    let accepted = block_on(worker.accept(AcceptPeer {
        room: RoomId(1),
        peer: PeerId(id),
        offer: peer.offer(),
        role,
    }))
    .unwrap();
    peer.answer(accepted.answer.clone());
    accepted
}

/// Turns all peers until `done`.
fn until(peers: &mut [&mut Peer], what: &str, mut done: impl FnMut(&mut [&mut Peer]) -> bool) {
    let start = Instant::now();
    while !done(peers) {
        assert!(start.elapsed() < PATIENCE, "{what} did not happen");
        for peer in peers.iter_mut() {
            peer.turn();
        }
    }
}

fn connected(events: &Receiver<MediaEvent>, count: &mut usize) -> usize {
    *count += events
        .try_iter()
        .filter(|event| matches!(event, MediaEvent::Connected { .. }))
        .count();
    *count
}

fn conversation(bind: &str, ip: &str) {
    let (worker, events) = worker(|config| config.bind = bind.parse().unwrap());
    let (mut publisher, mut listener) = (Peer::new(true, ip), Peer::new(false, ip));
    let accepted = join(&worker, 1, &mut publisher, Role::Publish);
    let frames = sync_channel(1000);
    worker.tap(
        accepted.tracks[0],
        Some(Box::new(move |frame| {
            let _ = frames.0.try_send(frame);
        })),
    );
    join(&worker, 2, &mut listener, Role::Listen(Subscription::Floor));
    let mut peers = [&mut publisher, &mut listener];
    let mut count = 0;
    until(&mut peers, "connecting", |_| {
        connected(&events, &mut count) == 2
    });
    let mut last = Instant::now();
    until(&mut peers, "hearing fifty packets", |peers| {
        if last.elapsed() >= Duration::from_millis(5) {
            last = Instant::now();
            peers[0].speak();
        }
        peers[1].heard.len() >= 50
    });
    let heard = &peers[1].heard;
    assert_eq!(heard[10].payload.len(), 60);
    let seqs: Vec<u16> = heard
        .iter()
        .map(|packet| packet.header.sequence_number)
        .collect();
    assert!(
        seqs.windows(2).all(|pair| pair[1] == pair[0] + 1),
        "{seqs:?}"
    );
    let frame = frames.1.recv_timeout(PATIENCE).unwrap();
    assert_eq!(frame.payload.len(), 60);
    let stats = block_on(worker.stats());
    assert_eq!(stats.peers.len(), 2);
    assert!(stats.totals.rtp_out >= 50);
    assert_eq!(stats.totals.srtp_unauthentic, 0);
    assert!(worker.totals().rtp_in >= 50);
    worker.close(PeerId(1));
    let closed = MediaEvent::Closed {
        peer: PeerId(1),
        reason: CloseReason::Requested,
    };
    assert!(std::iter::from_fn(|| events.recv_timeout(PATIENCE).ok()).any(|it| it == closed));
    worker.shutdown();
    let closed = MediaEvent::Closed {
        peer: PeerId(2),
        reason: CloseReason::Shutdown,
    };
    assert!(std::iter::from_fn(|| events.recv_timeout(PATIENCE).ok()).any(|it| it == closed));
}

#[test]
fn a_webrtc_rs_peer_is_heard_by_another() {
    conversation("127.0.0.1:0", "127.0.0.1");
}

#[test]
fn over_ipv6_too() {
    if UdpSocket::bind("[::1]:0").is_ok() {
        conversation("[::1]:0", "[::1]");
    }
}

#[test]
fn a_language_channel_is_heard_until_its_writer_goes() {
    let (worker, events) = worker(|_| {});
    let channel = worker.add_source(RoomId(1));
    let mut listener = Peer::new(false, "127.0.0.1");
    join(
        &worker,
        1,
        &mut listener,
        Role::Listen(Subscription::Source(channel.track())),
    );
    let mut peers = [&mut listener];
    let mut count = 0;
    until(&mut peers, "connecting", |_| {
        connected(&events, &mut count) == 1
    });
    let mut timestamp = 0;
    until(&mut peers, "hearing the channel", |peers| {
        channel.write(Bytes::from_static(&[5; 30]), timestamp, 30);
        timestamp += 960;
        peers[0].heard.len() >= 5
    });
    assert_eq!(peers[0].heard[0].payload[..], [5; 30]);
    let track = channel.track();
    drop(channel);
    let gone = block_on(worker.subscribe(PeerId(1), Subscription::Source(track)));
    assert_eq!(gone, Err(AcceptError::UnknownTrack(track)));
}

#[test]
fn a_command_that_panics_ends_its_peer_only() {
    let (worker, events) = worker(|_| {});
    let mut peers = Vec::new();
    for number in [1, 2] {
        let mut peer = Peer::new(true, "127.0.0.1");
        join(&worker, number, &mut peer, Role::Publish);
        peers.push(peer);
    }
    worker.shared.command(Command::Panic(PeerId(1)));
    let closed = MediaEvent::Closed {
        peer: PeerId(1),
        reason: CloseReason::Requested,
    };
    assert!(std::iter::from_fn(|| events.recv_timeout(PATIENCE).ok()).any(|it| it == closed));
    let stats = block_on(worker.stats());
    assert_eq!(stats.totals.commands_panicked, 1);
    assert_eq!(stats.peers.len(), 1);
    assert!(worker.is_running());
}

#[test]
fn a_port_in_use_is_told() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let certificate = Arc::new(Certificate::generate().unwrap());
    let config = WorkerConfig::new(taken.local_addr().unwrap(), certificate);
    let error = MediaWorker::start(config, |_| {}).unwrap_err();
    assert!(matches!(error, StartWorkerError::Bind { .. }));
    assert!(error.to_string().contains("media.bind"));
}

#[test]
fn bad_offers_are_refused_and_a_stopped_worker_says_so() {
    let (worker, _events) = worker(|config| config.advertise = vec!["192.0.2.9".parse().unwrap()]);
    let request = |offer: String| AcceptPeer {
        room: RoomId(1),
        peer: PeerId(1),
        offer,
        role: Role::Publish,
    };
    for (offer, error) in [
        (
            "x".repeat(crate::sdp::offer::MAX_OFFER + 1),
            OfferError::TooLarge,
        ),
        (
            "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n".to_owned(),
            OfferError::NoAudio,
        ),
    ] {
        let refused = block_on(worker.accept(request(offer)));
        assert_eq!(refused, Err(AcceptError::Offer(error)));
    }
    let mut peer = Peer::new(true, "127.0.0.1");
    let accepted = block_on(worker.accept(request(peer.offer()))).unwrap();
    let port = worker.local_addr().port();
    assert!(
        accepted
            .answer
            .contains(&format!("192.0.2.9 {port} typ host"))
    );
    worker.shutdown();
    assert!(!worker.is_running());
    let refused = block_on(worker.accept(request(peer.offer())));
    assert_eq!(refused, Err(AcceptError::WorkerStopped));
    assert_eq!(block_on(worker.stats()), WorkerStats::default());
}

#[test]
fn an_accept_that_nobody_waits_for_leaves_no_peer() {
    let (worker, events) = worker(|_| {});
    let mut peer = Peer::new(true, "127.0.0.1");
    let request = AcceptPeer {
        room: RoomId(1),
        peer: PeerId(1),
        offer: peer.offer(),
        role: Role::Publish,
    };
    block_on(async {
        let accept = worker.accept(request);
        // Polled once, then dropped, as by a client that hangs up.
        let _ = tokio::time::timeout(Duration::ZERO, accept).await;
    });
    // Either the caller was gone before the worker answered, or the answer came in between; then the
    // peer stays until it is idle.
    if block_on(worker.stats()).peers.is_empty() {
        assert_eq!(
            events.recv_timeout(PATIENCE),
            Ok(MediaEvent::Closed {
                peer: PeerId(1),
                reason: CloseReason::Requested
            })
        );
    }
}
