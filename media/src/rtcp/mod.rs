//! RTCP: what peers report, and what they are told.

pub mod read;
pub mod transport_arrivals;
pub mod transport_feedback;
pub mod write;
mod write_feedback;
