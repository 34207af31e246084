//! One association of the library, with its defects kept from everything else.

use std::collections::{BTreeSet, VecDeque};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use rtc_sctp::{
    AssociationHandle, ClientConfig, DatagramEvent, Endpoint, EndpointConfig, Event, Payload,
    PayloadProtocolIdentifier, ReliabilityType, ServerConfig, StreamEvent, TimerConfig,
    TransportConfig,
};
use rtc_shared::TransportProtocol;

use super::dcep::{ChannelParameters, Reliability};
use super::incoming::{Incoming, Violation};
use super::inspect::{Inspector, Verdict};
use super::interface::MAX_CHANNELS;
use super::packet::{Packet, chunk, u32_at};

/// The library keeps associations by address; a transport has one.
const PEER: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 1));

/// As many streams as channels could have. The peer's offer may lower it.
const STREAMS: u16 = u16::MAX;

/// More streams in use than this are a violation: a stream costs memory without any data on it.
const MAX_STREAMS: usize = 2 * MAX_CHANNELS;

/// Sizes of messages, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct MessageSizes {
    /// The longest that is taken.
    pub(super) inbound: usize,
    /// The longest that is sent.
    pub(super) outbound: usize,
}

/// Something that happened.
pub(super) enum AssociationEvent {
    /// Data can flow.
    Up,
    /// A message came.
    Message {
        stream: u16,
        kind: PayloadProtocolIdentifier,
        payload: Bytes,
    },
    /// The peer acknowledged bytes, or they were given up.
    Released { stream: u16, len: usize },
    /// The peer reset a stream.
    Reset { stream: u16 },
}

/// Why an association is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AssociationEnd {
    /// The peer ended it, or the library found that its packets make no sense.
    #[error("the peer ended the association")]
    Peer,
    /// The peer broke the protocol.
    #[error(transparent)]
    Violation(#[from] Violation),
    /// The library panicked.
    #[error("the SCTP library failed")]
    Library,
}

/// An association, from its INIT on.
pub(super) struct Association {
    endpoint: Endpoint,
    handle: AssociationHandle,
    library: rtc_sctp::Association,
    inspector: Inspector,
    sizes: MessageSizes,
    /// Whether the library may have something to send.
    dirty: bool,
    /// Whether messages are left in the library.
    paused: bool,
    /// Streams that have some.
    unread: BTreeSet<u16>,
}

impl Association {
    /// Sends an INIT; the first packet to send is it.
    pub(super) fn initiate(
        now: Instant,
        sizes: MessageSizes,
        out: &mut VecDeque<Bytes>,
    ) -> Result<Association, AssociationEnd> {
        contain(|| {
            let mut endpoint = endpoint(None);
            let config = ClientConfig::new(transport(sizes));
            let (handle, mut library) = endpoint.connect(now, config, PEER).ok()?;
            let init = transmit(now, &mut library, out)?;
            let inspector = Inspector::initiate(own_tag(&init)?, sizes.inbound);
            Some(Association {
                endpoint,
                handle,
                library,
                inspector,
                sizes,
                dirty: true,
                paused: false,
                unread: BTreeSet::new(),
            })
        })?
        .ok_or(AssociationEnd::Library)
    }

    /// Answers a [`plain_init`](super::inspect::plain_init), by the packet that is returned; none if it
    /// cannot be answered.
    pub(super) fn accept(
        now: Instant,
        sizes: MessageSizes,
        init: &Bytes,
    ) -> Result<Option<(Association, Bytes)>, AssociationEnd> {
        contain(|| {
            let mut endpoint = endpoint(Some(ServerConfig::new(transport(sizes))));
            let event = endpoint.handle(now, PEER, None, init.clone());
            let (handle, DatagramEvent::NewAssociation(mut library)) = event? else {
                return None;
            };
            let answer = transmit(now, &mut library, &mut VecDeque::new())?;
            let inspector =
                Inspector::accept(&Packet::parse(init)?, own_tag(&answer)?, sizes.inbound)?;
            let association = Association {
                endpoint,
                handle,
                library,
                inspector,
                sizes,
                dirty: true,
                paused: false,
                unread: BTreeSet::new(),
            };
            Some((association, answer))
        })
    }

