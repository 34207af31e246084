//! A room: who is in it, what they want, and the actor that brings that about.

mod actor;
mod demand;
mod state;

pub(crate) use actor::{ensure, spec};
pub(crate) use demand::{Demand, Work};
pub(crate) use state::{Listening, Participant, Publishing, Room, RoomState};
