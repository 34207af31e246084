//! From encoded packets to samples and back.

pub mod frame;
