//! An engine and its clients on a network without wires, in virtual time.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::client::{Client, Offering};
use super::link::Link;
use crate::certificate::Certificate;
use crate::clock::Now;
use crate::engine::{
    ConnectionId, Engine, EngineConfig, MediaEvent, Path, Role, TcpPath, Transmit,
};
use crate::ids::{PeerId, RoomId};
use crate::sdp::candidates::Candidates;
use crate::sdp::offer::Offer;
use crate::{Accepted, Subscription};

pub(crate) const SERVER: &str = "192.0.2.1:4000";

/// Everything an engine sends.
#[derive(Default)]
pub(crate) struct Wire {
    pub(crate) sent: VecDeque<(Path, Vec<u8>)>,
    pub(crate) hung_up: Vec<ConnectionId>,
    buffer: Vec<u8>,
}

impl Transmit for Wire {
    fn buffer(&mut self) -> &mut [u8] {
        self.buffer.resize(1536, 0);
        &mut self.buffer
    }

    fn send(&mut self, len: usize, to: Path) {
        self.sent.push_back((to, self.buffer[..len].to_vec()));
    }

    fn hang_up(&mut self, connection: TcpPath) {
        self.hung_up.push(connection.id);
    }
}

/// Decides which packets are lost.
pub(crate) type Lose = Box<dyn FnMut(usize, &[u8]) -> bool>;

/// An engine, its clients, and the time.
pub(crate) struct Net {
    pub(crate) now: Now,
    /// When it was made.
    pub(crate) epoch: Instant,
    pub(crate) engine: Engine,
    pub(crate) wire: Wire,
    pub(crate) clients: Vec<Client>,
    pub(crate) events: Vec<MediaEvent>,
    /// Asked for each media packet from the engine (client, bytes): whether it is lost.
    pub(crate) lose: Lose,
    /// The ways from and to clients that are not perfect.
    pub(crate) links: HashMap<usize, [Link; 2]>,
    /// What is on its way, by when it arrives and in which order it was sent.
    flying: BTreeMap<(Instant, u64), (usize, bool, Vec<u8>)>,
    sent: u64,
}

pub(crate) const ROOM: RoomId = RoomId(1);

impl Net {
    pub(crate) fn new() -> Net {
        Net::with_limits(Duration::from_secs(30), 1000)
    }

    pub(crate) fn with_limits(idle_timeout: Duration, max_peers: usize) -> Net {
        let config = EngineConfig {
            candidates: Candidates {
                udp: vec![SERVER.parse().unwrap()],
                tcp: Vec::new(),
            },
            idle_timeout,
            max_peers,
            prominent_speakers: 10,
            seed: [7; 32],
        };
        let epoch = Instant::now();
        Net {
            epoch,
            now: Now {
                mono: epoch,
                unix: Duration::from_secs(1_700_000_000),
            },
            engine: Engine::new(config, &Certificate::generate().unwrap()).unwrap(),
            wire: Wire::default(),
            clients: Vec::new(),
            events: Vec::new(),
            lose: Box::new(|_, _| false),
            links: HashMap::new(),
            flying: BTreeMap::new(),
            sent: 0,
        }
    }

    /// Adds a client whose peer id is its index, accepted but not connected.
    pub(crate) fn join(&mut self, offering: Offering, role: Role) -> (usize, Accepted) {
        let index = self.clients.len();
        let mut client = Client::new(&format!("198.51.100.1:{}", 1000 + index), offering);
        let offer = Offer::parse_audio(&client.offer()).unwrap();
        let accepted = self
            .engine
            .accept(&self.now, ROOM, PeerId(index as u64), &offer, role)
            .unwrap();
        client.take_answer(&accepted.answer);
        self.clients.push(client);
        (index, accepted)
    }

    /// Adds a client and connects it.
    pub(crate) fn connect(&mut self, offering: Offering, role: Role) -> (usize, Accepted) {
        let (index, accepted) = self.join(offering, role);
        self.handshake(index);
        (index, accepted)
    }

