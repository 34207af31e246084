//! Video: forwarding simulcast and layered tracks to subscribers that each get what they can take.

mod av1;
mod bits;
pub mod codec;
pub mod dependency;
pub mod descriptor;
pub mod forward;
mod h264;
pub mod inspect;
pub mod keyframes;
pub mod layers;
pub mod packet;
mod pictures;
mod renumber;
mod sent;
#[cfg(test)]
mod testing;
mod timeline;
mod vp8;
mod vp9;
mod write;

/// Packets of a simulcast stream that should be kept to answer NACKs: a second of 5 Mbit/s.
pub const CACHED_PACKETS: usize = 512;
