//! Twirp's errors: always JSON, whatever the request's encoding.

use std::{collections::BTreeMap, fmt};

use actix_web::{
    HttpResponse, ResponseError,
    http::{StatusCode, header},
};
use hive_actors::livekit::RoomServiceError;
use serde::Serialize;

use crate::http::problem::{OwnWords, Problem, ProblemKind};

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $status:ident;)*) => {
        /// Those of Twirp's codes that are answered here.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum TwirpCode { $($(#[$doc])* $variant,)* }

        impl TwirpCode {
            /// The name on the wire.
            pub(crate) fn name(self) -> &'static str { match self { $(TwirpCode::$variant => $name,)* } }

            /// The status that goes with it.
            pub(crate) fn status(self) -> StatusCode { match self { $(TwirpCode::$variant => StatusCode::$status,)* } }
        }
    };
}

codes! {
    /// The message makes no sense.
    InvalidArgument = "invalid_argument", BAD_REQUEST;
    /// The message cannot be decoded.
    Malformed = "malformed", BAD_REQUEST;
    /// It took too long.
    DeadlineExceeded = "deadline_exceeded", REQUEST_TIMEOUT;
    /// There is no such room, participant or track.
    NotFound = "not_found", NOT_FOUND;
    /// There is no such method, or it was asked for in a wrong way.
    BadRoute = "bad_route", NOT_FOUND;
    /// The token lacks the grant.
    PermissionDenied = "permission_denied", FORBIDDEN;
    /// There is no token, or a worthless one.
    Unauthenticated = "unauthenticated", UNAUTHORIZED;
    /// Too many, too much, too often.
    ResourceExhausted = "resource_exhausted", TOO_MANY_REQUESTS;
    /// Not in this state.
    FailedPrecondition = "failed_precondition", PRECONDITION_FAILED;
    /// LiveKit has it and HIVE has not.
    Unimplemented = "unimplemented", NOT_IMPLEMENTED;
    /// Our fault.
    Internal = "internal", INTERNAL_SERVER_ERROR;
    /// Going down; try again, elsewhere.
    Unavailable = "unavailable", SERVICE_UNAVAILABLE;
}

/// An error on its way to a Twirp client.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct TwirpError {
    #[serde(serialize_with = "name")]
    code: TwirpCode,
    msg: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    meta: BTreeMap<&'static str, String>,
}

fn name<S: serde::Serializer>(code: &TwirpCode, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(code.name())
}

impl TwirpCode {
    /// With words for this one occurrence.
    pub(crate) fn because(self, msg: impl fmt::Display) -> TwirpError {
        TwirpError {
            code: self,
            msg: msg.to_string(),
            meta: BTreeMap::new(),
        }
    }
}

impl TwirpError {
    /// What kind of error it is.
    pub(crate) fn code(&self) -> TwirpCode {
        self.code
    }

    /// With another fact for programs.
    pub(crate) fn with(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.meta.insert(key, value.to_string());
        self
    }
}

impl From<RoomServiceError> for TwirpError {
    fn from(error: RoomServiceError) -> Self {
        let code = match &error {
            RoomServiceError::NotFound(_) => TwirpCode::NotFound,
            RoomServiceError::InvalidArgument(_) => TwirpCode::InvalidArgument,
            RoomServiceError::ResourceExhausted(_) => TwirpCode::ResourceExhausted,
            RoomServiceError::FailedPrecondition(_) => TwirpCode::FailedPrecondition,
            RoomServiceError::Unimplemented(_) => TwirpCode::Unimplemented,
            RoomServiceError::Unavailable => TwirpCode::Unavailable,
        };
        code.because(error)
    }
}

/// What is refused before there is a Twirp request, such as by the rate limit, in Twirp's words.
impl From<Problem> for TwirpError {
    fn from(problem: Problem) -> Self {
        let code = match problem.kind() {
            ProblemKind::RateLimited | ProblemKind::PayloadTooLarge => TwirpCode::ResourceExhausted,
            ProblemKind::RequestTimeout | ProblemKind::Overloaded => TwirpCode::DeadlineExceeded,
            ProblemKind::NotReady | ProblemKind::AtCapacity => TwirpCode::Unavailable,
            kind => match kind.status() {
                StatusCode::UNAUTHORIZED => TwirpCode::Unauthenticated,
                StatusCode::FORBIDDEN => TwirpCode::PermissionDenied,
                StatusCode::NOT_FOUND => TwirpCode::NotFound,
                status if status.is_client_error() => TwirpCode::Malformed,
                _ => TwirpCode::Internal,
            },
        };
        let error = code.because(problem.detail());
        match problem.retry_after_seconds() {
            Some(seconds) => error.with("retry_after", seconds),
            None => error,
        }
    }
}

impl fmt::Display for TwirpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.msg)
    }
}

impl ResponseError for TwirpError {
    fn status_code(&self) -> StatusCode {
        self.code.status()
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.code.status());
        if self.code == TwirpCode::Unauthenticated {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer realm=\"hive\""));
        }
        if let Some(seconds) = self.meta.get("retry_after") {
            response.insert_header((header::RETRY_AFTER, seconds.as_str()));
        }
        let mut response = response
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .json(self);
        response.extensions_mut().insert(OwnWords);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_error_has_twirps_members_and_status() {
        let error = TwirpCode::NotFound.because("the room r does not exist");
        assert_eq!(
            serde_json::to_value(&error).expect("JSON"),
            json!({ "code": "not_found", "msg": "the room r does not exist" })
        );
        assert_eq!(error.error_response().status(), StatusCode::NOT_FOUND);
        assert_eq!(
            serde_json::to_value(error.with("argument", "room")).expect("JSON")["meta"],
            json!({ "argument": "room" })
        );
    }

    #[test]
    fn every_refusal_of_the_rooms_has_its_code() {
        let text = || "x".to_owned();
        for (refusal, code, status) in [
            (RoomServiceError::NotFound(text()), "not_found", 404),
            (
                RoomServiceError::InvalidArgument(text()),
                "invalid_argument",
                400,
            ),
            (
                RoomServiceError::ResourceExhausted(text()),
                "resource_exhausted",
                429,
            ),
            (
                RoomServiceError::FailedPrecondition(text()),
                "failed_precondition",
                412,
            ),
            (RoomServiceError::Unimplemented("x"), "unimplemented", 501),
            (RoomServiceError::Unavailable, "unavailable", 503),
        ] {
            let error = TwirpError::from(refusal);
            assert_eq!(
                (error.code().name(), error.status_code().as_u16()),
                (code, status)
            );
        }
    }

    #[test]
    fn what_the_front_door_refuses_keeps_its_sense() {
        let of = |problem: Problem| {
            let error = TwirpError::from(problem);
            (error.code().name(), error.status_code().as_u16())
        };
        for (kind, code, status) in [
            (ProblemKind::RateLimited, "resource_exhausted", 429),
            (ProblemKind::PayloadTooLarge, "resource_exhausted", 429),
            (ProblemKind::RequestTimeout, "deadline_exceeded", 408),
            (ProblemKind::TokenExpired, "unauthenticated", 401),
            (ProblemKind::NotReady, "unavailable", 503),
            (ProblemKind::BadRequest, "malformed", 400),
            (ProblemKind::Internal, "internal", 500),
        ] {
            assert_eq!(of(kind.into()), (code, status));
        }
        let limited = ProblemKind::RateLimited.because("wait").retry_after(3);
        let response = TwirpError::from(limited).error_response();
        let wait = response.headers().get("retry-after").map(|v| v.as_bytes());
        assert_eq!(wait, Some(b"3".as_slice()));
    }
}
