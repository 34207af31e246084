//! What a peer's DATA chunks are worth before the library keeps them.
//!
//! The library bounds what it keeps by the payload bytes it has not handed out, which bounds nothing:
//! a chunk costs memory beside its payload, a chunk far ahead is taken as one that fills a gap, and the
//! next chunk in sequence is taken always. So chunks are followed here by their transmission sequence
//! numbers (TSNs), and the library gets only those that a peer may send: not far ahead, and, in sequence,
//! whole messages of a bounded size, one after the other (RFC 9260, section 6.9).

use std::collections::VecDeque;

/// Chunks this far ahead of the last one in sequence are dropped, as if the network had. Half as many
/// gaps at most make a selective acknowledgement of 2 kB, which no network in use makes.
pub(super) const WINDOW: u32 = 1024;

/// A chunk's memory beside its payload: the library has it twice while it is ahead of its turn.
pub(super) const CHUNK_OVERHEAD: usize = 256;

/// What chunks ahead of their turn may cost.
const AHEAD: usize = 768 * 1024;

/// What may cost memory without ever being handed out: complete messages whose numbers within the stream
/// (SSNs) have gaps, and parts of abandoned messages that the library does not notice. A compliant peer
/// makes none of the former and few of the latter.
const UNDELIVERED: i64 = 512 * 1024;

/// The farthest that a peer may declare chunks abandoned: the library takes a step for each.
const FORWARD: u32 = 1 << 15;

/// Parts of a message, beyond those of a message of 1 kB.
const FRAGMENT: usize = 256;

/// The peer breaks the protocol in a way that costs memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Violation {
    /// A message is longer than was negotiated, or has too many parts.
    #[error("a message is too long")]
    MessageTooLong,
    /// A message began before the one before it had ended.
    #[error("messages are interleaved")]
    Interleaved,
    /// Messages' numbers have gaps that nothing will fill.
    #[error("messages cannot be delivered")]
    Undeliverable,
    /// The peer uses more streams than there can be channels.
    #[error("too many streams")]
    TooManyStreams,
    /// The peer does not answer requests to reset streams, of which each is kept and repeated.
    #[error("too many resets are unanswered")]
    TooManyResets,
    /// The peer resets channels before it has taken what they carry, which is kept until it has.
    #[error("too much is unsent on channels that were reset")]
    TooMuchRetired,
}

/// What to do with a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The library may keep it.
    New,
    /// It was received before; the library acknowledges it again.
    Duplicate,
    /// It is too far ahead.
    Ahead,
}

/// What there is to know about a chunk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fragment {
    pub(super) stream: u16,
    pub(super) ssn: u16,
    pub(super) begins: bool,
    pub(super) ends: bool,
    pub(super) unordered: bool,
    pub(super) len: usize,
}

/// Parts of a message, one after the other.
#[derive(Clone, Copy, Debug)]
struct Partial {
    begun: bool,
    last: Fragment,
    len: usize,
    fragments: usize,
}

impl Partial {
    fn new(first: Fragment) -> Partial {
        Partial {
            begun: first.begins,
            last: first,
            len: first.len,
            fragments: 1,
        }
    }

    /// The message with one more part, if it is a part of this message.
    fn with(mut self, next: Fragment) -> Option<Partial> {
        let same = !next.begins
            && next.stream == self.last.stream
            && next.unordered == self.last.unordered;
        self.last = next;
        self.len += next.len;
        self.fragments += 1;
        same.then_some(self)
    }

    fn cost(&self) -> i64 {
        (self.len + self.fragments * CHUNK_OVERHEAD) as i64
    }
}

/// Follows the chunks of one association.
#[derive(Debug)]
pub(super) struct Incoming {
    max_message: usize,
    /// The last TSN up to which there are no gaps.
    cumulative: u32,
    /// Chunks after it; the first is missing.
    ahead: VecDeque<Option<Fragment>>,
    ahead_cost: usize,
    message: Option<Partial>,
    /// Chunks before this one were abandoned, maybe the beginning of a message among them.
    forwarded: bool,
    /// Cost of messages in sequence less cost of messages handed out.
    undelivered: i64,
}

impl Incoming {
    pub(super) fn new(initial_tsn: u32, max_message: usize) -> Incoming {
        Incoming {
            max_message,
            cumulative: initial_tsn.wrapping_sub(1),
            ahead: VecDeque::new(),
            ahead_cost: 0,
            message: None,
            forwarded: false,
            undelivered: 0,
        }
    }

    /// The receive buffer that lets the library keep all that passes here.
    pub(super) fn receive_buffer(max_message: usize) -> usize {
        2 * AHEAD + UNDELIVERED as usize + max_message + crate::engine::MAX_DATAGRAM
    }

    /// Whether everything up to `tsn` has arrived or was abandoned.
    pub(super) fn reached(&self, tsn: u32) -> bool {
        self.cumulative.wrapping_sub(tsn) < 1 << 31
    }

