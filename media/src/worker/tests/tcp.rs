//! Clients that have no UDP.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use super::*;
use crate::clock::Now;
use crate::testing::{Client, Offering};

/// A client on one TCP connection. What it does to the stream is written here anew, so that it cannot
/// make the server's mistakes.
struct Caller {
    client: Client,
    stream: TcpStream,
    /// What came and makes no whole frame yet.
    unread: VecDeque<u8>,
    closed: bool,
}

impl Caller {
    /// Has its offer answered, and connects to the TCP candidate of the answer.
    fn call(worker: &MediaWorker, id: u64, offering: Offering, role: Role) -> Caller {
        let mut client = Client::new("127.0.0.1:9", offering);
        let accepted = block_on(worker.accept(AcceptPeer {
            room: RoomId(1),
            peer: PeerId(id),
            offer: client.offer(),
            role,
        }))
        .unwrap();
        client.take_answer(&accepted.answer);
        let mut caller = Caller {
            client,
            stream: connect(tcp_candidate(&accepted.answer).unwrap()),
            unread: VecDeque::new(),
            closed: false,
        };
        caller.client.check(true);
        caller.until("answering the check", |caller| {
            caller.client.check_answers == 1
        });
        caller
    }

    /// Calls, and connects by DTLS.
    fn join(worker: &MediaWorker, id: u64, offering: Offering, role: Role) -> Caller {
        let mut caller = Caller::call(worker, id, offering, role);
        caller.client.start_dtls(Instant::now());
        caller.until("connecting", |caller| caller.client.is_connected());
        caller
    }

    fn flush(&mut self) {
        while let Some(datagram) = self.client.outbox.pop_front() {
            let mut frame = (datagram.len() as u16).to_be_bytes().to_vec();
            frame.extend(datagram);
            let _ = self.stream.write_all(&frame);
        }
    }

    fn turn(&mut self) {
        self.client.handle_timeout(Instant::now());
        self.flush();
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer) {
            Ok(0) => self.closed = true,
            Ok(count) => self.unread.extend(&buffer[..count]),
            Err(error) => self.closed = error.kind() == io::ErrorKind::ConnectionReset,
        }
        while let [Some(&high), Some(&low)] = [self.unread.front(), self.unread.get(1)] {
            let end = 2 + usize::from(u16::from_be_bytes([high, low]));
            if self.unread.len() < end {
                break;
            }
            let frame: Vec<u8> = self.unread.drain(..end).skip(2).collect();
            self.client.handle(&Now::read(), &frame);
        }
        self.flush();
    }

    fn until(&mut self, what: &str, mut done: impl FnMut(&Caller) -> bool) {
        let start = Instant::now();
        while !done(self) {
            assert!(start.elapsed() < PATIENCE, "{what} did not happen");
            self.turn();
        }
    }
}

fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_millis(5)))
        .unwrap();
    stream
}

fn tcp_candidate(answer: &str) -> Option<SocketAddr> {
    let line = answer
        .lines()
        .find(|line| line.ends_with(" typ host tcptype passive"))?;
    let fields: Vec<&str> = line.split(' ').collect();
    assert_eq!(fields[2], "tcp");
    Some(SocketAddr::new(
        fields[4].parse().unwrap(),
        fields[5].parse().unwrap(),
    ))
}

/// Waits for the worker's counters.
fn counted(worker: &MediaWorker, what: &str, counted: impl Fn(&Totals) -> bool) {
    let start = Instant::now();
    while !counted(&worker.totals()) {
        assert!(start.elapsed() < PATIENCE, "{what}: {:?}", worker.totals());
        // A command and its answer are a turn of the worker.
        block_on(worker.stats());
    }
}

const FLOOR: Role = Role::Listen(Subscription::Floor);

