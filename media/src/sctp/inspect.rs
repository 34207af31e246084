//! What of a peer's packets reaches the library.
//!
//! The library closes the association over chunks that RFC 9260 says to ignore, drops a whole packet
//! over one unknown chunk, and spends time and memory on numbers that a peer is free to choose. So each
//! packet is made anew from the chunks that it can take.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;

use super::incoming::{Fragment, Incoming, Place, Violation};
use super::packet::{Chunk, Packet, Rebuilt, chunk, parameters, u16_at, u32_at};

/// Parameters of a RE-CONFIG chunk (RFC 6525) and of an INIT.
const OUTGOING_RESET: u16 = 13;
const RECONFIG_RESPONSE: u16 = 16;
const SUPPORTED_EXTENSIONS: u16 = 0x8008;

const RESULT_PERFORMED: u32 = 1;
const RESULT_IN_PROGRESS: u32 = 6;

/// Flags of a DATA chunk.
const ENDS: u8 = 1;
const BEGINS: u8 = 2;
const UNORDERED: u8 = 4;

/// What a packet comes to.
pub(super) enum Verdict {
    /// Nothing of it is of use.
    Nothing,
    /// What the library may have of it.
    Pass(Bytes),
    /// The peer ended the association.
    Ended,
}

/// An INIT with what is used of it: the library refuses one with parameters that it cannot read, such as
/// the algorithms of an authentication that nobody asked for. None if it is malformed.
pub(super) fn plain_init(init: &Packet<'_>) -> Option<Bytes> {
    let value = init.chunks().next()?.value;
    let mut plain = init.rebuild();
    let extensions = parameters(value.get(16..)?).find(|it| it.0 == SUPPORTED_EXTENSIONS);
    match extensions {
        Some((kind, list)) => {
            let len = (list.len() as u16 + 4).to_be_bytes();
            let parts = [&value[..16], &kind.to_be_bytes(), &len, list];
            plain.push(chunk::INIT, 0, &parts);
        }
        None => plain.push(chunk::INIT, 0, &[&value[..16]]),
    }
    Some(plain.finish())
}

/// What an INIT or INIT ACK says about its sender.
struct Announced {
    tag: u32,
    initial_tsn: u32,
    forward_tsn: bool,
}

impl Announced {
    fn parse(value: &[u8]) -> Option<Announced> {
        let extensions = parameters(value.get(16..)?)
            .filter(|(kind, _)| *kind == SUPPORTED_EXTENSIONS)
            .flat_map(|(_, chunks)| chunks);
        Some(Announced {
            tag: u32_at(value, 0)?,
            initial_tsn: u32_at(value, 12)?,
            forward_tsn: extensions.into_iter().any(|it| *it == chunk::FORWARD_TSN),
        })
    }
}

/// What is known about the sender of the packets.
struct Sender {
    tag: u32,
    forward_tsn: bool,
    incoming: Incoming,
    /// Number of the next request to reset streams.
    next_reset: u32,
}

impl Sender {
    fn new(announced: &Announced, max_message: usize) -> Sender {
        Sender {
            tag: announced.tag,
            forward_tsn: announced.forward_tsn,
            incoming: Incoming::new(announced.initial_tsn, max_message),
            next_reset: announced.initial_tsn,
        }
    }
}

/// Follows one association.
pub(super) struct Inspector {
    our_tag: u32,
    max_message: usize,
    sender: Option<Sender>,
    /// Whether data may come.
    open: bool,
    /// Streams that the library takes for unordered.
    unordered: Vec<u16>,
    /// Numbers of our requests to reset streams that the peer has not answered.
    resets: BTreeSet<u32>,
    /// Whether messages wait in the library until they are wanted.
    paused: bool,
}

/// Requests of ours to reset streams that may be unanswered: the library keeps each, and repeats them all.
const MAX_RESETS: usize = 64;

impl Inspector {
    /// An association that this side began; data will have messages of at most `max_message` bytes.
    pub(super) fn initiate(our_tag: u32, max_message: usize) -> Inspector {
        Inspector {
            our_tag,
            max_message,
            sender: None,
            open: false,
            unordered: Vec::new(),
            resets: BTreeSet::new(),
            paused: false,
        }
    }

    /// An association that the sender of `init` began; none if the INIT is malformed.
    pub(super) fn accept(init: &Packet<'_>, our_tag: u32, max_message: usize) -> Option<Inspector> {
        let announced = Announced::parse(init.chunks().next()?.value)?;
        Some(Inspector {
            sender: Some(Sender::new(&announced, max_message)),
            ..Inspector::initiate(our_tag, max_message)
        })
    }

