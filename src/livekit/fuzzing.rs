//! One entry point per parser of ours, for the fuzz targets in `fuzz/` and for the mutation tests here.
//! Each returns if its input is handled as it should be and panics if an invariant breaks.

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use prost::Message;

use super::{
    decode_join_request, decode_request,
    frame_guard::{BadFrame, FrameGuard},
    proto::{JoinRequest, SignalRequest},
};

/// The query's `join_request`: what is read is read again from what it is written as.
pub fn join_request(text: &str) {
    let Ok(request) = decode_join_request(text) else {
        return;
    };
    let bytes = request.encode_to_vec();
    let again = JoinRequest::decode(bytes.as_slice()).expect("our own encoding is read");
    assert_eq!(again.encoded_len(), bytes.len());
}

/// A client's message.
pub fn signal_request(frame: &[u8]) {
    let Ok(Some(message)) = decode_request(frame) else {
        return;
    };
    let request = SignalRequest {
        message: Some(message),
    };
    let bytes = request.encode_to_vec();
    let again = decode_request(&bytes).expect("our own encoding is read");
    assert!(again.is_some());
}

/// A client's bytes before they are taken for WebSocket frames: the same are let through however the
/// network cuts them, but for the piece in which the bad header is.
pub fn websocket_frames(data: &[u8]) {
    let (whole, bad) = guarded(data, data.len().max(1));
    let (pieces, same) = guarded(data, 1);
    assert_eq!(bad, same);
    assert!(pieces >= whole && pieces <= data.len());
    assert_eq!(bad.is_none(), whole == data.len());
}

fn guarded(data: &[u8], piece: usize) -> (usize, Option<BadFrame>) {
    let chunks: Vec<Result<Bytes, ()>> = data
        .chunks(piece)
        .map(|chunk| Ok(Bytes::copy_from_slice(chunk)))
        .collect();
    let mut bad = None;
    let passed = FrameGuard::new(stream::iter(chunks), 1000, |why| bad = Some(why))
        .map(|chunk| chunk.map_or(0, |chunk| chunk.len()))
        .fold(0, |sum, len| std::future::ready(sum + len))
        .now_or_never()
        .expect("the stream is ready");
    (passed, bad)
}

/// A message as a client sends it.
#[cfg(test)]
pub(super) fn encoded(message: super::proto::signal_request::Message) -> Vec<u8> {
    let request = SignalRequest {
        message: Some(message),
    };
    request.encode_to_vec()
}
