//! Participants that speak LiveKit's protocol: `/rtc/v1`, one peer connection each, on `str0m`.
//!
//! [`signal`] is the WebSocket, [`participant`] the peer connection and its negotiation. The messages
//! are those of `livekit-protocol`, which is the protocol's own definition and no part of the server.

pub mod participant;
pub mod publish;
pub mod signal;

pub use livekit_protocol as proto;
pub use participant::{Happening, JoinOptions, Participant};
pub use signal::{LivekitError, SignalClient};
