//! WebRTC data channels (RFC 8831) of one peer: SCTP packets in, which DTLS has decrypted, messages out.
//!
//! [`DataTransport`] is sans-IO. The side that is the DTLS server accepts the association: browsers send
//! an INIT whichever side they are. Channels are opened by either side with DCEP (RFC 8832); those
//! negotiated by signalling are not known. Messages over several packets are not interleaved with others
//! (no RFC 8260), so a long one delays the rest.
//!
//! The SCTP is that of rtc-sctp 0.21.1, which is young. What is done about it here:
//! - It bounds what it receives by payload bytes only and takes the next chunk in sequence always, so a
//!   message without an end, chunks of a byte each, or numbers far ahead fill the memory; a FORWARD TSN
//!   takes a step for each of up to 2³¹ numbers; streams, requests to reset them and selective
//!   acknowledgements that overlap have no bounds either. `incoming` and `inspect` set them.
//! - ERROR chunks, heartbeats and parameters it does not know, and an INIT that comes twice close the
//!   association or make another; unknown chunks take the rest of their packet with them. `inspect` drops
//!   or answers them.
//! - Its timers give up after five timeouts and leave an association that delivers nothing. They are
//!   told not to.
//! - Each time it is asked for packets after a timeout, it retransmits a whole congestion window. It is
//!   asked once for each thing that happens.
//! - It keeps what a channel that was reset had unsent, and each reset that the peer does not answer,
//!   without a bound. Both are bounded.
//! - It takes the answer that a reset is in progress for its end, and repeats a reset whose answer was
//!   lost, on a stream that may have a new channel by then. `inspect` sees to both.
//! - An empty message takes a number and sends nothing, which stalls the stream. They are sent as RFC 8831
//!   says.
//! - It computes with TSNs as if they did not wrap, which panics where overflow is checked, as in tests.
//!   Panics end the association.
//!
//! What is left: the shortest retransmission timeout is a second and the longest a minute, so a path
//! that comes back may wait for as long as it was away. Its random numbers are not an argument.

mod association;
mod channel;
mod dcep;
mod fuzzing;
mod incoming;
mod inspect;
mod interface;
mod packet;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use bytes::Bytes;
use rtc_sctp::PayloadProtocolIdentifier;

use self::association::{Association, AssociationEvent, MessageSizes};
use self::channel::{Channel, Phase};
use self::dcep::Dcep;
use self::incoming::Violation;
use self::inspect::plain_init;
use self::packet::{Packet, chunk};

pub(crate) use self::association::AssociationEnd;
pub(crate) use self::dcep::{ChannelParameters, MAX_LABEL, Reliability};
pub(crate) use self::fuzzing::packets as fuzz_packets;
#[cfg(test)]
pub(crate) use self::fuzzing::seed as fuzz_seed;
pub(crate) use self::interface::{
    ChannelId, DataConfig, DataCounters, DataEvent, DataRole, MAX_CHANNELS, MAX_MESSAGE,
    OpenChannelError, SendDataError,
};

/// What channels that the peer reset may have unsent together, in bytes of memory.
const MAX_RETIRED: usize = 8 << 20;

/// The data channels of one peer connection. See the [module](self).
pub(crate) struct DataTransport {
    config: DataConfig,
    association: Option<Association>,
    /// The INIT that was answered last, without what is not used of it, and the answer.
    answered: Option<(Bytes, Bytes)>,
    over: bool,
    channels: BTreeMap<u16, Channel>,
    /// What the library may still keep of channels that were reset, in bytes of memory: it sends it all.
    retired: usize,
    to_send: VecDeque<Bytes>,
    events: VecDeque<DataEvent>,
    counters: DataCounters,
}

impl DataTransport {
    /// A transport without an association; DTLS must be established before it is driven.
    pub(crate) fn new(now: Instant, config: DataConfig) -> DataTransport {
        let mut transport = DataTransport {
            config,
            association: None,
            answered: None,
            over: false,
            channels: BTreeMap::new(),
            retired: 0,
            to_send: VecDeque::new(),
            events: VecDeque::new(),
            counters: DataCounters::default(),
        };
        if config.role == DataRole::Initiate {
            match Association::initiate(now, transport.sizes(), &mut transport.to_send) {
                Ok(association) => transport.association = Some(association),
                Err(end) => transport.end(now, end),
            }
        }
        transport
    }

