//! A client's message.

use prost::Message;

use super::proto::{SignalRequest, signal_request};

/// A message is no `SignalRequest`.
#[derive(Debug, thiserror::Error)]
#[error("the message is no SignalRequest: {0}")]
pub struct DecodeRequestError(#[from] prost::DecodeError);

/// Decodes one message. None is a request of a protocol later than ours, or an empty one: to be ignored.
///
/// # Errors
/// [`DecodeRequestError`].
pub fn decode_request(frame: &[u8]) -> Result<Option<signal_request::Message>, DecodeRequestError> {
    Ok(SignalRequest::decode(frame)?.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_ignored_or_refused() {
        let ping = SignalRequest {
            message: Some(signal_request::Message::Ping(7)),
        };
        assert_eq!(
            decode_request(&ping.encode_to_vec()).expect("read"),
            ping.message
        );
        assert_eq!(decode_request(&[]).expect("empty"), None);
        // Field 1000, a varint: of a protocol that is not written yet.
        assert_eq!(decode_request(&[0xc0, 0x3e, 1]).expect("unknown"), None);
        assert!(decode_request(&[0x0a, 0xff]).is_err());
    }
}
