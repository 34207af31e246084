//! A publisher's audio.

use std::time::{Duration, Instant};

use super::client::LEVEL_ID;
use super::description::{Codecs, MID_ID};

/// Packets that tell their mid.
const INTRODUCTION: u16 = 30;

/// A microphone; the payload of each packet is its number, after [`Microphone::MARK`].
pub(crate) struct Microphone {
    pub(crate) mid: String,
    pub(crate) ssrc: u32,
    pub(crate) level: u8,
    pub(crate) muted: bool,
    /// Whether audio is sent redundantly.
    pub(crate) red: bool,
    /// The number of its newest packet, which is 960 ticks after the one before.
    pub(crate) sent: u16,
    next: Option<Instant>,
    before: Vec<u8>,
}

impl Microphone {
    /// What its Opus packets begin with.
    pub(crate) const MARK: [u8; 2] = [0x78, 0x4D];

    pub(crate) fn new(mid: &str, ssrc: u32, level: u8) -> Microphone {
        Microphone {
            mid: mid.to_owned(),
            ssrc,
            level,
            muted: false,
            red: false,
            sent: 0,
            next: None,
            before: Vec::new(),
        }
    }

    /// The packet that is due.
    pub(crate) fn poll(&mut self, now: Instant, codecs: &Codecs) -> Option<Vec<u8>> {
        let next = *self.next.get_or_insert(now);
        if next > now {
            return None;
        }
        self.next = Some(next + Duration::from_millis(20));
        self.sent = self.sent.wrapping_add(1);
        if self.muted {
            return None;
        }
        let red = codecs.red.filter(|_| self.red);
        let mut packet = vec![0x90, red.unwrap_or(codecs.opus)];
        packet.extend(self.sent.to_be_bytes());
        packet.extend((u32::from(self.sent) * 960).to_be_bytes());
        packet.extend(self.ssrc.to_be_bytes());
        let mut block = vec![LEVEL_ID << 4, self.level];
        if self.sent < INTRODUCTION {
            block.push(MID_ID << 4 | (self.mid.len() as u8 - 1));
            block.extend(self.mid.as_bytes());
        }
        block.resize(block.len().next_multiple_of(4), 0);
        packet.extend([0xBE, 0xDE]);
        packet.extend((block.len() as u16 / 4).to_be_bytes());
        packet.extend(block);
        let mut opus = Self::MARK.to_vec();
        opus.extend(self.sent.to_be_bytes());
        opus.extend(self.ssrc.to_be_bytes());
        opus.resize(40, 0x55);
        if red.is_some() {
            if !self.before.is_empty() {
                let head = 960 << 10 | self.before.len() as u32;
                packet.push(0x80 | codecs.opus);
                packet.extend(&head.to_be_bytes()[1..]);
            }
            packet.push(codecs.opus);
            packet.extend(&self.before);
            self.before.clone_from(&opus);
        }
        packet.extend(opus);
        Some(packet)
    }
}
