//! What a room tells: the schema of its events and the bus that carries them.

mod bus;
pub mod schema;

pub(crate) use bus::{EventBus, Received, receive, unix_ms};