    /// Whether data can flow.
    pub(super) fn is_up(&self) -> bool {
        !self.library.is_handshaking()
    }

    /// Takes a packet. `out` gets what is to be answered at once.
    pub(super) fn handle(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        out: &mut VecDeque<Bytes>,
    ) -> Result<(), AssociationEnd> {
        let packet = match self.inspector.inspect(packet, out)? {
            Verdict::Nothing => return Ok(()),
            Verdict::Ended => return Err(AssociationEnd::Peer),
            Verdict::Pass(packet) => packet,
        };
        self.dirty = true;
        contain(|| {
            if let Some((handle, DatagramEvent::AssociationEvent(event))) =
                self.endpoint.handle(now, PEER, None, packet)
                && handle == self.handle
            {
                self.library.handle_event(event);
            }
        })
    }

    /// Lets timers expire.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Result<(), AssociationEnd> {
        self.dirty = true;
        contain(|| self.library.handle_timeout(now))
    }

    pub(super) fn next_at(&self) -> Option<Instant> {
        self.library.poll_timeout()
    }

    /// Puts what is to be sent by now into `out`.
    pub(super) fn transmit(
        &mut self,
        now: Instant,
        out: &mut VecDeque<Bytes>,
    ) -> Result<(), AssociationEnd> {
        // Once for everything that happened: each time it is asked, the library retransmits as much
        // again as the congestion window allows.
        if std::mem::take(&mut self.dirty) {
            let before = out.len();
            contain(|| transmit(now, &mut self.library, out))?;
            for packet in out.range(before..) {
                self.inspector.sent(packet);
            }
        }
        Ok(())
    }

    /// Whether everything was sent and acknowledged.
    pub(super) fn is_idle(&self) -> bool {
        !self.dirty && self.next_at().is_none()
    }

    /// Leaves messages in the library from now on, or takes them again. What the library keeps is
    /// bounded: the peer's further packets count as lost.
    pub(super) fn set_paused(&mut self, paused: bool) {
        self.paused = paused;
        self.inspector.set_paused(paused);
        // What is taken opens the window.
        self.dirty |= !paused;
    }

    /// What happened, oldest first.
    pub(super) fn poll(
        &mut self,
        events: &mut Vec<AssociationEvent>,
    ) -> Result<(), AssociationEnd> {
        contain(|| {
            self.take_events(events);
            if !self.paused {
                for id in std::mem::take(&mut self.unread) {
                    self.read(id, events);
                }
            }
        })?;
        if self.library.is_closed() || self.library.is_drained() {
            // One that answered an INIT counts as closed until the cookie comes.
            if self.is_up() {
                return Err(AssociationEnd::Peer);
            }
        }
        if self.streams().len() > MAX_STREAMS {
            return Err(Violation::TooManyStreams.into());
        }
        Ok(self.inspector.check()?)
    }

    fn take_events(&mut self, events: &mut Vec<AssociationEvent>) {
        while let Some(event) = self.library.poll() {
            match event {
                Event::Connected => events.push(AssociationEvent::Up),
                Event::Stream(StreamEvent::Opened { .. }) => {
                    // The library has a list of them for whoever accepts them.
                    let _ = self.library.accept_stream();
                }
                Event::Stream(StreamEvent::Readable { id }) if self.paused => {
                    self.unread.insert(id);
                }
                Event::Stream(StreamEvent::Readable { id }) => self.read(id, events),
                Event::Stream(StreamEvent::BufferedAmountReleased { id, n_bytes }) => {
                    events.push(AssociationEvent::Released {
                        stream: id,
                        len: n_bytes,
                    });
                }
                Event::AssociationLost { id, .. } => {
                    self.inspector.set_ordered(id, true);
                    events.push(AssociationEvent::Reset { stream: id });
                }
                _ => {}
            }
        }
    }

    fn read(&mut self, id: u16, events: &mut Vec<AssociationEvent>) {
        let Ok(mut stream) = self.library.stream(id) else {
            return;
        };
        while let Ok(Some(message)) = stream.read_sctp() {
            self.inspector
                .delivered(message.len(), message.chunks.len());
            if let Ok(payload) = message.to_payload(self.sizes.inbound) {
                events.push(AssociationEvent::Message {
                    stream: id,
                    kind: message.ppi,
                    payload: payload.freeze(),
                });
            }
        }
    }

    /// Streams that either side has used and that are not reset.
    pub(super) fn streams(&self) -> Vec<u16> {
        self.library.stream_ids()
    }

    /// Prepares a stream for a channel; false if it cannot be.
    pub(super) fn configure(
        &mut self,
        id: u16,
        channel: &ChannelParameters,
    ) -> Result<bool, AssociationEnd> {
        let (kind, value) = match channel.reliability {
            Reliability::Reliable => (ReliabilityType::Reliable, 0),
            Reliability::Retransmits(times) => (ReliabilityType::Rexmit, times),
            Reliability::Lifetime(ms) => (ReliabilityType::Timed, ms),
        };
        self.inspector.set_ordered(id, channel.ordered);
        contain(|| {
            if self.library.stream(id).is_err() {
                let _ = self
                    .library
                    .open_stream(id, PayloadProtocolIdentifier::Binary);
            }
            self.library
                .stream(id)
                .and_then(|mut it| it.set_reliability_params(!channel.ordered, kind, value))
                .is_ok()
        })
    }

    /// Queues a message; false if the stream does not take it.
    pub(super) fn write(
        &mut self,
        now: Instant,
        id: u16,
        kind: PayloadProtocolIdentifier,
        payload: &Bytes,
    ) -> Result<bool, AssociationEnd> {
        self.dirty = true;
        contain(|| {
            self.library
                .stream(id)
                .and_then(|mut stream| stream.write_chunk_with_ppi(now, payload, kind))
                .is_ok()
        })
    }

    /// Ends it, with a last packet that says so.
    pub(super) fn abort(mut self, now: Instant, out: &mut VecDeque<Bytes>) {
        // What cannot be said need not be.
        let _ = contain(|| {
            let _ = self.library.abort();
            transmit(now, &mut self.library, out)
        });
    }
}