    /// Judges a packet. What is to be answered without the library is put into `replies`.
    pub(super) fn inspect(
        &mut self,
        packet: &Packet<'_>,
        replies: &mut VecDeque<Bytes>,
    ) -> Result<Verdict, Violation> {
        if packet.verification_tag() != self.our_tag {
            return Ok(Verdict::Nothing);
        }
        let mut passed = packet.rebuild();
        for chunk in packet.chunks() {
            match chunk.kind {
                chunk::DATA if self.open => self.data(&chunk, &mut passed)?,
                chunk::FORWARD_TSN if self.open => self.forward_tsn(&chunk, &mut passed)?,
                chunk::SACK if blocks_ascend(chunk.value) => {
                    passed.push(chunk.kind, 0, &[chunk.value]);
                }
                chunk::HEARTBEAT => {
                    if let Some(sender) = &self.sender {
                        let mut reply = packet.reply(sender.tag);
                        reply.push(chunk::HEARTBEAT_ACK, 0, &[chunk.value]);
                        replies.push_back(reply.finish());
                    }
                }
                chunk::RECONFIG => self.reconfig(packet, &chunk, &mut passed, replies),
                chunk::COOKIE_ECHO => {
                    self.open = true;
                    passed.push(chunk.kind, 0, &[chunk.value]);
                }
                chunk::COOKIE_ACK => {
                    self.open = true;
                    passed.push(chunk.kind, 0, &[]);
                }
                chunk::INIT_ACK if self.sender.is_none() && passed.is_empty() => {
                    if let Some(announced) = Announced::parse(chunk.value) {
                        self.sender = Some(Sender::new(&announced, self.max_message));
                        passed.push(chunk.kind, 0, &[chunk.value]);
                    }
                    // It has a packet of its own.
                    break;
                }
                // WebRTC knows no orderly shutdown: DTLS says goodbye (RFC 8831, section 6.2).
                chunk::ABORT | chunk::SHUTDOWN | chunk::SHUTDOWN_ACK | chunk::SHUTDOWN_COMPLETE => {
                    return Ok(Verdict::Ended);
                }
                // An error is a report; what it is about has been dropped by the peer.
                chunk::DATA
                | chunk::FORWARD_TSN
                | chunk::SACK
                | chunk::HEARTBEAT_ACK
                | chunk::INIT
                | chunk::INIT_ACK
                | chunk::ERROR => {}
                // The type of an unknown chunk says whether what follows it counts (section 3.2).
                unknown if unknown & 0x80 == 0 => break,
                _ => {}
            }
        }
        Ok(if passed.is_empty() {
            Verdict::Nothing
        } else {
            Verdict::Pass(passed.finish())
        })
    }

    /// The library has been told whether a stream is ordered.
    pub(super) fn set_ordered(&mut self, stream: u16, ordered: bool) {
        self.unordered.retain(|unordered| *unordered != stream);
        if !ordered {
            self.unordered.push(stream);
        }
    }

    /// Messages wait in the library from now on, or are taken again.
    pub(super) fn set_paused(&mut self, paused: bool) {
        self.paused = paused;
    }

    /// A packet of ours, before it is sent.
    pub(super) fn sent(&mut self, packet: &[u8]) {
        // The library gives these packets of their own, and there are few.
        if packet.get(12) != Some(&chunk::RECONFIG) {
            return;
        }
        let Some(packet) = Packet::parse(packet) else {
            return;
        };
        for chunk in packet.chunks().filter(|it| it.kind == chunk::RECONFIG) {
            let requests = parameters(chunk.value).filter(|(kind, _)| *kind == OUTGOING_RESET);
            let numbers = requests.filter_map(|(_, value)| u32_at(value, 0));
            self.resets.extend(numbers);
        }
    }

    /// The library handed out a message.
    pub(super) fn delivered(&mut self, len: usize, fragments: usize) {
        if let Some(sender) = &mut self.sender {
            sender.incoming.delivered(len, fragments);
        }
    }

    /// To be asked once the library has nothing more to hand out.
    pub(super) fn check(&self) -> Result<(), Violation> {
        if self.resets.len() > MAX_RESETS {
            return Err(Violation::TooManyResets);
        }
        if self.paused {
            // What waits is not what cannot be handed out.
            return Ok(());
        }
        self.sender
            .as_ref()
            .map_or(Ok(()), |it| it.incoming.check())
    }

