//! Video.

mod codec;

pub use codec::VideoCodec;
