//! What a link does to packets.

use std::time::Duration;

use serde::Serialize;

use super::rate::RateSchedule;

/// A link, the same in both directions but for its capacity.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LinkSettings {
    /// Share of packets lost, 0..1.
    pub loss: f64,
    /// Mean length of a burst of losses, packets; 1 or less makes losses independent.
    pub burst: f64,
    /// Fixed one-way delay, ms.
    pub delay_ms: f64,
    /// Jitter, ms: every packet's delay varies by up to this much either way.
    pub jitter_ms: f64,
    /// Share of packets overtaken by later ones, 0..1.
    pub reorder: f64,
    /// Share of packets that arrive twice, 0..1.
    pub duplicate: f64,
    /// Share of packets that arrive broken, 0..1.
    pub corrupt: f64,
    /// What it carries towards the server; none is no limit.
    pub rate_up: Option<RateSchedule>,
    /// What it carries towards the peer; none is no limit.
    pub rate_down: Option<RateSchedule>,
    /// Where the rate is limited, what would wait longer than this is dropped, ms.
    pub queue_ms: f64,
    /// Seed of every decision.
    pub seed: u64,
}

impl LinkSettings {
    /// A link that does nothing to packets.
    pub const fn ideal() -> Self {
        Self {
            loss: 0.0,
            burst: 1.0,
            delay_ms: 0.0,
            jitter_ms: 0.0,
            reorder: 0.0,
            duplicate: 0.0,
            corrupt: 0.0,
            rate_up: None,
            rate_down: None,
            queue_ms: 300.0,
            seed: 0,
        }
    }

    /// The same link with other dice: every peer and direction gets its own.
    pub fn reseeded(self, salt: u64) -> Self {
        // SplitMix64's increment spreads neighbouring salts.
        Self {
            seed: self.seed ^ salt.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            ..self
        }
    }

    /// The longest wait where the rate is limited.
    pub fn queue(&self) -> Duration {
        Duration::from_secs_f64(self.queue_ms.max(0.0) / 1000.0)
    }

    /// The fixed one-way delay.
    pub fn delay(&self) -> Duration {
        Duration::from_secs_f64(self.delay_ms.max(0.0) / 1000.0)
    }
}
