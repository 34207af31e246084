//! Synthetic video: pictures whose packets look like VP8 on the wire and carry where and when they
//! were made instead of an image.
//!
//! [`vp8`] is the payload, [`source`] makes the pictures of simulcast layers, [`pacer`] spreads them
//! over time as senders do, [`pictures`] puts them together again and tells what could be shown.

pub mod camera;
pub mod pacer;
pub mod pictures;
pub mod source;
pub mod vp8;

pub use camera::Camera;
pub use pictures::{Faults, Pictures, Shown};
pub use source::{LAYERS, Layer};