/// `speaker` says `count` packets, and each of `listeners` hears them.
fn speak(speaker: &mut Caller, listeners: &mut [&mut Caller], from: u16, count: u16) {
    for seq in from..from + count {
        speaker
            .client
            .send_audio(seq, u32::from(seq) * 960, 30, &[seq as u8; 40]);
        speaker.turn();
        for listener in &mut *listeners {
            listener.until("hearing", |listener| {
                let last = listener.client.heard.last();
                last.is_some_and(|heard| heard.payload()[0] == seq as u8)
            });
        }
    }
}

#[test]
fn media_flows_over_tcp() {
    let (worker, events) = worker(|_| {});
    let mut speaker = Caller::join(&worker, 1, Offering::PUBLISH, Role::Publish);
    let mut listener = Caller::join(&worker, 2, Offering::listen(1), FLOOR);
    speak(&mut speaker, &mut [&mut listener], 0, 50);
    let heard = &listener.client.heard;
    let seqs: Vec<u16> = heard.iter().map(|heard| heard.header.seq).collect();
    assert_eq!(heard.len(), 50, "{seqs:?}");
    let totals = worker.totals();
    assert_eq!(
        (totals.tcp_accepted, totals.tcp_ended, totals.unknown_source),
        (2, 0, 0)
    );
    assert!(totals.tcp_frames_in >= 50 && totals.tcp_frames_out >= 50);
    assert!(totals.datagrams_in >= totals.tcp_frames_in);
    // Closing a peer tells it and closes its connection.
    worker.close(PeerId(1));
    speaker.until("closing", |speaker| speaker.closed);
    assert!(speaker.client.closed, "without a goodbye");
    // And a connection that its client closes leaves the peer to its idle timeout.
    drop(listener);
    counted(&worker, "ending", |totals| totals.tcp_ended == 2);
    assert_eq!(block_on(worker.stats()).peers.len(), 1);
    assert!(events.try_iter().any(|event| event
        == MediaEvent::Closed {
            peer: PeerId(1),
            reason: CloseReason::Requested
        }));
}

#[test]
fn a_peer_that_lost_its_connection_comes_back_by_another() {
    let (worker, _events) = worker(|_| {});
    let mut speaker = Caller::join(&worker, 1, Offering::PUBLISH, Role::Publish);
    let mut listener = Caller::join(&worker, 2, Offering::listen(1), FLOOR);
    speak(&mut speaker, &mut [&mut listener], 0, 5);
    for caller in [&mut speaker, &mut listener] {
        caller.stream = connect(worker.local_addr());
        caller.unread.clear();
        caller.client.check(true);
        caller.until("answering", |caller| caller.client.check_answers == 2);
    }
    speak(&mut speaker, &mut [&mut listener], 5, 5);
    assert_eq!(worker.totals().tcp_accepted, 4);
}

#[test]
fn a_listener_that_stops_to_read_hurts_nobody_else() {
    let (worker, _events) = worker(|_| {});
    let mut speaker = Caller::join(&worker, 1, Offering::PUBLISH, Role::Publish);
    let stuck = Caller::join(&worker, 2, Offering::listen(1), FLOOR);
    let (mut udp, socket) = {
        let mut peer = Peer::new(false, "127.0.0.1");
        join(&worker, 3, &mut peer, FLOOR);
        let socket = peer.socket.try_clone().unwrap();
        (peer, socket)
    };
    let start = Instant::now();
    while block_on(worker.stats())
        .peers
        .iter()
        .any(|it| !it.connected)
    {
        assert!(start.elapsed() < PATIENCE);
        udp.turn();
    }
    // Some megabytes, in packets as large as they get.
    let mut seq = 0u16;
    while worker.totals().tcp_frames_dropped < 100 {
        assert!(start.elapsed() < PATIENCE, "{:?}", worker.totals());
        for _ in 0..20 {
            let timestamp = u32::from(seq) * 960;
            speaker.client.send_audio(seq, timestamp, 30, &[7; 1200]);
            seq = seq.wrapping_add(1);
        }
        speaker.turn();
        udp.turn();
    }
    // The one on UDP is sent a packet before the worker has anything from the other.
    let before = udp.heard.len();
    let last = seq;
    speaker
        .client
        .send_audio(last, u32::from(last) * 960, 30, &[9; 40]);
    speaker.turn();
    until(&mut [&mut udp], "hearing the last packet", |peers| {
        peers[0]
            .heard
            .iter()
            .any(|heard| heard.payload[..] == [9; 40])
    });
    assert!(udp.heard.len() > before);
    assert_eq!(worker.totals().tcp_ended, 0);
    drop((stuck, socket));
    counted(&worker, "ending", |totals| totals.tcp_ended == 1);
}

