//! Real sockets on loopback, time as the test wants it.

use std::io::{Read, Write};
use std::net::Shutdown;

use super::*;
use crate::net::wait;

const PATIENCE: Duration = Duration::from_secs(20);

struct Rig {
    tcp: TcpConnections,
    address: SocketAddr,
    now: Instant,
    totals: TcpCounters,
}

impl Rig {
    fn new(connections: usize, of_source: usize) -> Rig {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let now = Instant::now();
        let limits = TcpLimits {
            connections,
            of_source,
        };
        Rig {
            tcp: TcpConnections::new(now, listener, limits).unwrap(),
            address,
            now,
            totals: TcpCounters::default(),
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Waits for something to do, but not longer than the kernel takes to deliver, and does it.
    fn turn(&mut self) {
        wait([Some(self.tcp.as_fd())], Some(Duration::from_millis(1)));
        self.tcp.turn(self.now);
        self.tcp.flush();
        let new = std::mem::take(&mut self.tcp.counters);
        let totals = &mut self.totals;
        for (total, new) in [
            (&mut totals.accepted, new.accepted),
            (&mut totals.refused, new.refused),
            (&mut totals.ended, new.ended),
            (&mut totals.unproven, new.unproven),
            (&mut totals.stalled, new.stalled),
            (&mut totals.idle, new.idle),
            (&mut totals.frames_dropped, new.frames_dropped),
        ] {
            *total += new;
        }
    }

    fn until(&mut self, what: &str, mut done: impl FnMut(&mut Rig) -> bool) {
        let start = Instant::now();
        while !done(self) {
            assert!(start.elapsed() < PATIENCE, "{what} did not happen");
            self.turn();
        }
    }

    /// Accepts a connection, which a check has proven.
    fn proven(&mut self) -> (TcpStream, TcpPath) {
        let stream = self.connect();
        let from = stream.local_addr().unwrap();
        let find = |tcp: &TcpConnections| {
            let mut paths = tcp
                .connections
                .iter()
                .map(|(_, connection)| connection.path);
            paths.find(|path| path.remote == from)
        };
        self.until("accepting", |rig| find(&rig.tcp).is_some());
        let path = find(&self.tcp).unwrap();
        self.tcp.prove(path);
        (stream, path)
    }

    /// The frames that arrive, until there are `count`.
    fn frames(&mut self, count: usize) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        self.until("arriving", |rig| {
            let mut buffer = [0; 50];
            while let Some(path) = rig.tcp.next_readable() {
                let Some((mut bytes, mut deframer)) = rig.tcp.read(path, &mut buffer) else {
                    continue;
                };
                while let Some(frame) = deframer.next(&mut bytes).unwrap() {
                    frames.push(frame.to_vec());
                }
                rig.tcp.put_back(path, deframer);
            }
            frames.len() >= count
        });
        frames
    }
}

fn is_closed(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 64]) {
        Ok(0) => true,
        Ok(_) => false,
        Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
    }
}

#[test]
fn frames_go_both_ways() {
    let mut rig = Rig::new(10, 10);
    let (mut client, path) = rig.proven();
    client.write_all(b"\0\x03one\0\0\0\x03t").unwrap();
    assert_eq!(rig.frames(1), [b"one"]);
    client.write_all(b"wo").unwrap();
    assert_eq!(rig.frames(1), [b"two"]);
    rig.tcp.send(path, b"three");
    rig.tcp.send(path, &[4; 1500]);
    rig.tcp.flush();
    let mut answer = [0; 1509];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(answer[..9], *b"\0\x05three\x05\xDC");
    client.shutdown(Shutdown::Write).unwrap();
    rig.until("ending", |rig| {
        rig.frames(0);
        rig.tcp.next_closed() == Some(path)
    });
    assert!(is_closed(&mut client));
}