    pub(crate) fn publisher(&mut self) -> usize {
        self.connect(Offering::PUBLISH, Role::Publish).0
    }

    pub(crate) fn listener(&mut self, slots: usize) -> usize {
        self.connect(Offering::listen(slots), Role::Listen(Subscription::Floor))
            .0
    }

    pub(crate) fn handshake(&mut self, index: usize) {
        self.clients[index].check(true);
        self.run(Duration::from_millis(20));
        let now = self.now.mono;
        self.clients[index].start_dtls(now);
        self.run(Duration::from_millis(200));
        assert!(self.clients[index].is_connected(), "client {index}");
    }

    /// Lets `time` pass, a millisecond at a time, delivering everything at once.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now.mono + time;
        loop {
            self.exchange();
            if self.now.mono >= end {
                break;
            }
            self.now = self.now.after(Duration::from_millis(1));
            self.handle_timeout();
        }
    }

    /// Does what is due.
    fn handle_timeout(&mut self) {
        for _ in 0..8 {
            let due = self.engine.poll_timeout();
            if due.is_none_or(|at| at > self.now.mono) {
                return;
            }
            self.engine.handle_timeout(&self.now, &mut self.wire);
        }
        panic!("a timer that spins");
    }

    /// Delivers until nobody has anything to send.
    pub(crate) fn exchange(&mut self) {
        loop {
            let mut idle = true;
            for index in 0..self.clients.len() {
                while let Some(datagram) = self.clients[index].outbox.pop_front() {
                    idle = false;
                    self.carry(index, true, datagram);
                }
            }
            while let Some((to, datagram)) = self.wire.sent.pop_front() {
                idle = false;
                if let Some(index) = self.clients.iter().position(|it| it.path() == to) {
                    self.carry(index, false, datagram);
                }
            }
            while let Some(entry) = self.flying.first_entry()
                && entry.key().0 <= self.now.mono
            {
                idle = false;
                let (index, up, datagram) = entry.remove();
                self.deliver(index, up, datagram);
            }
            while let Some(event) = self.engine.poll_event() {
                self.events.push(event);
            }
            if idle {
                break;
            }
        }
    }

    /// Sends a datagram from (`up`) or to a client over its link, if it has one.
    fn carry(&mut self, index: usize, up: bool, datagram: Vec<u8>) {
        let Some(links) = self.links.get_mut(&index) else {
            return self.deliver(index, up, datagram);
        };
        if let Some(at) = links[usize::from(!up)].pass(self.now.mono, datagram.len()) {
            self.sent += 1;
            self.flying.insert((at, self.sent), (index, up, datagram));
        }
    }

    fn deliver(&mut self, index: usize, up: bool, mut datagram: Vec<u8>) {
        if up {
            let from = self.clients[index].path();
            self.engine
                .handle_datagram(&self.now, from, &mut datagram, &mut self.wire);
            return;
        }
        let media = datagram[0] >= 128 && !(192..=223).contains(&datagram[1]);
        if !media || !(self.lose)(index, &datagram) {
            self.clients[index].handle(&self.now, &datagram);
        }
    }

    /// Raw bytes from anywhere.
    pub(crate) fn inject(&mut self, from: &str, datagram: &[u8]) {
        let mut datagram = datagram.to_vec();
        self.engine.handle_datagram(
            &self.now,
            Path::Udp(from.parse().unwrap()),
            &mut datagram,
            &mut self.wire,
        );
    }

    /// One publisher speaks: `count` packets of 20 ms, numbered from `seq`.
    pub(crate) fn speak(&mut self, client: usize, seq: u16, count: u16, level: u8) {
        for step in 0..count {
            let seq = seq.wrapping_add(step);
            self.clients[client].send_audio(
                seq,
                u32::from(seq).wrapping_mul(960),
                level,
                &[seq as u8; 40],
            );
            self.run(Duration::from_millis(20));
        }
    }
}
