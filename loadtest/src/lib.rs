//! Simulated lossy WebRTC peers, the demo and the reports of HIVE.
//!
//! This is a client: it shares no type with the server and knows it only by what is on the wire.
//!
//! - [`speech`]: speech whose words and word times are known.
//! - [`link`]: a seeded model of a bad network under each peer.
//! - [`peer`]: speakers, listeners and event followers on `webrtc`.
//! - [`livekit`]: participants that speak LiveKit's protocol, on `str0m`.
//! - [`video`]: synthetic pictures in simulcast, and what a receiver could show of them.
//! - [`score`]: what was said against what was shown, spoken and forwarded.
//! - [`server`]: the server as a process of its own.
//! - [`demo`], [`forward`] and [`squeeze`]: the programs.

pub mod audio;
pub mod chaos;
pub mod clock;
pub mod demo;
pub mod forward;
pub mod http;
pub mod link;
pub mod livekit;
pub mod peer;
pub mod process;
pub mod score;
pub mod server;
pub mod speech;
pub mod squeeze;
pub mod video;
