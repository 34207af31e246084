//! Simulated participants: real WebRTC peers that speak WHIP, WHEP and WebSocket to the server.

pub mod connection;
pub mod events;
pub mod listener;
pub mod publisher;
mod sender_reports;
pub mod signalling;
pub mod timestamps;

pub use events::EventsClient;
pub use listener::Listener;
pub use publisher::Publisher;
pub use signalling::{PeerError, Role, Signalling};
