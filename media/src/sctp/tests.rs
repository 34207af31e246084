//! Two transports and a network between them, in virtual time.

mod hostile;
mod transfer;

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

/// The side that is the DTLS client, a browser's.
const CLIENT: usize = 0;
const SERVER: usize = 1;

fn parameters(label: &str, ordered: bool, reliability: Reliability) -> ChannelParameters {
    ChannelParameters {
        label: label.to_owned(),
        ordered,
        reliability,
    }
}

fn reliable(label: &str) -> ChannelParameters {
    parameters(label, true, Reliability::Reliable)
}

fn lossy(label: &str) -> ChannelParameters {
    parameters(label, false, Reliability::Retransmits(0))
}

fn config(role: DataRole) -> DataConfig {
    DataConfig {
        role,
        max_message: MAX_MESSAGE,
        remote_max_message: MAX_MESSAGE,
    }
}

/// A packet on its way.
struct Flying {
    at: Instant,
    to: usize,
    packet: Bytes,
}

struct Link {
    now: Instant,
    ends: [DataTransport; 2],
    events: [Vec<DataEvent>; 2],
    flying: Vec<Flying>,
    /// Every packet that was sent, and by whom.
    sent: Vec<(usize, Bytes)>,
    random: StdRng,
    loss: f64,
    /// Up to this much is added to 20 ms each way, so packets overtake each other.
    jitter: Duration,
}

impl Link {
    fn new(seed: u64) -> Link {
        let now = Instant::now();
        Link {
            now,
            ends: [
                DataTransport::new(now, config(DataRole::Initiate)),
                DataTransport::new(now, config(DataRole::Accept)),
            ],
            events: [Vec::new(), Vec::new()],
            flying: Vec::new(),
            sent: Vec::new(),
            random: StdRng::seed_from_u64(seed),
            loss: 0.0,
            jitter: Duration::ZERO,
        }
    }

    /// One with an association and a channel that the client opened.
    fn connected(seed: u64, parameters: ChannelParameters) -> (Link, ChannelId) {
        let mut link = Link::new(seed);
        let id = link.ends[CLIENT].open(link.now, parameters).unwrap();
        link.run(Duration::from_secs(2));
        for side in [CLIENT, SERVER] {
            let opened = |it: &DataEvent| matches!(it, DataEvent::Opened { .. });
            assert_eq!(link.events[side].iter().filter(|it| opened(it)).count(), 1);
            link.events[side].clear();
        }
        (link, id)
    }

    /// Sends what both sides have to, and takes their events.
    fn flush(&mut self) {
        for side in [CLIENT, SERVER] {
            while let Some(packet) = self.ends[side].poll_transmit(self.now) {
                assert!(packet.len() <= 1200, "{}", packet.len());
                self.sent.push((side, packet.clone()));
                if self.random.random_bool(self.loss) {
                    continue;
                }
                let delay = self.jitter.mul_f64(self.random.random());
                self.flying.push(Flying {
                    at: self.now + Duration::from_millis(20) + delay,
                    to: 1 - side,
                    packet,
                });
            }
            while let Some(event) = self.ends[side].poll_event() {
                self.events[side].push(event);
            }
        }
    }

    /// Lets the next thing happen by `until`; false if there is none.
    fn step(&mut self, until: Instant) -> bool {
        self.flush();
        let timers = self.ends.iter().filter_map(DataTransport::next_at);
        let next = timers.chain(self.flying.iter().map(|it| it.at)).min();
        let Some(next) = next.filter(|next| *next <= until) else {
            self.now = until;
            return false;
        };
        self.now = self.now.max(next);
        let (due, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.flying)
            .into_iter()
            .partition(|it| it.at <= self.now);
        self.flying = later;
        for Flying { to, packet, .. } in due {
            self.ends[to].handle(self.now, &packet);
            self.flush();
        }
        for end in &mut self.ends {
            end.handle_timeout(self.now);
        }
        self.flush();
        true
    }

    fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while self.step(until) {}
    }

    /// Runs until nothing is left to happen; the time that took.
    fn settle(&mut self) -> Duration {
        let before = self.now;
        let mut quiet = before;
        while self.step(before + Duration::from_secs(24 * 3600)) {
            quiet = self.now;
        }
        self.now = quiet;
        quiet - before
    }

    /// The messages that a side has received, without those of other channels.
    fn messages(&self, side: usize, channel: ChannelId) -> Vec<(bool, Bytes)> {
        let of_channel = self.events[side].iter().filter_map(|event| match event {
            DataEvent::Message {
                id,
                binary,
                payload,
            } if *id == channel => Some((*binary, payload.clone())),
            _ => None,
        });
        of_channel.collect()
    }
}

/// A message that is like no other.
fn message(number: u32, len: usize) -> Bytes {
    let mut random = StdRng::seed_from_u64(u64::from(number));
    (0..len).map(|_| random.random::<u8>()).collect()
}