    fn data(&mut self, chunk: &Chunk<'_>, passed: &mut Rebuilt) -> Result<(), Violation> {
        let (Some(sender), Some(tsn), Some(stream), Some(ssn)) = (
            &mut self.sender,
            u32_at(chunk.value, 0),
            u16_at(chunk.value, 4),
            u16_at(chunk.value, 6),
        ) else {
            return Ok(());
        };
        if self.paused && sender.incoming.is_full() {
            // As if the network had lost it: the peer sends it again, and learns to send less.
            return Ok(());
        }
        // A chunk without data is a protocol violation that costs memory and counts as no bytes.
        let Some(len) = chunk.value.len().checked_sub(12).filter(|len| *len > 0) else {
            return Ok(());
        };
        let fragment = Fragment {
            stream,
            ssn,
            begins: chunk.flags & BEGINS != 0,
            ends: chunk.flags & ENDS != 0,
            unordered: chunk.flags & UNORDERED != 0,
            len,
        };
        if sender.incoming.data(tsn, fragment)? != Place::Ahead {
            passed.push(chunk.kind, chunk.flags, &[chunk.value]);
        }
        Ok(())
    }

    fn forward_tsn(&mut self, chunk: &Chunk<'_>, passed: &mut Rebuilt) -> Result<(), Violation> {
        let (Some(sender), Some(tsn)) = (&mut self.sender, u32_at(chunk.value, 0)) else {
            return Ok(());
        };
        if !sender.forward_tsn || !chunk.value.len().is_multiple_of(4) {
            return Ok(());
        }
        let skipped = |fragment: &Fragment| {
            chunk.value[4..].chunks_exact(4).any(|skipped| {
                u16_at(skipped, 0) == Some(fragment.stream)
                    && u16_at(skipped, 2)
                        .is_some_and(|last| last.wrapping_sub(fragment.ssn) < 1 << 15)
            })
        };
        // The library looks at how its own side of the stream sends.
        let dropped = |fragment: &Fragment| {
            let unordered = self.unordered.contains(&fragment.stream);
            unordered == fragment.unordered && (unordered || skipped(fragment))
        };
        if sender.incoming.forward(tsn, dropped)? {
            passed.push(chunk.kind, 0, &[chunk.value]);
        }
        Ok(())
    }

    fn reconfig(
        &mut self,
        packet: &Packet<'_>,
        chunk: &Chunk<'_>,
        passed: &mut Rebuilt,
        replies: &mut VecDeque<Bytes>,
    ) {
        let Some(sender) = &mut self.sender else {
            return;
        };
        for (kind, value) in parameters(chunk.value) {
            if kind == OUTGOING_RESET && self.paused {
                // The streams may have messages that wait; the peer repeats it.
                continue;
            }
            match (kind, u32_at(value, 0), u32_at(value, 4), u32_at(value, 8)) {
                (OUTGOING_RESET, Some(number), Some(_), Some(last_tsn)) => {
                    if number == sender.next_reset.wrapping_sub(1) {
                        // The library would reset the streams again, which may have new channels.
                        let mut reply = packet.reply(sender.tag);
                        let response = [
                            (u32::from(RECONFIG_RESPONSE) << 16) | 12,
                            number,
                            RESULT_PERFORMED,
                        ];
                        push_words(&mut reply, &response);
                        replies.push_back(reply.finish());
                    } else if number == sender.next_reset
                        && sender.incoming.reached(last_tsn)
                        && value.len().is_multiple_of(2)
                    {
                        // One whose data is still missing is dropped: the peer repeats it.
                        sender.next_reset = sender.next_reset.wrapping_add(1);
                        push_parameter(passed, kind, value);
                    }
                }
                // The library takes every response for the end of its request.
                (RECONFIG_RESPONSE, Some(number), Some(result), _)
                    if result != RESULT_IN_PROGRESS =>
                {
                    self.resets.remove(&number);
                    push_parameter(passed, kind, &value[..8]);
                }
                _ => {}
            }
        }
    }
}

fn push_parameter(packet: &mut Rebuilt, kind: u16, value: &[u8]) {
    // A value is part of a chunk, whose length has 16 bits and counts more than the value.
    let len = (value.len() as u16 + 4).to_be_bytes();
    packet.push(chunk::RECONFIG, 0, &[&kind.to_be_bytes(), &len, value]);
}

fn push_words(packet: &mut Rebuilt, words: &[u32]) {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
    packet.push(chunk::RECONFIG, 0, &[&bytes]);
}

/// Whether a SACK's blocks follow one another. Those that overlap would be gone through again and again.
fn blocks_ascend(sack: &[u8]) -> bool {
    let (Some(blocks), Some(duplicates)) = (u16_at(sack, 8), u16_at(sack, 10)) else {
        return false;
    };
    let (blocks, duplicates) = (usize::from(blocks), usize::from(duplicates));
    if sack.len() != 12 + 4 * (blocks + duplicates) {
        return false;
    }
    let mut last = 0;
    sack[12..].chunks_exact(4).take(blocks).all(|block| {
        let (start, end) = (u16_at(block, 0), u16_at(block, 2));
        let ascends = start > Some(last) && end >= start;
        last = end.unwrap_or(u16::MAX);
        ascends
    })
}

#[cfg(test)]
mod tests;
