//! RTCP: what peers report, and what they are told.

pub mod read;
pub mod write;
