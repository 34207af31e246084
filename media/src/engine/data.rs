//! Data channels.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::peer::Peer;
use super::{Engine, MediaEvent, Transmit};
use crate::clock::Now;
use crate::ids::PeerId;
use crate::sctp::{
    ChannelId, ChannelParameters, DataConfig, DataEvent, DataRole, DataTransport, MAX_MESSAGE,
    Reliability,
};

/// A peer's data channels.
pub(super) struct DataChannels {
    transport: DataTransport,
    labels: HashMap<ChannelId, Arc<str>>,
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
        self.transport.next_at()
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
                    if let Some(label) = data.labels.get(&id) {
                        events.push_back(MediaEvent::Data {
                            peer: peer.id,
                            label: label.clone(),
                            payload,
                        });
                    }
                }
                DataEvent::Closed { id } => {
                    data.labels.remove(&id);
                }
                DataEvent::Ended { reason } => {
                    let counters = data.transport.counters();
                    tracing::info!(
                        peer = %peer.id, ?reason, ?counters, "a peer's data channels ended"
                    );
                    data.labels.clear();
                }
            }
        }
        self.flush_dtls(now, key, out);
    }

    /// Sends a message over a data channel of each of these peers, as far as they have one of the
    /// label.
    pub fn send_data(
        &mut self,
        now: &Now,
        to: &[PeerId],
        label: &str,
        payload: &Bytes,
        out: &mut dyn Transmit,
    ) {
        for peer in to {
            let Some(&key) = self.by_id.get(peer) else {
                continue;
            };
            let Some(data) = self.peers[key].data.as_deref_mut() else {
                continue;
            };
            let channel = data.labels.iter().find(|(_, of)| ***of == *label);
            let sent = channel
                .map(|(id, _)| *id)
                .is_some_and(|id| data.transport.send(now.mono, id, true, payload).is_ok());
            if sent {
                self.totals.messages_out += 1;
            } else {
                self.totals.messages_dropped += 1;
            }
            self.drive_data(now, key, out);
            self.schedule(key);
        }
    }
}
