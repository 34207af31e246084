//! The figures that TURN keeps; docs/metrics.md explains them.

use metrics::{counter, gauge};

/// Why credentials were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AuthFailure {
    /// The user name is not of our making.
    Username,
    /// The message is not signed with the user name's password.
    Password,
    /// They were good once.
    Expired,
}

/// Which way a datagram was relayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    ToPeer,
    ToClient,
}

pub(super) fn auth_failed(why: AuthFailure) {
    let reason = match why {
        AuthFailure::Username => "username",
        AuthFailure::Password => "password",
        AuthFailure::Expired => "expired",
    };
    counter!("hive_turn_auth_failures_total", "reason" => reason).increment(1);
}

pub(super) fn relayed(direction: Direction, bytes: usize) {
    let direction = match direction {
        Direction::ToPeer => "to_peer",
        Direction::ToClient => "to_client",
    };
    counter!("hive_turn_bytes_total", "direction" => direction).increment(bytes as u64);
}

/// A frame was dropped because its way was full.
pub(super) fn dropped(frames: u64) {
    counter!("hive_turn_dropped_total").increment(frames);
}

/// Somebody asked for a peer that is not to be reached.
pub(super) fn peer_refused() {
    counter!("hive_turn_peers_refused_total").increment(1);
}

/// An allocation was refused for want of room.
pub(super) fn allocation_refused() {
    counter!("hive_turn_allocations_refused_total").increment(1);
}

/// A stranger asked too often to be answered.
pub(super) fn rate_limited() {
    counter!("hive_turn_rate_limited_total").increment(1);
}

/// Counts something as long as it lives.
pub(super) struct Counted(&'static str);

impl Counted {
    pub(super) fn allocation() -> Self {
        Self::new("hive_turn_allocations")
    }

    pub(super) fn connection() -> Self {
        Self::new("hive_turn_connections")
    }

    fn new(name: &'static str) -> Self {
        gauge!(name).increment(1);
        Self(name)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        gauge!(self.0).decrement(1);
    }
}
