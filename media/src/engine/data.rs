//! Data channels.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::peer::Peer;
use super::{Engine, MediaEvent, Transmit};
use crate::clock::Now;
use crate::ids::PeerId;
use crate::sctp::{
    AssociationEnd, ChannelId, ChannelParameters, DataConfig, DataEvent, DataRole, DataTransport,
    MAX_MESSAGE, Reliability,
};

/// What a peer's messages that nobody has dealt with yet may cost; when it is spent, further ones wait at
/// the peer.
const CREDIT: i64 = 256 << 10;

/// What a message costs besides its payload.
const MESSAGE_COST: usize = 1024;

/// How full a recipient's buffer may be before senders of reliable messages are slowed down.
const FILL_GOAL: f64 = 0.25;

/// How long a sender waits at most for a recipient before each [`CREDIT`]: one that takes less than a
/// megabit a second loses messages.
const FULL_PAUSE: Duration = Duration::from_secs(2);

/// A peer's data channels.
pub(super) struct DataChannels {
    transport: DataTransport,
    labels: HashMap<ChannelId, Arc<str>>,
    /// What is left of [`CREDIT`].
    credit: i64,
    /// Until when the peer has to wait whatever credit it has.
    resumes_at: Option<Instant>,
    paused: bool,
}

/// A channel that the server opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerChannel {
    /// Its label.
    pub label: &'static str,
    /// Whether messages arrive in order and again if they are lost, or neither.
    pub reliable: bool,
}

impl DataChannels {
    /// Waits for the peer's association.
    pub(super) fn new(now: Instant, remote_max_message: usize) -> DataChannels {
        DataChannels {
            transport: DataTransport::new(
                now,
                DataConfig {
                    role: DataRole::Accept,
                    max_message: MAX_MESSAGE,
                    remote_max_message,
                },
            ),
            labels: HashMap::new(),
            credit: CREDIT,
            resumes_at: None,
            paused: false,
        }
    }

    /// Opens channels once the association is up.
    pub(super) fn open(&mut self, now: Instant, channels: &[ServerChannel]) {
        for channel in channels {
            let parameters = ChannelParameters {
                label: channel.label.to_owned(),
                ordered: channel.reliable,
                reliability: match channel.reliable {
                    true => Reliability::Reliable,
                    false => Reliability::Retransmits(0),
                },
            };
            if let Err(error) = self.transport.open(now, parameters) {
                tracing::warn!(label = channel.label, %error, "a data channel was not opened");
            }
        }
    }

    /// When it needs attention.
    pub(super) fn next_at(&self) -> Option<Instant> {
        let own = self.transport.next_at().into_iter();
        own.chain(self.resumes_at).min()
    }

    /// Has messages wait or not, as the peer has credit.
    fn pace(&mut self, now: Instant) {
        if self.resumes_at.is_some_and(|at| at <= now) {
            self.resumes_at = None;
        }
        let pause = self.credit <= 0 || self.resumes_at.is_some();
        if pause != self.paused {
            self.paused = pause;
            self.transport.set_paused(now, pause);
        }
    }
}

impl Peer {
    /// Takes what DTLS has decrypted.
    pub(super) fn read_data(&mut self, now: Instant) {
        while let Some(record) = self.dtls.poll_data() {
            self.last_heard = now;
            if let Some(data) = &mut self.data {
                data.transport.handle(now, &record);
            }
        }
    }

    /// Lets time pass for the data channels.
    pub(super) fn data_due(&mut self, now: Instant) {
        if let Some(data) = &mut self.data
            && data.next_at().is_some_and(|at| at <= now)
        {
            data.pace(now);
            data.transport.handle_timeout(now);
        }
    }
}

