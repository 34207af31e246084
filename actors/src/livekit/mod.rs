//! LiveKit's model of a room, for clients made with LiveKit's SDKs: what they are told, what they may
//! ask, and the room service's view of it all.
//!
//! The types on the wire are those of `livekit-protocol`, which is the protocol's own definition.

pub(crate) mod actor;
mod admission;
mod announced;
mod bounds;
pub(crate) mod bucket;
mod client;
mod data;
pub(crate) mod departed;
pub(crate) mod interpreter;
mod join;
pub(crate) mod language;
pub(crate) mod lifecycle;
pub(crate) mod listeners;
pub(crate) mod member;
mod microphone;
mod negotiation;
pub(crate) mod permission;
mod publish;
mod quality;
pub(crate) mod remembered;
mod room_service;
pub(crate) mod roster;
mod selection;
mod sid;
mod speakers;
mod subscribe;
pub(crate) mod transcription;

pub use livekit_protocol as proto;

pub use client::{Client, Outbox};
pub use interpreter::INTERPRETER;
pub use join::{JoinError, JoinRequest, ResumeError, ResumeRequest, Topology};
pub use language::{LISTENS, SPEAKS};
pub use lifecycle::{Lifecycle, LifecycleEvent, LifecycleKind};
pub use room_service::RoomServiceError;