#[test]
fn what_is_not_ice_is_closed() {
    let (worker, _events) = worker(|_| {});
    let mut speaker = Caller::join(&worker, 1, Offering::PUBLISH, Role::Publish);
    let media = [&[0, 40, 0x80][..], &[111; 39]].concat();
    let hostile: [&[u8]; 4] = [
        b"GET / HTTP/1.1\r\nHost: hive\r\n\r\n",
        &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3],
        &[0xFF; 100],
        // Well framed, but from a connection that proved nothing.
        &media,
    ];
    for (at, bytes) in hostile.into_iter().enumerate() {
        let mut stream = connect(worker.local_addr());
        stream.write_all(bytes).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let end = stream.read(&mut [0; 10]);
        let reset = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionReset;
        assert!(
            matches!(&end, Ok(0)) || end.as_ref().is_err_and(reset),
            "{at}: {end:?}"
        );
        counted(&worker, "counting", |totals| {
            totals.tcp_malformed == at as u64 + 1
        });
    }
    // A peer that goes mad loses its connection, too.
    speaker.stream.write_all(&[0xFF; 10]).unwrap();
    speaker.until("closing", |speaker| speaker.closed);
    counted(&worker, "counting", |totals| totals.tcp_malformed == 5);
    assert_eq!(worker.totals().unknown_source, 0);
}

#[test]
fn a_client_address_has_only_so_many_connections() {
    let (worker, _events) = worker(|config| config.tcp_per_client = 2);
    let streams: Vec<TcpStream> = (0..5).map(|_| connect(worker.local_addr())).collect();
    counted(&worker, "refusing", |totals| {
        (totals.tcp_accepted, totals.tcp_refused) == (2, 3)
    });
    drop(streams);
    counted(&worker, "ending", |totals| totals.tcp_ended == 2);
    Caller::join(&worker, 1, Offering::PUBLISH, Role::Publish);
}

#[test]
fn without_tcp_there_is_no_candidate_and_no_listener() {
    // An address that no other test binds: the port is free on TCP unless this worker took it.
    let (worker, _events) = worker(|config| {
        config.bind = "127.0.0.3:0".parse().unwrap();
        config.tcp = false;
    });
    let client = Client::new("127.0.0.1:9", Offering::PUBLISH);
    let accepted = block_on(worker.accept(AcceptPeer {
        room: RoomId(1),
        peer: PeerId(1),
        offer: client.offer(),
        role: Role::Publish,
    }))
    .unwrap();
    assert_eq!(tcp_candidate(&accepted.answer), None);
    TcpListener::bind(worker.local_addr()).unwrap();
}

#[test]
fn a_tcp_port_in_use_is_told() {
    // An address of its own: on 127.0.0.1 somebody may have the same port on UDP, which is bound first.
    let taken = TcpListener::bind("127.0.0.4:0").unwrap();
    let certificate = Arc::new(Certificate::generate().unwrap());
    let config = WorkerConfig::new(taken.local_addr().unwrap(), certificate);
    let error = MediaWorker::start(config, |_| {}).unwrap_err();
    assert!(matches!(error, StartWorkerError::BindTcp { .. }), "{error}");
    assert!(error.to_string().contains("media.tcp"));
}