impl Engine {
    /// Sends what the data channels of a peer have to say, and tells what came.
    pub(super) fn drive_data(&mut self, now: &Now, key: usize, out: &mut dyn Transmit) {
        let Engine {
            peers,
            events,
            totals,
            ..
        } = self;
        let peer = &mut *peers[key];
        let Some(data) = peer.data.as_deref_mut() else {
            return;
        };
        data.pace(now.mono);
        while let Some(packet) = data.transport.poll_transmit(now.mono) {
            peer.dtls.write(now.mono, &packet);
        }
        while let Some(event) = data.transport.poll_event() {
            match event {
                DataEvent::Opened { id, parameters } => {
                    tracing::debug!(peer = %peer.id, label = parameters.label, "a data channel is open");
                    data.labels.insert(id, parameters.label.into());
                }
                DataEvent::Message { id, payload, .. } => {
                    totals.messages_in += 1;
                    match data.labels.get(&id) {
                        Some(label) => {
                            data.credit -= (payload.len() + MESSAGE_COST) as i64;
                            events.push_back(MediaEvent::Data {
                                peer: peer.id,
                                label: label.clone(),
                                payload,
                            });
                        }
                        None => totals.messages_discarded += 1,
                    }
                }
                DataEvent::Closed { id } => {
                    data.labels.remove(&id);
                }
                DataEvent::Ended { reason } => {
                    if let AssociationEnd::Violation(_) = reason {
                        totals.data_violations += 1;
                    }
                    tracing::info!(peer = %peer.id, %reason, "a peer's data channels ended");
                    data.labels.clear();
                }
            }
        }
        let counted = data.transport.take_counters();
        totals.data_malformed += counted.malformed;
        totals.channels_refused += counted.refused_channels;
        totals.messages_discarded += counted.discarded;
        data.pace(now.mono);
        self.flush_dtls(now, key, out);
    }

    /// A message of a peer's was dealt with, so that another may come, but not before the `pause` is over.
    pub fn data_taken(
        &mut self,
        now: &Now,
        peer: PeerId,
        len: usize,
        pause: Duration,
        out: &mut dyn Transmit,
    ) {
        let Some(&key) = self.by_id.get(&peer) else {
            return;
        };
        let Some(data) = self.peers[key].data.as_deref_mut() else {
            return;
        };
        data.credit = (data.credit + (len + MESSAGE_COST) as i64).min(CREDIT);
        if !pause.is_zero() {
            data.resumes_at = data.resumes_at.max(Some(now.mono + pause));
        }
        let was_paused = data.paused;
        data.pace(now.mono);
        if was_paused != data.paused {
            self.drive_data(now, key, out);
        }
        self.schedule(key);
    }

    /// Sends a message over a data channel of each of these peers, as far as they have one of the
    /// label. If it came from a peer, that one has to wait when a recipient does not keep up.
    pub fn send_data(
        &mut self,
        now: &Now,
        from: Option<PeerId>,
        to: &[PeerId],
        label: &str,
        payload: &Bytes,
        out: &mut dyn Transmit,
    ) {
        let mut fullest: f64 = 0.0;
        for peer in to {
            let Some(&key) = self.by_id.get(peer) else {
                continue;
            };
            let Some(data) = self.peers[key].data.as_deref_mut() else {
                continue;
            };
            let channel = data.labels.iter().find(|(_, of)| ***of == *label);
            let sent = channel.map(|(id, _)| *id).is_some_and(|id| {
                let sent = data.transport.send(now.mono, id, true, payload);
                fullest = fullest.max(data.transport.fill(id));
                sent.is_ok()
            });
            if sent {
                self.totals.messages_out += 1;
            } else {
                self.totals.messages_dropped += 1;
            }
            self.drive_data(now, key, out);
            self.schedule(key);
        }
        let sender = from.and_then(|from| self.by_id.get(&from));
        if let Some(&key) = sender
            && fullest > FILL_GOAL
            && let Some(data) = self.peers[key].data.as_deref_mut()
        {
            let share = (fullest - FILL_GOAL) / (1.0 - FILL_GOAL);
            let until = now.mono + FULL_PAUSE.mul_f64(share.min(1.0));
            data.resumes_at = data.resumes_at.max(Some(until));
            data.pace(now.mono);
            self.schedule(key);
        }
    }
}
