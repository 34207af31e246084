//! `http`: the front door's sockets and limits.

use std::{net::SocketAddr, time::Duration};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// The HTTP server: where it listens and how much it takes from a client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// TCP address of signalling, events, health and metrics.
    pub bind: SocketAddr,
    /// What clients call this server (`https://hive.example.org`), if a proxy stands before it.
    pub public_url: Option<String>,
    /// HTTP threads.
    pub workers: usize,
    /// Open connections, all threads together.
    pub max_connections: usize,
    /// Largest request body, in bytes.
    pub max_body: usize,
    /// Time in which a client has to send its request's headers.
    #[serde(with = "super::duration")]
    pub header_timeout: Duration,
    /// Time in which a request is answered.
    #[serde(with = "super::duration")]
    pub request_timeout: Duration,
    /// Time for which an idle connection is kept.
    #[serde(with = "super::duration")]
    pub keep_alive: Duration,
    /// Time for everything to end after SIGTERM.
    #[serde(with = "super::duration")]
    pub shutdown_timeout: Duration,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Requests a client address may make.
    pub rate: Rate,
    /// The room service.
    pub room_service: RoomServiceLimits,
    /// Browsers' cross-origin requests.
    pub cors: Cors,
    /// The events WebSocket.
    pub events: Events,
    /// The WebSocket of LiveKit's clients.
    pub signal: Signal,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from(([0, 0, 0, 0], 7880)),
            public_url: None,
            workers: 2,
            max_connections: 4096,
            max_body: 65_536,
            header_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(10),
            keep_alive: Duration::from_secs(30),
            shutdown_timeout: Duration::from_secs(10),
            trusted_proxies: Vec::new(),
            rate: Rate::default(),
            room_service: RoomServiceLimits::default(),
            cors: Cors::default(),
            events: Events::default(),
            signal: Signal::default(),
        }
    }
}

/// `http.rate`: a token bucket per client address (IPv6: per /64).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rate {
    /// Requests a second in the long run.
    pub per_second: u32,
    /// Requests at once after a pause.
    pub burst: u32,
    /// Addresses that are remembered; the table never grows past it.
    pub max_clients: usize,
}

impl Default for Rate {
    fn default() -> Self {
        Self {
            per_second: 50,
            burst: 1000,
            max_clients: 65_536,
        }
    }
}

/// `http.room_service`: limits of calls with a good token, which are those of an application's backend. They are
/// counted by API key instead of by address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RoomServiceLimits {
    /// Largest body of a call, in bytes.
    pub max_body: usize,
    /// Calls a second in the long run.
    pub per_second: u32,
    /// Calls at once after a pause.
    pub burst: u32,
}

impl Default for RoomServiceLimits {
    fn default() -> Self {
        Self {
            max_body: 1_048_576,
            per_second: 500,
            burst: 2000,
        }
    }
}

impl RoomServiceLimits {
    /// A bucket a key. There are no more keys than are configured.
    pub(crate) fn rate(&self) -> Rate {
        Rate {
            per_second: self.per_second,
            burst: self.burst,
            max_clients: usize::MAX,
        }
    }
}

/// `http.cors`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cors {
    /// Origins that may call from a browser; `*` is any.
    pub origins: Vec<String>,
    /// Time for which a browser may remember a preflight.
    #[serde(with = "super::duration")]
    pub max_age: Duration,
}

impl Default for Cors {
    fn default() -> Self {
        Self {
            origins: vec!["*".to_owned()],
            max_age: Duration::from_secs(3600),
        }
    }
}

/// `http.events`: limits of an events WebSocket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Events {
    /// Events that wait for a client that reads slowly.
    pub queue: usize,
    /// Time for which the queue may stay full before the client is disconnected.
    #[serde(with = "super::duration")]
    pub slow_reader_timeout: Duration,
    /// Time between pings.
    #[serde(with = "super::duration")]
    pub ping_interval: Duration,
    /// Time without a pong (or any frame) after which the client counts as gone.
    #[serde(with = "super::duration")]
    pub pong_timeout: Duration,
    /// Largest frame a client may send, in bytes.
    pub max_frame: usize,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            queue: 256,
            slow_reader_timeout: Duration::from_secs(5),
            ping_interval: Duration::from_secs(10),
            pong_timeout: Duration::from_secs(30),
            max_frame: 4096,
        }
    }
}

/// The least `http.signal.max_frame`: the largest offer that is read, and the names of its tracks.
pub(super) const LEAST_SIGNAL_FRAME: usize = hive_actors::MAX_OFFER + 64 * 1024;

/// `http.signal`: limits of a LiveKit client's WebSocket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Signal {
    /// Largest message a client may send, in bytes.
    pub max_frame: usize,
    /// Messages of a client that wait until the room has done what the one before asks for.
    pub inbox: usize,
    /// Messages a client may send a second in the long run.
    pub per_second: u32,
    /// Messages at once after a pause.
    pub burst: u32,
    /// Messages that wait for a client that reads slowly.
    pub queue: usize,
    /// Time for which the queue may stay full before the client is disconnected.
    #[serde(with = "super::duration")]
    pub slow_reader_timeout: Duration,
    /// Time between a client's pings; the protocol counts it in seconds.
    #[serde(with = "super::duration")]
    pub ping_interval: Duration,
    /// Time without any frame after which the other side counts as gone, in seconds as well.
    #[serde(with = "super::duration")]
    pub ping_timeout: Duration,
}

impl Default for Signal {
    fn default() -> Self {
        Self {
            max_frame: LEAST_SIGNAL_FRAME,
            inbox: 64,
            per_second: 50,
            burst: 1000,
            queue: 256,
            slow_reader_timeout: Duration::from_secs(5),
            ping_interval: Duration::from_secs(5),
            ping_timeout: Duration::from_secs(15),
        }
    }
}
