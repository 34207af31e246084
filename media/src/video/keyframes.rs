//! Asking a publisher for keyframes on behalf of many subscribers.

use std::time::{Duration, Instant};

/// How often a request goes out at most, unless told otherwise.
pub const KEYFRAME_INTERVAL: Duration = Duration::from_millis(500);
/// Requests that one call for a keyframe is worth; the stream may have ended.
const MAX_TRIES: u8 = 8;

/// The keyframe requests of one published stream: those of all subscribers become one, and it is
/// repeated until a keyframe comes, since a PLI may get lost.
#[derive(Clone, Copy, Debug)]
pub struct KeyframeRequests {
    interval: Duration,
    last: Option<Instant>,
    due: Option<Instant>,
    tries: u8,
}

impl KeyframeRequests {
    /// Requests go out `interval` apart at least; see [`KEYFRAME_INTERVAL`].
    pub fn new(interval: Duration) -> KeyframeRequests {
        KeyframeRequests {
            interval,
            last: None,
            due: None,
            tries: 0,
        }
    }

    /// A subscriber needs a keyframe.
    pub fn request(&mut self, now: Instant) {
        self.tries = 0;
        if self.due.is_none() {
            let earliest = self.last.map(|last| last + self.interval);
            self.due = Some(earliest.map_or(now, |earliest| earliest.max(now)));
        }
    }

    /// A keyframe came.
    pub fn received(&mut self) {
        self.due = None;
    }

    /// When [`KeyframeRequests::poll`] has something to do.
    pub fn next_at(&self) -> Option<Instant> {
        self.due
    }

    /// Whether a picture loss indication (RFC 4585 §6.3.1) should be sent now.
    pub fn poll(&mut self, now: Instant) -> bool {
        if self.due.is_none_or(|due| due > now) {
            return false;
        }
        self.last = Some(now);
        self.tries += 1;
        self.due = (self.tries < MAX_TRIES).then(|| now + self.interval);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_requests_become_one_that_is_repeated_until_it_is_met() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut requests = KeyframeRequests::new(KEYFRAME_INTERVAL);
        assert!(!requests.poll(at(0)));
        requests.request(at(0));
        requests.request(at(0));
        assert!(requests.poll(at(0)));
        requests.request(at(10));
        assert!(!requests.poll(at(499)));
        assert_eq!(requests.next_at(), Some(at(500)));
        assert!(requests.poll(at(500)));
        requests.received();
        assert_eq!(requests.next_at(), None);

        // Too soon after the last, then long after it.
        requests.request(at(600));
        assert_eq!(requests.next_at(), Some(at(1000)));
        requests.received();
        requests.request(at(5000));
        assert!(requests.poll(at(5000)));
    }

    #[test]
    fn a_stream_that_never_answers_is_left_alone() {
        let start = Instant::now();
        let mut requests = KeyframeRequests::new(KEYFRAME_INTERVAL);
        requests.request(start);
        let sent = (0..100u32)
            .filter(|second| requests.poll(start + Duration::from_secs(1) * *second))
            .count();
        assert_eq!(sent, 8);
        assert_eq!(requests.next_at(), None);
    }
}
