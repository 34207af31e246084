//! The way to a client, over either transport.

use std::future::Future;

/// Frames in and out. Both bounds are the implementation's: what does not fit is dropped, as UDP would.
pub(super) trait Link: Send {
    /// The next frame; `None` is the end. Dropping the future loses nothing.
    fn receive(&mut self) -> impl Future<Output = Option<Vec<u8>>> + Send;

    /// Sends a frame if there is room for it now.
    fn send(&mut self, frame: &[u8]);
}