    /// A DATA chunk.
    pub(super) fn data(&mut self, tsn: u32, fragment: Fragment) -> Result<Place, Violation> {
        if self.reached(tsn) {
            return Ok(Place::Duplicate);
        }
        let offset = tsn.wrapping_sub(self.cumulative).wrapping_sub(1);
        let at = offset as usize;
        if self.ahead.get(at).is_some_and(Option::is_some) {
            return Ok(Place::Duplicate);
        }
        let cost = fragment.len + CHUNK_OVERHEAD;
        if offset >= WINDOW || (at > 0 && self.ahead_cost + cost > AHEAD) {
            return Ok(Place::Ahead);
        }
        if self.ahead.len() <= at {
            self.ahead.resize(at + 1, None);
        }
        self.ahead[at] = Some(fragment);
        self.ahead_cost += cost;
        self.advance()?;
        Ok(Place::New)
    }

    /// A FORWARD TSN chunk (RFC 3758); false if it goes too far. `dropped` tells whether the library drops
    /// a part of an incomplete message over it.
    pub(super) fn forward(
        &mut self,
        tsn: u32,
        dropped: impl Fn(&Fragment) -> bool,
    ) -> Result<bool, Violation> {
        if self.reached(tsn) {
            return Ok(true);
        }
        let distance = tsn.wrapping_sub(self.cumulative);
        if distance > FORWARD {
            return Ok(false);
        }
        let mut run = self.message.take();
        for _ in 0..distance {
            let Some(next) = self.ahead.pop_front() else {
                break;
            };
            let joined = run.zip(next).and_then(|(run, next)| run.with(next));
            if joined.is_none()
                && let Some(cut) = run
            {
                self.abandon(&cut, &dropped);
            }
            run = joined.or_else(|| next.map(Partial::new));
            if let Some(next) = next {
                self.ahead_cost -= next.len + CHUNK_OVERHEAD;
            }
            if let Some(ended) = run.filter(|run| run.last.ends) {
                self.abandon(&ended, &dropped);
                run = None;
            }
        }
        if let Some(cut) = run {
            self.abandon(&cut, &dropped);
        }
        self.cumulative = tsn;
        self.forwarded = true;
        self.advance()?;
        Ok(true)
    }

    /// The library handed out a message of `fragments` parts.
    pub(super) fn delivered(&mut self, len: usize, fragments: usize) {
        let cost = len + fragments * CHUNK_OVERHEAD;
        // Unordered messages are handed out ahead of their turn; an abandoned one never gets its turn.
        self.undelivered = (self.undelivered - cost as i64).max(-(AHEAD as i64));
    }

    /// Whether so much waits to be handed out that no more should be taken.
    pub(super) fn is_full(&self) -> bool {
        self.undelivered > UNDELIVERED / 2
    }

    /// To be asked once the library has nothing more to hand out.
    pub(super) fn check(&self) -> Result<(), Violation> {
        if self.undelivered > UNDELIVERED {
            return Err(Violation::Undeliverable);
        }
        Ok(())
    }

    fn abandon(&mut self, run: &Partial, dropped: impl Fn(&Fragment) -> bool) {
        // A complete message has been handed out, or will be.
        let complete = run.begun && run.last.ends;
        if complete || !dropped(&run.last) {
            self.undelivered += run.cost();
        }
    }

    fn advance(&mut self) -> Result<(), Violation> {
        while let Some(Some(fragment)) = self.ahead.front().copied() {
            self.ahead.pop_front();
            self.ahead_cost -= fragment.len + CHUNK_OVERHEAD;
            self.cumulative = self.cumulative.wrapping_add(1);
            self.in_sequence(fragment)?;
        }
        Ok(())
    }