#[test]
fn who_proves_nothing_is_closed_and_who_is_silent_too() {
    let mut rig = Rig::new(10, 10);
    assert_eq!(rig.tcp.next_at(), None);
    let (mut proven, _) = rig.proven();
    let mut stranger = rig.connect();
    rig.until("accepting", |rig| rig.totals.accepted == 2);
    rig.now += PROOF_TIMEOUT - Duration::from_millis(1);
    rig.turn();
    assert_eq!(rig.totals.ended, 0);
    rig.now += TICK;
    rig.turn();
    assert_eq!((rig.totals.ended, rig.totals.unproven), (1, 1));
    assert!(is_closed(&mut stranger));
    proven.write_all(b"\0\x01x").unwrap();
    assert_eq!(rig.frames(1), [b"x"]);
    rig.now += Duration::from_secs(59);
    rig.turn();
    assert_eq!(rig.totals.ended, 1);
    rig.now += Duration::from_secs(2);
    rig.turn();
    assert_eq!((rig.totals.ended, rig.totals.idle), (2, 1));
    assert!(is_closed(&mut proven));
    // Nothing is left to look after.
    rig.now += TICK;
    rig.turn();
    assert_eq!(rig.tcp.next_at(), None);
    assert!(rig.tcp.unproven.is_empty() && rig.tcp.connections.is_empty());
}

#[test]
fn a_source_has_only_so_many_connections() {
    let mut rig = Rig::new(100, 3);
    let mut clients: Vec<TcpStream> = (0..5).map(|_| rig.connect()).collect();
    rig.until("taking and refusing", |rig| {
        rig.totals.accepted + rig.totals.refused == 5
    });
    assert_eq!((rig.totals.accepted, rig.totals.refused), (3, 2));
    assert!(clients[3..].iter_mut().all(is_closed));
    // Room is made by those that go.
    drop(clients);
    rig.until("ending", |rig| {
        rig.frames(0);
        rig.totals.ended == 3
    });
    rig.proven();
    assert_eq!(rig.totals.refused, 2);
}

#[test]
fn a_worker_has_only_so_many_connections() {
    let mut rig = Rig::new(2, 100);
    let (_one, _) = rig.proven();
    let (_two, _) = rig.proven();
    let mut three = rig.connect();
    rig.until("refusing", |rig| rig.totals.refused == 1);
    assert!(is_closed(&mut three));
}

#[test]
fn a_flood_is_bounded_and_keeps_nobody_out_for_long() {
    let mut rig = Rig::new(10_000, 10_000);
    let flood = |rig: &mut Rig, sources: std::ops::Range<u8>| -> Vec<TcpStream> {
        let mut streams = Vec::new();
        for source in sources {
            for _ in 0..MAX_UNPROVEN_OF_SOURCE + 8 {
                let done = rig.totals.accepted + rig.totals.refused;
                // All of 127.0.0.0/8 is loopback; each address is a source of its own.
                let socket = connect_from([127, 0, 1, source], rig.address);
                streams.push(socket);
                rig.until("answering", |rig| {
                    rig.totals.accepted + rig.totals.refused > done
                });
            }
        }
        streams
    };
    let (_client, path) = rig.proven();
    let _first = flood(&mut rig, 1..5);
    assert_eq!(rig.tcp.unproven.len(), 4 * MAX_UNPROVEN_OF_SOURCE);
    assert_eq!(rig.totals.refused, 4 * 8);
    let _rest = flood(&mut rig, 5..14);
    assert_eq!(rig.tcp.unproven.len(), MAX_UNPROVEN);
    assert_eq!(rig.tcp.connections.len(), MAX_UNPROVEN + 1);
    assert_eq!(rig.tcp.is_proven(path), Some(true));
    // A newcomer takes the place of the oldest.
    let (_newcomer, path) = rig.proven();
    assert_eq!(rig.tcp.is_proven(path), Some(true));
    rig.now += PROOF_TIMEOUT + TICK;
    rig.turn();
    assert_eq!(rig.tcp.connections.len(), 2);
}

