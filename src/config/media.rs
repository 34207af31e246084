//! `media`: the RTP side.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use hive_actors::settings::MediaSettings;
use serde::{Deserialize, Serialize};

/// The media workers' sockets and limits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Media {
    /// UDP address of the first worker; worker n listens n ports above it. Port 0 takes free ports.
    pub bind: SocketAddr,
    /// Whether clients that have no UDP may come by TCP, at the same address and port.
    pub tcp: bool,
    /// TCP connections a worker takes from one client address.
    pub tcp_per_client: usize,
    /// Media threads, each with its own socket.
    pub workers: usize,
    /// Addresses told to clients; empty is the bound one, or every interface's.
    pub advertise: Vec<IpAddr>,
    /// Time without an authenticated packet after which a client counts as vanished.
    #[serde(with = "super::duration")]
    pub idle_timeout: Duration,
    /// Peers a worker takes.
    pub max_peers: usize,
    /// Of so many of a room's microphones, the loudest, LiveKit's clients are sent packets.
    pub prominent_speakers: usize,
}

impl Default for Media {
    fn default() -> Self {
        let MediaSettings {
            bind,
            tcp,
            tcp_per_client,
            workers,
            advertise,
            idle_timeout,
            max_peers,
            prominent_speakers,
        } = MediaSettings::default();
        Self {
            bind,
            tcp,
            tcp_per_client,
            workers,
            advertise,
            idle_timeout,
            max_peers,
            prominent_speakers,
        }
    }
}
