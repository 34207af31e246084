//! One clock for everything a run records.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Seconds between the NTP epoch (1900) and the Unix epoch (1970).
const NTP_TO_UNIX: f64 = 2_208_988_800.0;

/// Relates the monotonic clock to Unix time, once, so that a step of the system clock in the
/// middle of a run shifts nothing.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: Instant,
    unix_ms: f64,
}

impl Clock {
    /// Read both clocks now.
    pub fn start() -> Self {
        let unix = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            origin: Instant::now(),
            unix_ms: unix.as_secs_f64() * 1000.0,
        }
    }

    /// Seconds since the clock was started.
    pub fn seconds(&self, at: Instant) -> f64 {
        match at.checked_duration_since(self.origin) {
            Some(since) => since.as_secs_f64(),
            None => -(self.origin - at).as_secs_f64(),
        }
    }

    /// The instant that is some seconds after the start.
    pub fn instant(&self, seconds: f64) -> Instant {
        self.origin + Duration::from_secs_f64(seconds.max(0.0))
    }

    /// Unix time in ms as seconds since the clock was started.
    pub fn from_unix_ms(&self, unix_ms: f64) -> f64 {
        (unix_ms - self.unix_ms) / 1000.0
    }

    /// A 64-bit NTP timestamp (RFC 3550, 32.32 fixed point) as seconds since the start.
    pub fn from_ntp(&self, ntp: u64) -> f64 {
        let seconds = ntp as f64 / 4_294_967_296.0;
        self.from_unix_ms((seconds - NTP_TO_UNIX) * 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ntp_and_unix_name_the_same_moment() {
        let clock = Clock {
            origin: Instant::now(),
            unix_ms: 1_800_000_000_000.0,
        };
        let ntp = ((1_800_000_000u64 + NTP_TO_UNIX as u64) << 32) | (1 << 31);
        assert!(
            (clock.from_ntp(ntp) - 0.5).abs() < 1e-3,
            "{}",
            clock.from_ntp(ntp)
        );
        assert!((clock.from_unix_ms(1_800_000_002_000.0) - 2.0).abs() < 1e-9);
    }
}
