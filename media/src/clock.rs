//! Time as an argument: the media plane never reads a clock below its socket loop.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Seconds from the NTP epoch (1900) to the Unix epoch (1970).
const NTP_UNIX_OFFSET: u64 = 2_208_988_800;

/// One reading of both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Monotonic time; all intervals are measured with it.
    pub mono: Instant,
    /// Wall time since the Unix epoch; only RTCP's NTP fields use it.
    pub unix: Duration,
}

impl Now {
    /// Reads the clocks of the operating system.
    pub fn read() -> Now {
        Now {
            mono: Instant::now(),
            // A clock set before 1970 only harms the NTP fields.
            unix: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default(),
        }
    }

    /// The same two clocks, `by` later.
    pub fn after(self, by: Duration) -> Now {
        Now {
            mono: self.mono + by,
            unix: self.unix + by,
        }
    }

    /// The wall clock as a 64-bit NTP timestamp (RFC 3550 §4): seconds and 2⁻³² fractions.
    pub fn ntp(&self) -> u64 {
        let seconds = self.unix.as_secs().wrapping_add(NTP_UNIX_OFFSET);
        let fraction = (u64::from(self.unix.subsec_nanos()) << 32) / 1_000_000_000;
        (seconds << 32) | fraction
    }

    /// The middle 32 bits of [`Now::ntp`], in units of 1/65536 s, as LSR and DLSR use them.
    pub fn ntp_middle(&self) -> u32 {
        (self.ntp() >> 16) as u32
    }
}

/// The round trip that a report block measures (RFC 3550 §6.4.1): `now − lsr − dlsr`.
///
/// All three are in units of 1/65536 s. `None` if the peer has no report of ours yet (`lsr` 0) or
/// the fields contradict our clock.
pub fn round_trip(now: u32, lsr: u32, dlsr: u32) -> Option<Duration> {
    if lsr == 0 {
        return None;
    }
    let elapsed = now.wrapping_sub(lsr).wrapping_sub(dlsr);
    // More than a minute is a wrapped or a made-up figure.
    (elapsed < 60 << 16).then(|| Duration::from_nanos(u64::from(elapsed) * 1_000_000_000 / 65_536))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ntp_counts_from_1900() {
        let now = Now {
            mono: Instant::now(),
            unix: Duration::new(1, 500_000_000),
        };
        assert_eq!(now.ntp(), ((NTP_UNIX_OFFSET + 1) << 32) | 0x8000_0000);
    }

    #[test]
    fn round_trip_is_what_remains_after_the_peers_delay() {
        assert_eq!(
            round_trip(10 << 16, 8 << 16, 1 << 16),
            Some(Duration::from_secs(1))
        );
        assert_eq!(round_trip(10 << 16, 0, 0), None);
        // A peer that claims to have held our report longer than it exists.
        assert_eq!(round_trip(10 << 16, 9 << 16, 2 << 16), None);
    }
}