    fn in_sequence(&mut self, fragment: Fragment) -> Result<(), Violation> {
        let message = match self.message.take() {
            None if fragment.begins || self.forwarded => Some(Partial::new(fragment)),
            None => None,
            Some(begun) => begun.with(fragment),
        };
        let message = message.ok_or(Violation::Interleaved)?;
        self.forwarded = false;
        if message.len > self.max_message
            || message.fragments > self.max_message / FRAGMENT + 1024 / FRAGMENT
        {
            return Err(Violation::MessageTooLong);
        }
        if fragment.ends {
            self.undelivered += message.cost();
        } else {
            self.message = Some(message);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fragment(begins: bool, ends: bool, len: usize) -> Fragment {
        Fragment {
            stream: 1,
            ssn: 0,
            begins,
            ends,
            unordered: false,
            len,
        }
    }

    fn whole(len: usize) -> Fragment {
        fragment(true, true, len)
    }

    #[test]
    fn chunks_are_placed_across_the_wrap_of_their_numbers() {
        let first = u32::MAX - 2;
        let mut incoming = Incoming::new(first, 1000);
        for step in [1, 0, 3, 2, 9] {
            let tsn = first.wrapping_add(step);
            assert_eq!(incoming.data(tsn, whole(10)), Ok(Place::New), "{step}");
            assert_eq!(
                incoming.data(tsn, whole(10)),
                Ok(Place::Duplicate),
                "{step}"
            );
        }
        assert!(incoming.reached(first.wrapping_add(3)));
        assert!(!incoming.reached(first.wrapping_add(4)));
        let far = first.wrapping_add(4 + WINDOW);
        assert_eq!(incoming.data(far, whole(10)), Ok(Place::Ahead));
        assert_eq!(
            incoming.data(far.wrapping_sub(1), whole(10)),
            Ok(Place::New)
        );
    }

    #[test]
    fn chunks_ahead_of_their_turn_are_bounded_in_bytes() {
        let mut incoming = Incoming::new(0, 1 << 20);
        let taken = (1..WINDOW)
            .filter(|&tsn| incoming.data(tsn, whole(1200)) == Ok(Place::New))
            .count();
        assert_eq!(taken, AHEAD / (1200 + CHUNK_OVERHEAD));
        // The one in sequence always goes, and makes room.
        assert_eq!(incoming.data(0, whole(1200)), Ok(Place::New));
        assert_eq!(incoming.ahead_cost, 0);
    }

    #[test]
    fn a_message_that_never_ends_is_a_violation() {
        for len in [1, 300, 1200] {
            let mut incoming = Incoming::new(0, 100_000);
            assert_eq!(incoming.data(0, fragment(true, false, len)), Ok(Place::New));
            let end = (1..1000).find_map(|tsn| {
                incoming
                    .data(tsn, fragment(false, false, len))
                    .err()
                    .map(|violation| (tsn, violation))
            });
            let (tsn, violation) = end.unwrap();
            assert_eq!(violation, Violation::MessageTooLong);
            assert!(tsn as usize * len <= 100_000 && tsn <= 400, "{tsn}");
        }
    }

    #[test]
    fn messages_do_not_interleave() {
        for second in [whole(5), fragment(true, false, 5)] {
            let mut incoming = Incoming::new(0, 1000);
            incoming.data(0, fragment(true, false, 5)).unwrap();
            assert_eq!(incoming.data(1, second), Err(Violation::Interleaved));
        }
        let mut incoming = Incoming::new(0, 1000);
        assert_eq!(
            incoming.data(0, fragment(false, true, 5)),
            Err(Violation::Interleaved)
        );
        let mut incoming = Incoming::new(0, 1000);
        incoming.data(0, fragment(true, false, 5)).unwrap();
        let other = Fragment {
            stream: 3,
            ..fragment(false, true, 5)
        };
        assert_eq!(incoming.data(1, other), Err(Violation::Interleaved));
    }

    #[test]
    fn abandoned_chunks_free_what_they_cost_and_may_cut_a_message() {
        let mut incoming = Incoming::new(0, 1000);
        incoming.data(0, fragment(true, false, 5)).unwrap();
        for tsn in [2, 3, 5] {
            incoming.data(tsn, whole(50)).unwrap();
            incoming.delivered(50, 1);
        }
        let before = incoming.undelivered;
        assert_eq!(incoming.forward(2, |_| true), Ok(true));
        assert!(incoming.reached(3) && !incoming.reached(4));
        assert_eq!(incoming.ahead_cost, 50 + CHUNK_OVERHEAD);
        // Two of the three messages had their turn.
        let cost = (50 + CHUNK_OVERHEAD) as i64;
        assert_eq!(incoming.undelivered, before + 2 * cost);
        assert_eq!(incoming.forward(1, |_| true), Ok(true));
        assert_eq!(incoming.forward(4 + FORWARD, |_| true), Ok(false));
        assert_eq!(incoming.forward(2 + FORWARD, |_| true), Ok(true));
        assert_eq!((incoming.ahead_cost, incoming.undelivered), (0, 0));
        assert_eq!(
            incoming.data(3 + FORWARD, fragment(false, true, 5)),
            Ok(Place::New)
        );
    }

    #[test]
    fn parts_of_abandoned_messages_count_if_the_library_keeps_them() {
        for (dropped, kept) in [(true, 0), (false, 3)] {
            let mut incoming = Incoming::new(0, 1000);
            incoming.data(0, fragment(true, false, 5)).unwrap();
            incoming.data(3, fragment(true, false, 5)).unwrap();
            incoming.data(5, fragment(false, true, 5)).unwrap();
            assert_eq!(incoming.forward(4, |_| dropped), Ok(true));
            // The last one came into its turn without its beginning.
            let cost = (5 + CHUNK_OVERHEAD) as i64;
            assert_eq!(incoming.undelivered, cost * if dropped { 1 } else { kept });
        }
    }

    #[test]
    fn messages_that_are_not_handed_out_add_up() {
        let mut incoming = Incoming::new(0, 2000);
        for tsn in 0..10_000 {
            incoming.data(tsn, whole(1000)).unwrap();
            incoming.delivered(1000, 1);
            assert_eq!(incoming.check(), Ok(()));
        }
        let end = (10_000..20_000)
            .take_while(|&tsn| {
                incoming.data(tsn, whole(1)).unwrap();
                incoming.check().is_ok()
            })
            .count();
        assert_eq!(end, UNDELIVERED as usize / (1 + CHUNK_OVERHEAD));
    }
}
