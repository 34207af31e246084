//! `rooms`: how many, how full, how long.

use std::time::Duration;

use hive_actors::settings::RoomSettings;
use serde::{Deserialize, Serialize};

/// Limits of rooms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rooms {
    /// Rooms at once.
    pub max_rooms: usize,
    /// Participants in a room, speakers and listeners.
    pub max_participants: usize,
    /// Time for which a room is kept to which nobody comes.
    #[serde(with = "super::duration")]
    pub empty_timeout: Duration,
    /// Time for which a room is kept that everybody left.
    #[serde(with = "super::duration")]
    pub departure_timeout: Duration,
    /// Whether LiveKit's clients make a room by joining it.
    pub auto_create: bool,
    /// Whether the room service may unmute a track.
    pub remote_unmute: bool,
}

impl Default for Rooms {
    fn default() -> Self {
        let RoomSettings {
            max_rooms,
            max_participants,
            empty_timeout,
            departure_timeout,
            auto_create,
            remote_unmute,
        } = RoomSettings::default();
        Self {
            max_rooms,
            max_participants,
            empty_timeout,
            departure_timeout,
            auto_create,
            remote_unmute,
        }
    }
}