fn connect_from(ip: [u8; 4], to: SocketAddr) -> TcpStream {
    let (ip, port) = match to {
        SocketAddr::V4(to) => (ip, to.port()),
        SocketAddr::V6(_) => unreachable!("the rig listens at an IPv4 address"),
    };
    let address = |ip: [u8; 4], port: u16| libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: port.to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from_ne_bytes(ip),
        },
        sin_zero: [0; 8],
    };
    let (from, to) = (address(ip, 0), address([127, 0, 0, 1], port));
    let len = size_of::<libc::sockaddr_in>() as libc::socklen_t;
    // SAFETY: the descriptor is new and owned by the stream alone, and both addresses outlive the calls.
    unsafe {
        use std::os::fd::FromRawFd;
        let fd = libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0);
        assert!(fd >= 0);
        let stream = TcpStream::from_raw_fd(fd);
        assert_eq!(libc::bind(fd, (&raw const from).cast(), len), 0);
        assert_eq!(libc::connect(fd, (&raw const to).cast(), len), 0);
        stream
    }
}

#[test]
fn a_reader_that_stops_loses_frames_and_at_last_the_connection() {
    let mut rig = Rig::new(10, 10);
    let (mut client, path) = rig.proven();
    let (mut other, other_path) = rig.proven();
    // Ten megabytes are more than the kernel and the queue hold together.
    for _ in 0..100 {
        for _ in 0..100 {
            rig.tcp.send(path, &[7; 1000]);
        }
        rig.turn();
    }
    assert!(rig.totals.frames_dropped > 1000, "{:?}", rig.totals);
    let held = rig.tcp.get(path.id).unwrap().queue.len();
    assert!(held <= 256 * 1024, "{held} bytes wait");
    // Meanwhile others are served.
    rig.tcp.send(other_path, b"hello");
    rig.tcp.flush();
    let mut hello = [0; 7];
    other.read_exact(&mut hello).unwrap();
    // It reads again for a while, and gets whole frames.
    let mut stream = vec![0; 100_200];
    client.read_exact(&mut stream).unwrap();
    assert!(stream.chunks(1002).all(|frame| frame[..3] == [3, 232, 7]));
    rig.until("writing again", |rig| {
        client.set_nonblocking(true).unwrap();
        while client.read(&mut stream).is_ok_and(|count| count > 0) {}
        rig.tcp.get(path.id).unwrap().blocked_since.is_none()
    });
    // It stops for good.
    for _ in 0..100 {
        for _ in 0..100 {
            rig.tcp.send(path, &[7; 1000]);
        }
        rig.turn();
    }
    assert_eq!(rig.totals.ended, 0);
    rig.now += Duration::from_secs(11);
    rig.turn();
    assert_eq!((rig.totals.ended, rig.totals.stalled), (1, 1));
    assert_eq!(rig.tcp.next_closed(), Some(path));
    assert_eq!(rig.tcp.is_proven(other_path), Some(true));
}

#[test]
fn a_goodbye_is_sent_before_hanging_up_and_slots_are_told_apart() {
    let mut rig = Rig::new(10, 10);
    let (mut client, path) = rig.proven();
    rig.tcp.send(path, b"goodbye");
    rig.tcp.hang_up(path);
    assert_eq!(rig.tcp.is_proven(path), None);
    rig.tcp.flush();
    let mut goodbye = Vec::new();
    client.read_to_end(&mut goodbye).unwrap();
    assert_eq!(goodbye, b"\0\x07goodbye");
    let (mut next, next_path) = rig.proven();
    assert_eq!(next_path.id.slot, path.id.slot);
    // What is for the connection before goes nowhere.
    rig.tcp.send(path, b"late");
    rig.tcp.hang_up(path);
    rig.tcp.send(next_path, b"new");
    rig.tcp.flush();
    let mut new = [0; 5];
    next.read_exact(&mut new).unwrap();
    assert_eq!(new, *b"\0\x03new");
}