fn endpoint(server: Option<ServerConfig>) -> Endpoint {
    let config = Arc::new(EndpointConfig::new());
    Endpoint::new(PEER, TransportProtocol::UDP, config, server.map(Arc::new))
}

fn transport(sizes: MessageSizes) -> TransportConfig {
    let buffer = Incoming::receive_buffer(sizes.inbound);
    TransportConfig::default()
        .with_max_receive_buffer_size(u32::try_from(buffer).unwrap_or(u32::MAX))
        .with_max_message_size(u32::try_from(sizes.outbound).unwrap_or(u32::MAX))
        .with_max_num_inbound_streams(STREAMS)
        .with_max_num_outbound_streams(STREAMS)
        // Who is gone is for ICE to say. A timer of the library's that gave up would leave an
        // association that looks well and delivers nothing.
        .with_timer_config(TimerConfig {
            max_t1_init_retrans: usize::MAX,
            max_t1_cookie_retrans: usize::MAX,
            max_t3_rtx_retrans: usize::MAX,
            max_reconfig_retrans: usize::MAX,
            max_ack_retrans: usize::MAX,
            ..TimerConfig::default()
        })
}

/// Puts what the library has to send into `out`; gives a copy of the first packet.
fn transmit(
    now: Instant,
    library: &mut rtc_sctp::Association,
    out: &mut VecDeque<Bytes>,
) -> Option<Bytes> {
    match library.poll_transmit(now)?.message {
        Payload::RawEncode(packets) => {
            let first = packets.first().cloned();
            out.extend(packets);
            first
        }
        _ => None,
    }
}

/// The verification tag that the peer is to use, from our INIT or INIT ACK.
fn own_tag(packet: &[u8]) -> Option<u32> {
    let first = Packet::parse(packet)?.chunks().next()?;
    let names_it = matches!(first.kind, chunk::INIT | chunk::INIT_ACK);
    u32_at(first.value, 0).filter(|_| names_it)
}

/// A defect of the library, met by one peer's bytes, must end that peer's channels only.
fn contain<T>(library: impl FnOnce() -> T) -> Result<T, AssociationEnd> {
    catch_unwind(AssertUnwindSafe(library)).map_err(|_| AssociationEnd::Library)
}
