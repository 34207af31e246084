//! LiveKit's model of a room, for clients made with LiveKit's SDKs: what they are told, what they may
//! ask, and the room service's view of it all.
//!
//! The types on the wire are those of `livekit-protocol`, which is the protocol's own definition.

mod client;
mod join;
mod lifecycle;
mod room_service;

pub use livekit_protocol as proto;

pub use client::{Client, Outbox};
pub use join::{JoinError, JoinRequest, ResumeError, ResumeRequest, Topology};
pub use lifecycle::{Lifecycle, LifecycleEvent, LifecycleKind};
pub use room_service::RoomServiceError;