    /// Takes a packet: the data of one DTLS record.
    pub(crate) fn handle(&mut self, now: Instant, packet: &[u8]) {
        if self.over {
            return;
        }
        let Some(parsed) = Packet::parse(packet) else {
            self.counters.malformed += 1;
            return;
        };
        if parsed
            .chunks()
            .next()
            .is_some_and(|it| it.kind == chunk::INIT)
        {
            return self.on_init(now, &parsed);
        }
        if let Some(association) = &mut self.association {
            let handled = association.handle(now, &parsed, &mut self.to_send);
            self.settle(now, handled);
        }
    }

    /// The next packet to send, at most 1191 bytes unless it answers a longer one. To be asked until there
    /// is none after every other call.
    pub(crate) fn poll_transmit(&mut self, now: Instant) -> Option<Bytes> {
        if self.to_send.is_empty()
            && let Some(association) = &mut self.association
        {
            let sent = association.transmit(now, &mut self.to_send);
            self.settle(now, sent);
        }
        self.to_send.pop_front()
    }

    /// The next event, oldest first.
    pub(crate) fn poll_event(&mut self) -> Option<DataEvent> {
        self.events.pop_front()
    }

    /// Retransmits and acknowledges what is due.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if let Some(association) = &mut self.association
            && association.next_at().is_some_and(|at| at <= now)
        {
            let handled = association.handle_timeout(now);
            self.settle(now, handled);
        }
    }

    /// When [`DataTransport::handle_timeout`] has something to do. Right once
    /// [`DataTransport::poll_transmit`] has nothing.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.association.as_ref().and_then(Association::next_at)
    }

    /// Opens a channel, once there is an association. [`DataEvent::Opened`] follows, or
    /// [`DataEvent::Closed`].
    ///
    /// # Errors
    ///
    /// If there can be no channel with these parameters, or no other channel at all.
    pub(crate) fn open(
        &mut self,
        now: Instant,
        parameters: ChannelParameters,
    ) -> Result<ChannelId, OpenChannelError> {
        if self.over {
            return Err(OpenChannelError::Ended);
        }
        if parameters.label.len() > MAX_LABEL {
            return Err(OpenChannelError::LabelTooLong);
        }
        // A stream that is being reset has no channel any more, but must not get another yet.
        let used = self.association.as_ref().map(Association::streams);
        let used = used.unwrap_or_default();
        let first = u16::from(self.config.role == DataRole::Accept);
        let id = (first..u16::MAX)
            .step_by(2)
            .find(|id| !self.channels.contains_key(id) && !used.contains(id))
            .filter(|_| self.channels.len() < MAX_CHANNELS)
            .ok_or(OpenChannelError::TooMany)?;
        self.channels
            .insert(id, Channel::new(parameters, Phase::Waiting));
        self.open_waiting(now);
        Ok(ChannelId(id))
    }

    /// Queues a message.
    ///
    /// # Errors
    ///
    /// If the channel cannot take it (now); nothing is queued then.
    pub(crate) fn send(
        &mut self,
        now: Instant,
        id: ChannelId,
        binary: bool,
        payload: &Bytes,
    ) -> Result<(), SendDataError> {
        let limit = self.sizes().outbound;
        let channel = self
            .channels
            .get_mut(&id.0)
            .ok_or(SendDataError::UnknownChannel)?;
        if channel.phase != Phase::Open {
            return Err(SendDataError::NotOpen);
        }
        if payload.len() > limit {
            return Err(SendDataError::TooLong { limit });
        }
        if channel.is_full(payload.len()) {
            self.counters.dropped += 1;
            return Err(SendDataError::TooMuchUnsent);
        }
        // SCTP has no empty messages: a byte of any value stands for one (RFC 8831, section 6.6).
        let (kind, payload) = match (binary, payload.is_empty()) {
            (true, false) => (PayloadProtocolIdentifier::Binary, payload.clone()),
            (false, false) => (PayloadProtocolIdentifier::String, payload.clone()),
            (true, true) => (PayloadProtocolIdentifier::BinaryEmpty, EMPTY),
            (false, true) => (PayloadProtocolIdentifier::StringEmpty, EMPTY),
        };
        if self.write(now, id.0, kind, &payload) {
            Ok(())
        } else {
            Err(SendDataError::UnknownChannel)
        }
    }

    /// How full the buffer of a reliable channel is, from 0 to 1.
    pub(crate) fn fill(&self, id: ChannelId) -> f64 {
        self.channels.get(&id.0).map_or(0.0, Channel::fill)
    }

    /// Bytes of messages of a channel that the peer has not acknowledged.
    #[cfg(test)]
    pub(crate) fn buffered(&self, id: ChannelId) -> usize {
        self.channels.get(&id.0).map_or(0, Channel::buffered)
    }

    /// What went wrong since this was asked last.
    pub(crate) fn take_counters(&mut self) -> DataCounters {
        std::mem::take(&mut self.counters)
    }

    /// Gives no messages from now on, or goes on. Those that come meanwhile wait, up to a bound above
    /// which the peer has to send them again.
    pub(crate) fn set_paused(&mut self, now: Instant, paused: bool) {
        if let Some(association) = &mut self.association {
            association.set_paused(paused);
            self.settle(now, Ok(()));
        }
    }

    /// Ends the association; [`DataTransport::poll_transmit`] has the words. No event follows.
    pub(crate) fn close(&mut self, now: Instant) {
        self.over = true;
        self.channels.clear();
        if let Some(association) = self.association.take() {
            association.abort(now, &mut self.to_send);
        }
    }

    fn sizes(&self) -> MessageSizes {
        MessageSizes {
            inbound: self.config.max_message,
            outbound: match self.config.remote_max_message {
                0 => MAX_MESSAGE,
                limit => limit,
            },
        }
    }

    fn on_init(&mut self, now: Instant, init: &Packet<'_>) {
        let up = self.association.as_ref().is_some_and(Association::is_up);
        if up || self.config.role == DataRole::Initiate {
            return;
        }
        let Some(init) = plain_init(init) else {
            self.counters.malformed += 1;
            return;
        };
        if let Some((answered, answer)) = &self.answered
            && *answered == init
        {
            return self.to_send.push_back(answer.clone());
        }
        match Association::accept(now, self.sizes(), &init) {
            Ok(Some((association, answer))) => {
                self.association = Some(association);
                self.to_send.push_back(answer.clone());
                self.answered = Some((init, answer));
            }
            Ok(None) => self.counters.malformed += 1,
            Err(end) => self.end(now, end),
        }
    }

    /// Acts on what the association has to tell, and on how it fared.
    fn settle(&mut self, now: Instant, fared: Result<(), AssociationEnd>) {
        let mut events = Vec::new();
        let polled = match &mut self.association {
            Some(association) => association.poll(&mut events),
            None => return,
        };
        for event in events {
            match event {
                AssociationEvent::Up => {
                    self.answered = None;
                    self.open_waiting(now);
                }
                AssociationEvent::Message {
                    stream,
                    kind: PayloadProtocolIdentifier::Dcep,
                    payload,
                } => self.on_dcep(now, stream, &payload),
                AssociationEvent::Message {
                    stream,
                    kind,
                    payload,
                } => self.on_message(stream, kind, payload),
                AssociationEvent::Released { stream, len } => {
                    if let Some(channel) = self.channels.get_mut(&stream) {
                        channel.released(len);
                    }
                }
                AssociationEvent::Reset { stream } => {
                    if let Some(channel) = self.channels.remove(&stream) {
                        self.retired += channel.cost();
                        let id = ChannelId(stream);
                        self.events.push_back(DataEvent::Closed { id });
                    }
                }
            }
        }
        if self.association.as_ref().is_some_and(Association::is_idle) {
            self.retired = 0;
        }
        let bounded = match self.retired > MAX_RETIRED {
            true => Err(Violation::TooMuchRetired.into()),
            false => Ok(()),
        };
        if let Err(end) = fared.and(polled).and(bounded) {
            self.end(now, end);
        }
    }

    fn on_dcep(&mut self, now: Instant, stream: u16, message: &[u8]) {
        match Dcep::parse(message) {
            Some(Dcep::Ack) => self.opened(stream),
            Some(Dcep::Open(parameters)) => {
                let theirs = u16::from(self.config.role == DataRole::Initiate);
                if stream % 2 != theirs
                    || stream == u16::MAX
                    || self.channels.contains_key(&stream)
                    || self.channels.len() >= MAX_CHANNELS
                {
                    self.counters.refused_channels += 1;
                    return;
                }
                let channel = Channel::new(parameters, Phase::Opening);
                if self.configure(now, stream, &channel.parameters) {
                    self.channels.insert(stream, channel);
                    self.write(
                        now,
                        stream,
                        PayloadProtocolIdentifier::Dcep,
                        &Dcep::Ack.write(),
                    );
                    self.opened(stream);
                }
            }
            None => self.counters.refused_channels += 1,
        }
    }

    fn on_message(&mut self, stream: u16, kind: PayloadProtocolIdentifier, payload: Bytes) {
        let (binary, payload) = match kind {
            PayloadProtocolIdentifier::String => (false, payload),
            PayloadProtocolIdentifier::Binary => (true, payload),
            PayloadProtocolIdentifier::StringEmpty => (false, Bytes::new()),
            PayloadProtocolIdentifier::BinaryEmpty => (true, Bytes::new()),
            _ => {
                self.counters.discarded += 1;
                return;
            }
        };
        if !self.channels.contains_key(&stream) {
            self.counters.discarded += 1;
            return;
        }
        // An unordered message may overtake the answer to our opening, and is one too.
        self.opened(stream);
        let id = ChannelId(stream);
        self.events.push_back(DataEvent::Message {
            id,
            binary,
            payload,
        });
    }

    fn opened(&mut self, stream: u16) {
        if let Some(channel) = self.channels.get_mut(&stream)
            && channel.phase == Phase::Opening
        {
            channel.phase = Phase::Open;
            self.events.push_back(DataEvent::Opened {
                id: ChannelId(stream),
                parameters: channel.parameters.clone(),
            });
        }
    }

    /// Tells the peer about channels that waited for the association.
    fn open_waiting(&mut self, now: Instant) {
        if !self.association.as_ref().is_some_and(Association::is_up) {
            return;
        }
        let waiting: Vec<(u16, ChannelParameters)> = self
            .channels
            .iter_mut()
            .filter(|(_, channel)| channel.phase == Phase::Waiting)
            .map(|(stream, channel)| {
                channel.phase = Phase::Opening;
                (*stream, channel.parameters.clone())
            })
            .collect();
        for (stream, parameters) in waiting {
            if self.configure(now, stream, &parameters) {
                let open = Dcep::Open(parameters).write();
                self.write(now, stream, PayloadProtocolIdentifier::Dcep, &open);
            }
        }
    }

    fn configure(&mut self, now: Instant, stream: u16, parameters: &ChannelParameters) -> bool {
        let configured = self
            .association
            .as_mut()
            .map_or(Ok(false), |it| it.configure(stream, parameters));
        configured.unwrap_or_else(|end| {
            self.end(now, end);
            false
        })
    }

    fn write(
        &mut self,
        now: Instant,
        stream: u16,
        kind: PayloadProtocolIdentifier,
        payload: &Bytes,
    ) -> bool {
        let written = self
            .association
            .as_mut()
            .map_or(Ok(false), |it| it.write(now, stream, kind, payload));
        match written {
            Ok(true) => {
                if let Some(channel) = self.channels.get_mut(&stream) {
                    channel.sent(payload.len());
                }
                true
            }
            Ok(false) => false,
            Err(end) => {
                self.end(now, end);
                false
            }
        }
    }

    fn end(&mut self, now: Instant, reason: AssociationEnd) {
        if self.over {
            return;
        }
        for id in std::mem::take(&mut self.channels).into_keys() {
            let id = ChannelId(id);
            self.events.push_back(DataEvent::Closed { id });
        }
        self.events.push_back(DataEvent::Ended { reason });
        self.close(now);
    }
}

/// Stands for an empty message.
const EMPTY: Bytes = Bytes::from_static(&[0]);
