//! One data channel.

use std::collections::VecDeque;

use super::dcep::{ChannelParameters, Reliability};
use super::incoming::CHUNK_OVERHEAD;

/// What a reliable channel may have unsent or unacknowledged, in bytes of memory.
const RELIABLE_BUFFER: usize = 4 << 20;

/// The same for others: what waits longer than this takes is of no use any more.
const LOSSY_BUFFER: usize = 64 << 10;

/// How far the channel's establishment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// There is no association yet.
    Waiting,
    /// The peer has been told.
    Opening,
    /// Messages can be sent.
    Open,
}

pub(super) struct Channel {
    pub(super) parameters: ChannelParameters,
    pub(super) phase: Phase,
    unsent: VecDeque<usize>,
    unsent_len: usize,
    /// Bytes released of the oldest message.
    released: usize,
}

impl Channel {
    pub(super) fn new(parameters: ChannelParameters, phase: Phase) -> Channel {
        Channel {
            parameters,
            phase,
            unsent: VecDeque::new(),
            unsent_len: 0,
            released: 0,
        }
    }

    /// What the library keeps of it costs this much memory.
    pub(super) fn cost(&self) -> usize {
        self.unsent_len + self.unsent.len() * CHUNK_OVERHEAD
    }

    /// Whether the buffer has no room for a message of `len` bytes. An empty buffer has for any.
    pub(super) fn is_full(&self, len: usize) -> bool {
        let limit = match self.parameters.reliability {
            Reliability::Reliable => RELIABLE_BUFFER,
            Reliability::Retransmits(_) | Reliability::Lifetime(_) => LOSSY_BUFFER,
        };
        let cost = self.cost();
        cost > 0 && cost + len + CHUNK_OVERHEAD > limit
    }

    /// How full the buffer of a reliable channel is, from 0 to 1; others lose what does not fit.
    pub(super) fn fill(&self) -> f64 {
        match self.parameters.reliability {
            Reliability::Reliable => self.cost() as f64 / RELIABLE_BUFFER as f64,
            Reliability::Retransmits(_) | Reliability::Lifetime(_) => 0.0,
        }
    }

    /// A message was given to the association.
    pub(super) fn sent(&mut self, len: usize) {
        self.unsent.push_back(len);
        self.unsent_len += len;
    }

    /// The association is done with `len` bytes. It does not say of which messages: the oldest are
    /// taken, which is right in sum.
    pub(super) fn released(&mut self, len: usize) {
        self.unsent_len = self.unsent_len.saturating_sub(len);
        self.released += len;
        while let Some(oldest) = self.unsent.front().filter(|it| **it <= self.released) {
            self.released -= oldest;
            self.unsent.pop_front();
        }
    }

    /// Bytes of messages that the peer has not acknowledged.
    #[cfg(test)]
    pub(super) fn buffered(&self) -> usize {
        self.unsent_len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(reliability: Reliability) -> Channel {
        let parameters = ChannelParameters {
            label: "x".to_owned(),
            ordered: true,
            reliability,
        };
        Channel::new(parameters, Phase::Open)
    }

    #[test]
    fn small_messages_fill_the_buffer_by_what_they_cost() {
        for (reliability, limit) in [
            (Reliability::Reliable, RELIABLE_BUFFER),
            (Reliability::Retransmits(0), LOSSY_BUFFER),
        ] {
            let mut channel = channel(reliability);
            let mut sent = 0;
            while !channel.is_full(1) {
                channel.sent(1);
                sent += 1;
            }
            assert_eq!(sent, limit / (1 + CHUNK_OVERHEAD));
            assert_eq!(channel.buffered(), sent);
            channel.released(1);
            assert!(!channel.is_full(1));
        }
        assert!(!channel(Reliability::Retransmits(0)).is_full(256 << 10));
    }

    #[test]
    fn released_bytes_free_whole_messages() {
        let mut channel = channel(Reliability::Reliable);
        for len in [10, 20, 30] {
            channel.sent(len);
        }
        for (released, messages) in [(9, 3), (2, 2), (18, 2), (1, 1), (30, 0)] {
            channel.released(released);
            assert_eq!(channel.unsent.len(), messages);
        }
        assert_eq!((channel.buffered(), channel.released), (0, 0));
    }
}
