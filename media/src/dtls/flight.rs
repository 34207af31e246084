//! Retransmission of a handshake's flights (RFC 6347, section 4.2.4).

use std::time::{Duration, Instant};

use bytes::BytesMut;

/// Time for the first answer. The RFC's second is for networks without a round trip known to be short;
/// by now ICE has crossed this one, and somebody waits to hear the room.
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// The longest time between two retransmissions.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// How long an answer to one flight is waited for.
const PATIENCE: Duration = Duration::from_secs(15);

/// What was sent last and has not been answered.
///
/// rtc-dtls 0.21.1 has a timer of its own, which is not used: any message that does not complete the
/// peer's flight, such as a repeated hello, stops it for good. The same datagrams are sent again, not new
/// records of the same messages: a peer that has seen them drops them as replays, and one that has not
/// cannot tell the difference, since a flight of ours is one datagram.
#[derive(Debug)]
pub(super) struct Flight {
    datagrams: Vec<BytesMut>,
    wait: Duration,
    again_at: Instant,
    until: Instant,
}

impl Flight {
    /// A flight sent now; none if nothing in it is retransmitted.
    pub(super) fn sent(datagrams: Vec<BytesMut>, now: Instant) -> Option<Flight> {
        let repeated = datagrams.iter().any(|it| !is_hello_verify_request(it));
        repeated.then_some(Flight {
            datagrams,
            wait: FIRST_WAIT,
            again_at: now + FIRST_WAIT,
            until: now + PATIENCE,
        })
    }

    /// When [`Flight::again`] has something to say.
    pub(super) fn next_at(&self) -> Instant {
        self.again_at
    }

    /// What is to be sent again by now; an error when nobody is going to answer.
    pub(super) fn again(&mut self, now: Instant) -> Result<&[BytesMut], Unanswered> {
        if now < self.again_at {
            return Ok(&[]);
        }
        if now >= self.until {
            return Err(Unanswered);
        }
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
        self.again_at = now + self.wait;
        Ok(&self.datagrams)
    }
}

/// No answer came in time.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unanswered;

/// A cookie for a hello is not repeated: the hello is, by its sender.
fn is_hello_verify_request(datagram: &[u8]) -> bool {
    // A record of handshake messages, and the type of its first.
    datagram.first() == Some(&22) && datagram.get(13) == Some(&3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flight_is_repeated_ever_more_slowly_until_nobody_is_expected_to_answer() {
        let start = Instant::now();
        let mut flight = Flight::sent(vec![BytesMut::from(&[22; 20][..])], start).unwrap();
        let mut sent_at = Vec::new();
        let mut now = start;
        while let Ok(datagrams) = flight.again(now) {
            if !datagrams.is_empty() {
                sent_at.push((now - start).as_millis());
            }
            now = flight.next_at();
        }
        assert_eq!(sent_at[..4], [250, 750, 1_750, 3_750]);
        assert!((now - start).as_secs() <= 17, "{:?}", now - start);
    }

    #[test]
    fn a_cookie_is_not_repeated() {
        let mut cookie = [0; 48];
        (cookie[0], cookie[13]) = (22, 3);
        assert!(Flight::sent(vec![BytesMut::from(&cookie[..])], Instant::now()).is_none());
        assert!(Flight::sent(Vec::new(), Instant::now()).is_none());
    }
}
