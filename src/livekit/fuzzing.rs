//! One entry point per parser of ours, for the fuzz targets in `fuzz/` and for the mutation tests here.
//! Each returns if its input is handled as it should be and panics if an invariant breaks.

use hive_actors::livekit::proto::{JoinRequest, SignalRequest};
use prost::Message;

use super::{decode_join_request, decode_request};

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

/// A message as a client sends it.
#[cfg(test)]
pub(super) fn encoded(message: hive_actors::livekit::proto::signal_request::Message) -> Vec<u8> {
    let request = SignalRequest {
        message: Some(message),
    };
    request.encode_to_vec()
}
