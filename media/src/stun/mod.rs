//! ICE-lite: this server is publicly reachable, so it answers connectivity checks and makes none.

pub mod demux;
pub mod ice_lite;
