//! A room: who is in it, what they want, and the actor that brings that about.

mod actor;
mod demand;
mod microphone;
mod state;
#[cfg(test)]
mod tests;
mod voices;

pub(crate) use actor::{ensure, spec};
pub(crate) use demand::{Demand, Work};
pub(crate) use microphone::{LastWords, Publishing};
pub(crate) use state::{Listening, Participant, Room, RoomState};
