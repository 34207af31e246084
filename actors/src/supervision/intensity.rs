//! Restart intensity: how many restarts are too many.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// At most `max` restarts in any `window`; one more and the supervisor gives up and escalates (OTP's
/// `intensity` and `period`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intensity {
    /// Restarts allowed within `window`.
    pub max: u32,
    /// The sliding window.
    pub window: Duration,
}

impl Default for Intensity {
    /// Five restarts in ten seconds.
    fn default() -> Self {
        Intensity {
            max: 5,
            window: Duration::from_secs(10),
        }
    }
}

/// The restarts of the last window.
#[derive(Debug, Default)]
pub(crate) struct RestartWindow {
    times: VecDeque<Instant>,
}

impl RestartWindow {
    /// Counts a restart at `now`; `false` when it is one too many.
    pub(crate) fn admit(&mut self, intensity: Intensity, now: Instant) -> bool {
        while let Some(oldest) = self.times.front() {
            if now.saturating_duration_since(*oldest) < intensity.window {
                break;
            }
            self.times.pop_front();
        }
        if self.times.len() >= intensity.max as usize {
            return false;
        }
        self.times.push_back(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_more_than_max_within_the_window_is_refused_and_the_window_slides() {
        let intensity = Intensity {
            max: 2,
            window: Duration::from_secs(10),
        };
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut window = RestartWindow::default();
        assert!(window.admit(intensity, at(0)));
        assert!(window.admit(intensity, at(4)));
        assert!(!window.admit(intensity, at(9)));
        assert!(
            window.admit(intensity, at(10)),
            "the first is out of the window"
        );
        assert!(!window.admit(intensity, at(13)));
        assert!(window.admit(intensity, at(14)));
        assert_eq!(window.times.len(), 2, "old restarts are forgotten");
    }

    #[test]
    fn an_intensity_of_zero_escalates_at_the_first_failure() {
        let never = Intensity {
            max: 0,
            window: Duration::from_secs(1),
        };
        assert!(!RestartWindow::default().admit(never, Instant::now()));
    }
}
