//! Where a speaker's media clock stands on this process's clock.

use std::time::{Duration, Instant};

/// How fast the estimate may follow a slower sender clock, ms a second (a crystal is off by < 0.1).
const DRIFT: f64 = 0.2;

/// The wall time of media time zero, as the fastest packets show it: the least of (arrival − media
/// time). What is measured against it has the network's fixed delay taken out and its jitter not.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct MediaAnchor {
    /// Reference of the milliseconds below.
    epoch: Option<Instant>,
    zero_ms: f64,
    updated_ms: f64,
}

impl MediaAnchor {
    /// Takes a packet whose audio begins at `media_ms` and is `length_ms` long.
    pub(crate) fn observe(&mut self, media_ms: f64, arrival: Instant) {
        let Some(epoch) = self.epoch else {
            self.epoch = Some(arrival);
            self.zero_ms = -media_ms;
            return;
        };
        let now_ms = ms_since(epoch, arrival);
        let drifted = self.zero_ms + (now_ms - self.updated_ms).max(0.0) / 1e3 * DRIFT;
        self.zero_ms = drifted.min(now_ms - media_ms);
        self.updated_ms = now_ms;
    }

    /// When the sender's microphone heard what is at `media_ms`, by the same measure as
    /// [`MediaAnchor::age_ms`].
    pub(crate) fn instant_of(&self, media_ms: f64) -> Option<Instant> {
        let after_ms = (self.zero_ms + media_ms).max(0.0);
        self.epoch
            .map(|epoch| epoch + Duration::from_secs_f64(after_ms / 1e3))
    }

    /// How long ago, at `now`, the sender's microphone heard what is at `media_ms`, less the fixed
    /// delay of the network and of one packet.
    pub(crate) fn age_ms(&self, media_ms: f64, now: Instant) -> Option<f64> {
        self.epoch
            .map(|epoch| ms_since(epoch, now) - self.zero_ms - media_ms)
    }
}

fn ms_since(epoch: Instant, at: Instant) -> f64 {
    match at.checked_duration_since(epoch) {
        Some(after) => after.as_secs_f64() * 1e3,
        None => -(epoch - at).as_secs_f64() * 1e3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fastest_packet_sets_the_clock() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let mut anchor = MediaAnchor::default();
        anchor.observe(0.0, at(50));
        anchor.observe(20.0, at(40));
        anchor.observe(40.0, at(100));
        let age = anchor.age_ms(40.0, at(100)).expect("packets were observed");
        assert!((age - 40.0).abs() < 0.1, "{age}");
    }
}
