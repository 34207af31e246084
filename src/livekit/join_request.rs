//! The `join_request` of `/rtc/v1`: a protobuf in an optional gzip in a protobuf in base64url.

use std::io::{self, Read};

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use flate2::bufread::GzDecoder;
use prost::Message;

use super::proto::{JoinRequest, WrappedJoinRequest, wrapped_join_request};

/// Most bytes of a join request once it is unpacked. A section of video has some 5 kB in Chromium's offers,
/// and a client that resumes sends its last offer and answer.
pub const MAX_JOIN_REQUEST: usize = 2 * 1024 * 1024;

/// Most tracks that are announced with a join.
const MAX_TRACKS: usize = 64;

/// base64url as browsers write it, whose SDK pads, and as others do, who may not.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why a `join_request` cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeJoinError {
    /// The outermost layer.
    #[error("join_request is not base64url (RFC 4648, section 5): {0}")]
    Base64(#[from] base64::DecodeError),
    /// The layer in it.
    #[error("join_request is no WrappedJoinRequest: {0}")]
    Wrapper(prost::DecodeError),
    /// A compression of a later protocol.
    #[error("join_request has the unknown compression {0}; send NONE (0) or GZIP (1)")]
    Compression(i32),
    /// The gzip is damaged.
    #[error("join_request cannot be decompressed: {0}")]
    Gzip(io::Error),
    /// It is too large, or would be if it were unpacked.
    #[error("the JoinRequest is larger than {MAX_JOIN_REQUEST} bytes")]
    TooLarge,
    /// The innermost layer.
    #[error("join_request holds no JoinRequest: {0}")]
    Request(prost::DecodeError),
    /// It announces too much.
    #[error("the JoinRequest announces more than {MAX_TRACKS} tracks")]
    TooManyTracks,
}

/// Unpacks the value of the query's `join_request`.
///
/// # Errors
/// See [`DecodeJoinError`].
pub fn decode_join_request(text: &str) -> Result<JoinRequest, DecodeJoinError> {
    use wrapped_join_request::Compression;

    if text.len() / 4 * 3 > MAX_JOIN_REQUEST {
        return Err(DecodeJoinError::TooLarge);
    }
    let wrapped = WrappedJoinRequest::decode(BASE64URL.decode(text)?.as_slice())
        .map_err(DecodeJoinError::Wrapper)?;
    let bytes = match Compression::try_from(wrapped.compression) {
        Ok(Compression::None) => wrapped.join_request,
        Ok(Compression::Gzip) => decompressed(&wrapped.join_request)?,
        Err(_) => return Err(DecodeJoinError::Compression(wrapped.compression)),
    };
    let request = JoinRequest::decode(bytes.as_slice()).map_err(DecodeJoinError::Request)?;
    if request.add_track_requests.len() > MAX_TRACKS {
        return Err(DecodeJoinError::TooManyTracks);
    }
    Ok(request)
}

/// A gzip of a kilobyte may hold a megabyte of zeros: what is read is bounded, not what is given.
fn decompressed(gzip: &[u8]) -> Result<Vec<u8>, DecodeJoinError> {
    let mut bytes = Vec::new();
    let room = MAX_JOIN_REQUEST as u64 + 1;
    GzDecoder::new(gzip)
        .take(room)
        .read_to_end(&mut bytes)
        .map_err(DecodeJoinError::Gzip)?;
    if bytes.len() > MAX_JOIN_REQUEST {
        return Err(DecodeJoinError::TooLarge);
    }
    Ok(bytes)
}

/// Packs a join request as clients do.
#[cfg(test)]
pub(super) fn encode_join_request(request: &JoinRequest, gzip: bool) -> String {
    use wrapped_join_request::Compression;

    let (compression, join_request) = if gzip {
        (Compression::Gzip, gzipped(&request.encode_to_vec()))
    } else {
        (Compression::None, request.encode_to_vec())
    };
    wrap(compression.into(), join_request)
}

#[cfg(test)]
fn wrap(compression: i32, join_request: Vec<u8>) -> String {
    let wrapped = WrappedJoinRequest {
        compression,
        join_request,
    };
    BASE64URL.encode(wrapped.encode_to_vec())
}

#[cfg(test)]
fn gzipped(bytes: &[u8]) -> Vec<u8> {
    use flate2::{Compression, bufread::GzEncoder};

    let mut gzip = Vec::new();
    GzEncoder::new(bytes, Compression::default())
        .read_to_end(&mut gzip)
        .expect("reads from memory");
    gzip
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::livekit::proto::{AddTrackRequest, SessionDescription};

    fn request() -> JoinRequest {
        JoinRequest {
            participant_sid: "PA_x".to_owned(),
            publisher_offer: Some(SessionDescription {
                sdp: "v=0\r\n".repeat(1000),
                ..SessionDescription::default()
            }),
            ..JoinRequest::default()
        }
    }

    #[test]
    fn a_join_request_comes_plain_or_compressed_padded_or_not() {
        for gzip in [false, true] {
            let text = encode_join_request(&request(), gzip);
            assert_eq!(decode_join_request(&text).expect("read"), request());
            let bare = text.trim_end_matches('=');
            assert_eq!(decode_join_request(bare).expect("read"), request());
        }
    }

    #[test]
    fn every_layer_may_be_damaged() {
        use DecodeJoinError as E;
        let damaged = |text: &str| decode_join_request(text).expect_err("refused");
        assert!(matches!(damaged("a b"), E::Base64(_)));
        assert!(matches!(
            damaged(&BASE64URL.encode([0xff; 4])),
            E::Wrapper(_)
        ));
        assert!(matches!(damaged(&wrap(7, vec![])), E::Compression(7)));
        assert!(matches!(damaged(&wrap(1, vec![1, 2])), E::Gzip(_)));
        assert!(matches!(damaged(&wrap(0, vec![0xff])), E::Request(_)));
        let mut cut = gzipped(&request().encode_to_vec());
        cut.truncate(cut.len() - 9);
        assert!(matches!(damaged(&wrap(1, cut)), E::Gzip(_)));
    }

    #[test]
    fn what_would_be_too_large_is_never_unpacked() {
        let bomb = wrap(1, gzipped(&vec![0; 64 << 20]));
        assert!(bomb.len() < MAX_JOIN_REQUEST);
        let error = decode_join_request(&bomb).expect_err("refused");
        assert!(matches!(error, DecodeJoinError::TooLarge), "{error}");
        let long = "A".repeat(MAX_JOIN_REQUEST * 2);
        let error = decode_join_request(&long).expect_err("refused");
        assert!(matches!(error, DecodeJoinError::TooLarge), "{error}");
        let many = JoinRequest {
            add_track_requests: vec![AddTrackRequest::default(); MAX_TRACKS + 1],
            ..JoinRequest::default()
        };
        let error = decode_join_request(&encode_join_request(&many, true)).expect_err("refused");
        assert!(matches!(error, DecodeJoinError::TooManyTracks), "{error}");
    }

    #[test]
    fn an_empty_join_request_is_one() {
        assert_eq!(
            decode_join_request("").expect("all fields have defaults"),
            JoinRequest::default()
        );
    }
}
