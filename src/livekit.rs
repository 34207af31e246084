//! The front door for applications made with LiveKit's SDKs: the room service that their servers call, and
//! the webhooks that their servers are called by.

pub mod twirp;
pub mod webhook;
