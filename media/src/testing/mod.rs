//! Clients made of the component crates, and a network without wires to run them in virtual time.
//!
//! [`Net`] is an engine with clients of WHIP and WHEP; [`Call`] is one with members as LiveKit's
//! clients are: they publish and receive over one peer connection, and give feedback.

mod call;
mod camera;
mod client;
pub(crate) mod description;
mod link;
mod member;
mod microphone;
mod net;
mod screen;

pub(crate) use call::{Call, ms, play};
pub(crate) use client::{Client, LEVEL_ID, Offering};
pub(crate) use member::Member;
pub(crate) use microphone::Microphone;
pub(crate) use net::{Net, ROOM};
