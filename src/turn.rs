//! TURN (RFC 8656) on UDP and TCP, for clients whose network lets no UDP through to the media workers.
//!
//! It relays to the media workers and to nothing else, unless `turn.allow_peers` says so: a relayed address
//! is good for a session with this server, not for looking around behind its firewall.
//!
//! `turn-server-proto` keeps the state of an allocation. What stands before it is here: the `door` that
//! knows credentials without keeping anything about strangers, the `peers` that may be reached, the
//! `quota`, the framing of TCP, and the sockets. See docs/adr/0009-turn.md.

mod allocation;
mod answer;
mod credentials;
mod door;
mod framing;
pub mod fuzzing;
mod ice_servers;
mod link;
mod nonce;
mod peers;
mod queue;
mod quota;
mod reception;
mod relay;
mod server;
mod session;
mod sockets;
mod tcp;
mod telemetry;
#[cfg(test)]
mod test_client;
mod udp;

pub use credentials::{Credentials, SharedSecret};
pub use ice_servers::{IceServer, IceServers};
pub use peers::MediaAddress;
pub use server::{StartTurnError, TurnHandle, start};
pub use sockets::{BindTurnError, TurnSockets, bind};
