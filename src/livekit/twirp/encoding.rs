//! The two encodings of a message. An answer has its question's.

use actix_web::{HttpRequest, HttpResponse, http::header};
use prost::Message;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    answers::Shaped,
    error::{TwirpCode, TwirpError},
    shape::shape,
};

const PROTOBUF: &str = "application/protobuf";
const JSON: &str = "application/json";

/// How messages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// `application/protobuf`.
    Protobuf,
    /// `application/json`: protobuf's JSON mapping. Names may be camelCase or snake_case, `null` is left out,
    /// and names that are not known are ignored: clients may be newer than the server. Answers are as in
    /// [`shape`](super::shape).
    Json,
}

impl Encoding {
    /// The one that a request names.
    pub(super) fn of(request: &HttpRequest) -> Result<Self, TwirpError> {
        let given = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let essence = given.split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case(PROTOBUF) {
            Ok(Self::Protobuf)
        } else if essence.eq_ignore_ascii_case(JSON) {
            Ok(Self::Json)
        } else {
            // The specification wants this code, as if it were another address.
            Err(TwirpCode::BadRoute.because(format!(
                "unexpected Content-Type {given:?}; send {PROTOBUF} or {JSON}"
            )))
        }
    }

    pub(super) fn decode<T>(self, body: &[u8]) -> Result<T, TwirpError>
    where
        T: Message + Default + DeserializeOwned,
    {
        match self {
            Self::Protobuf => T::decode(body).map_err(|error| error.to_string()),
            Self::Json => serde_json::from_slice(body)
                .map_err(|error| error.to_string())
                .and_then(|mut message: Value| {
                    drop_nulls(&mut message);
                    serde_path_to_error::deserialize(message).map_err(|error| error.to_string())
                }),
        }
        .map_err(|reason| {
            TwirpCode::Malformed.because(format!(
                "the body is not the message that is wanted: {reason}"
            ))
        })
    }

    pub(super) fn encode<T: Message + Serialize + Shaped>(
        self,
        message: &T,
    ) -> Result<HttpResponse, TwirpError> {
        let mut response = HttpResponse::Ok();
        response.insert_header((header::CACHE_CONTROL, "no-store"));
        Ok(match self {
            Self::Protobuf => response
                .insert_header((header::CONTENT_TYPE, PROTOBUF))
                .body(message.encode_to_vec()),
            Self::Json => {
                let message = serde_json::to_value(message).map_err(|error| {
                    TwirpCode::Internal.because(format!("the answer is no JSON: {error}"))
                })?;
                response.json(shape(message, T::FIELDS))
            }
        })
    }
}

/// A member that is `null` is one that is not set (protobuf's JSON mapping).
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;
    use hive_actors::livekit::proto::{CreateRoomRequest, Room};

    fn of(content_type: &str) -> Option<Encoding> {
        let request = TestRequest::post().insert_header((header::CONTENT_TYPE, content_type));
        Encoding::of(&request.to_http_request()).ok()
    }

    #[test]
    fn the_content_type_names_the_encoding() {
        for json in [
            "application/json",
            "application/json; charset=UTF-8",
            "Application/JSON",
        ] {
            assert_eq!(of(json), Some(Encoding::Json), "{json}");
        }
        assert_eq!(of("application/protobuf"), Some(Encoding::Protobuf));
        for other in [
            "",
            "text/plain",
            "application/x-protobuf",
            "application/jsonp",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn json_has_both_spellings_and_what_is_not_known_is_ignored() {
        for json in [
            r#"{"name":"r","empty_timeout":60,"max_participants":5}"#,
            r#"{"name":"r","emptyTimeout":60,"maxParticipants":"5"}"#,
            r#"{"name":"r","emptyTimeout":60,"maxParticipants":5,"newerThanUs":{"a":[1]}}"#,
            r#"{"name":"r","emptyTimeout":60,"maxParticipants":5,"metadata":null,"agents":[{"metadata":null}]}"#,
        ] {
            let request: CreateRoomRequest = Encoding::Json
                .decode(json.as_bytes())
                .expect("protobuf's JSON");
            assert_eq!(
                (
                    request.name.as_str(),
                    request.empty_timeout,
                    request.max_participants
                ),
                ("r", 60, 5),
                "{json}"
            );
        }
    }

    #[test]
    fn protobuf_ignores_fields_that_are_not_known() {
        let request = CreateRoomRequest {
            name: "r".to_owned(),
            ..CreateRoomRequest::default()
        };
        let mut bytes = request.encode_to_vec();
        // Field 9999, a varint.
        prost::encoding::uint32::encode(9999, &7, &mut bytes);
        let decoded: CreateRoomRequest = Encoding::Protobuf.decode(&bytes).expect("decodes");
        assert_eq!(decoded, request);
    }

    #[test]
    fn what_is_no_message_is_malformed() {
        for (encoding, body) in [
            (Encoding::Json, &b""[..]),
            (Encoding::Json, b"{\"name\":5}"),
            (Encoding::Json, b"{} {}"),
            (Encoding::Protobuf, b"\xff\xff"),
        ] {
            let error = encoding
                .decode::<CreateRoomRequest>(body)
                .expect_err("no message");
            assert_eq!(error.code(), TwirpCode::Malformed, "{error}");
        }
    }

    #[test]
    fn an_empty_protobuf_body_is_the_default_message() {
        let decoded: CreateRoomRequest = Encoding::Protobuf.decode(b"").expect("decodes");
        assert_eq!(decoded, CreateRoomRequest::default());
        let answer = Encoding::Protobuf
            .encode(&Room::default())
            .expect("it encodes");
        let content_type = answer.headers().get(header::CONTENT_TYPE);
        assert_eq!(
            content_type.map(|v| v.as_bytes()),
            Some(PROTOBUF.as_bytes())
        );
    }
}
