//! A seeded model of the network between a peer and the server.
//!
//! [`model`] is sans-IO: packets and time in, packets out later, or never. [`runtime`] puts it
//! under a `webrtc` peer by wrapping the peer's UDP socket, so that no address is rewritten and the
//! server sees an ordinary client; [`socket`] is that socket, which `str0m` peers use as it is.
//! [`rate`] is what a link can carry, over time. [`trace`] remembers what became of every RTP packet:
//! SRTP leaves the RTP header in the clear.

mod damage;
pub mod loss;
pub mod model;
pub mod rate;
pub mod runtime;
pub mod settings;
pub mod socket;
pub mod trace;

pub use model::LinkModel;
pub use rate::RateSchedule;
pub use settings::LinkSettings;
pub use socket::LinkSocket;
