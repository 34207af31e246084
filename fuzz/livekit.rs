//! The parsers of `src/livekit` and of `src/turn` by themselves. A dependency on `hive` would bring the models and their
//! engines along, which take many times as long to build for a fuzzer.

pub use livekit_protocol as proto;

#[path = "../src/livekit/frame_guard.rs"]
mod frame_guard;
#[path = "../src/livekit/fuzzing.rs"]
pub mod fuzzing;
#[path = "../src/livekit/join_request.rs"]
mod join_request;
#[path = "../src/livekit/request.rs"]
mod request;
pub mod turn;

pub use join_request::{DecodeJoinError, MAX_JOIN_REQUEST, decode_join_request};
pub use request::{DecodeRequestError, decode_request};
