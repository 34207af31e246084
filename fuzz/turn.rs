//! The framing of `src/turn` by itself.

#[path = "../src/turn/framing.rs"]
mod framing;
#[path = "../src/turn/fuzzing.rs"]
pub mod fuzzing;
