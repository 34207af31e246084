//! Every error as `application/problem+json` (RFC 9457).

use std::fmt;

use actix_web::{
    HttpResponse, HttpResponseBuilder, ResponseError,
    http::{StatusCode, header},
};
use serde_json::{Map, Value, json};

/// Media type of an error.
pub(super) const PROBLEM_JSON: &str = "application/problem+json";

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $status:ident, $slug:literal, $title:literal, $advice:literal;)*) => {
        /// What went wrong. A problem's `type` is `/problems/<slug>`, where this server explains it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ProblemKind { $($(#[$doc])* $variant,)* }

        impl ProblemKind {
            /// All of them.
            pub const ALL: &'static [ProblemKind] = &[$(ProblemKind::$variant,)*];

            /// Last segment of the `type`.
            pub fn slug(self) -> &'static str { match self { $(ProblemKind::$variant => $slug,)* } }

            /// A few words, the same every time.
            pub fn title(self) -> &'static str { match self { $(ProblemKind::$variant => $title,)* } }

            /// What a client can do about it.
            pub fn advice(self) -> &'static str { match self { $(ProblemKind::$variant => $advice,)* } }

            /// The status it comes with.
            pub fn status(self) -> StatusCode { match self { $(ProblemKind::$variant => StatusCode::$status,)* } }
        }
    };
}

kinds! {
    /// The request makes no sense.
    BadRequest = BAD_REQUEST, "bad-request", "The request makes no sense",
        "Compare the request with docs/http.md.";
    /// The body is not the JSON that is wanted.
    InvalidJson = BAD_REQUEST, "invalid-json", "The body is not the JSON that is wanted",
        "Send a JSON object with the fields that docs/http.md names for this address.";
    /// The room's name cannot be used.
    InvalidRoom = BAD_REQUEST, "invalid-room", "The room's name cannot be used",
        "Use 1 to 64 letters, digits, dots, underscores, tildes and hyphens.";
    /// The language tag cannot be read.
    InvalidLanguage = BAD_REQUEST, "invalid-language", "The language tag cannot be read",
        "Use a BCP 47 tag such as en or es.";
    /// The SDP offer cannot be read.
    InvalidOffer = BAD_REQUEST, "invalid-offer", "The SDP offer cannot be read",
        "Send the SDP of RTCPeerConnection.createOffer() unchanged.";
    /// The ICE fragment cannot be read.
    InvalidFragment = BAD_REQUEST, "invalid-fragment", "The ICE fragment cannot be read",
        "Send an SDP fragment as RFC 8840 lays it out, with the session's ice-ufrag and ice-pwd.";
    /// There is no token.
    Unauthenticated = UNAUTHORIZED, "unauthenticated", "A token is needed",
        "Send Authorization: Bearer with a token for this room.";
    /// The token is worthless.
    InvalidToken = UNAUTHORIZED, "invalid-token", "The token is not valid",
        "Sign the token with HS256 and the secret of the API key in its iss claim.";
    /// The token is too old.
    TokenExpired = UNAUTHORIZED, "token-expired", "The token has expired",
        "Ask for a new token.";
    /// The token is too young.
    TokenNotYetValid = UNAUTHORIZED, "token-not-yet-valid", "The token is not valid yet",
        "Set the clocks, or wait for the token's nbf.";
    /// The service key is wrong or missing.
    InvalidServiceKey = UNAUTHORIZED, "invalid-service-key", "A service key is needed",
        "Send Authorization: Bearer with a key from auth.service_keys.";
    /// The token is for another room.
    WrongRoom = FORBIDDEN, "wrong-room", "The token is for another room",
        "Ask for a token for this room.";
    /// The token does not permit this.
    NotPermitted = FORBIDDEN, "not-permitted", "The token does not permit this",
        "Ask for a token with the grant that docs/http.md names for this address.";
    /// The session is somebody else's.
    WrongIdentity = FORBIDDEN, "wrong-identity", "The session belongs to somebody else",
        "Use a token of the identity that opened the session.";
    /// Killing is not permitted here.
    ChaosDisabled = FORBIDDEN, "chaos-disabled", "Fault injection is switched off",
        "Set chaos.enabled, on a server that nobody relies on.";
    /// Nothing is at this address.
    NotFound = NOT_FOUND, "not-found", "Nothing is at this address",
        "See docs/http.md for the addresses there are.";
    /// There is no such session.
    UnknownSession = NOT_FOUND, "unknown-session", "There is no such session",
        "It has ended, or never was; make a new one with POST.";
    /// There is no such child.
    UnknownPath = NOT_FOUND, "unknown-path", "There is no such child in the supervision tree",
        "See /supervision for the paths there are.";
    /// Not this way.
    MethodNotAllowed = METHOD_NOT_ALLOWED, "method-not-allowed", "This address does not take this method",
        "See the Allow header.";
    /// None of the offered codecs is known.
    UnsupportedCodec = NOT_ACCEPTABLE, "unsupported-codec", "None of the offered codecs is supported",
        "Offer Opus (opus/48000/2).";
    /// The request took too long to arrive.
    RequestTimeout = REQUEST_TIMEOUT, "request-timeout", "The request took too long to arrive",
        "Send the whole request within http.request_timeout.";
    /// Something else is in the way.
    Conflict = CONFLICT, "conflict", "What is asked for is in another state",
        "Try again in a moment.";
    /// The entity tag is not the present one.
    EtagMismatch = PRECONDITION_FAILED, "etag-mismatch", "The session's ICE was restarted meanwhile",
        "Use the ETag of the latest answer, or If-Match: * to restart ICE.";
    /// Too much.
    PayloadTooLarge = PAYLOAD_TOO_LARGE, "payload-too-large", "The body is too large",
        "Stay under http.max_body; an SDP offer with audio needs a few KiB.";
    /// Not this media type.
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "The body has the wrong media type",
        "Send the Content-Type that the detail names.";
    /// The offer is readable but cannot be served.
    UnusableOffer = UNPROCESSABLE_ENTITY, "unusable-offer", "The SDP offer cannot be served",
        "Offer bundled audio with rtcp-mux, DTLS-SRTP and the direction of the endpoint.";
    /// No engine for the language.
    UnsupportedLanguage = UNPROCESSABLE_ENTITY, "unsupported-language", "There is no engine for this language",
        "Take one of the pairs in `available`.";
    /// The entity tag is missing.
    PreconditionRequired = PRECONDITION_REQUIRED, "precondition-required", "If-Match is needed",
        "Send If-Match with the ETag of the latest answer (RFC 9725, section 4.3).";
    /// Too often.
    RateLimited = TOO_MANY_REQUESTS, "rate-limited", "Too many requests from this address",
        "Wait for as long as Retry-After says.";
    /// Our fault.
    Internal = INTERNAL_SERVER_ERROR, "internal", "The server failed",
        "Try again; the server's log says more.";
    /// Not up yet, or going down.
    NotReady = SERVICE_UNAVAILABLE, "not-ready", "The server is not ready",
        "Wait for as long as Retry-After says; /ready says what is missing.";
    /// Full.
    AtCapacity = SERVICE_UNAVAILABLE, "at-capacity", "The server or the room is full",
        "Try again later, or on another server.";
    /// It took too long.
    Overloaded = SERVICE_UNAVAILABLE, "overloaded", "The answer took too long",
        "Try again later.";
}

impl ProblemKind {
    /// The kind that stands for a status when nothing better is known.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        match status.as_u16() {
            401 => Self::Unauthenticated,
            403 => Self::NotPermitted,
            404 => Self::NotFound,
            405 => Self::MethodNotAllowed,
            408 => Self::RequestTimeout,
            409 => Self::Conflict,
            412 => Self::EtagMismatch,
            413 => Self::PayloadTooLarge,
            415 => Self::UnsupportedMediaType,
            428 => Self::PreconditionRequired,
            429 => Self::RateLimited,
            503 => Self::NotReady,
            400..500 => Self::BadRequest,
            _ => Self::Internal,
        }
    }

    /// With words for this one occurrence.
    pub fn because(self, detail: impl fmt::Display) -> Problem {
        Problem {
            kind: self,
            detail: detail.to_string(),
            members: Map::new(),
            headers: Vec::new(),
        }
    }
}

impl From<ProblemKind> for Problem {
    fn from(kind: ProblemKind) -> Self {
        kind.because(kind.advice())
    }
}

/// Marks an error response that is no problem and has to stay as it is, because its protocol has a form of its
/// own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnWords;

/// An error on its way to a client.
#[derive(Clone, Debug)]
pub struct Problem {
    kind: ProblemKind,
    detail: String,
    members: Map<String, Value>,
    headers: Vec<(header::HeaderName, String)>,
}

impl Problem {
    /// What kind it is.
    pub fn kind(&self) -> ProblemKind {
        self.kind
    }

    /// The words for this one occurrence.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// What it says in `Retry-After`.
    pub(crate) fn retry_after_seconds(&self) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(name, _)| name == header::RETRY_AFTER);
        found.map(|(_, value)| value.as_str())
    }

    /// With another member of the JSON object.
    pub(crate) fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.members.insert(member.to_owned(), value.into());
        self
    }

    /// With another header.
    pub(crate) fn header(mut self, name: header::HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Worth trying again after so many seconds.
    pub(crate) fn retry_after(self, seconds: u64) -> Self {
        self.header(header::RETRY_AFTER, seconds.max(1).to_string())
    }

    /// The JSON object.
    pub(crate) fn body(&self) -> Value {
        let mut body = json!({
            "type": format!("/problems/{}", self.kind.slug()),
            "title": self.kind.title(),
            "status": self.kind.status().as_u16(),
            "detail": self.detail,
        });
        if let Some(object) = body.as_object_mut() {
            object.extend(self.members.clone());
        }
        body
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.title(), self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.kind.status()
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponseBuilder::new(self.kind.status());
        for (name, value) in &self.headers {
            response.insert_header((name.clone(), value.as_str()));
        }
        if self.kind.status() == StatusCode::UNAUTHORIZED {
            // RFC 6750, section 3: the error's name only if a token was given.
            let challenge = match self.kind {
                ProblemKind::Unauthenticated | ProblemKind::InvalidServiceKey => {
                    "Bearer realm=\"hive\""
                }
                _ => "Bearer realm=\"hive\", error=\"invalid_token\"",
            };
            response.insert_header((header::WWW_AUTHENTICATE, challenge));
        }
        response
            .insert_header((header::CONTENT_TYPE, PROBLEM_JSON))
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .body(self.body().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn kinds_are_told_apart_by_their_slug_and_are_documented() {
        let slugs: HashSet<_> = ProblemKind::ALL.iter().map(|kind| kind.slug()).collect();
        assert_eq!(slugs.len(), ProblemKind::ALL.len());
        let documented = include_str!("../../docs/http.md");
        for kind in ProblemKind::ALL {
            let row = format!("| `{}` | {} |", kind.slug(), kind.status().as_u16());
            assert!(documented.contains(&row), "docs/http.md has no row `{row}`");
        }
    }

    #[test]
    fn a_problem_has_the_members_of_rfc_9457_and_its_own() {
        let problem = ProblemKind::UnsupportedLanguage
            .because("no")
            .with("available", json!([["en", "es"]]));
        assert_eq!(
            problem.body(),
            json!({
                "type": "/problems/unsupported-language", "title": "There is no engine for this language",
                "status": 422, "detail": "no", "available": [["en", "es"]],
            })
        );
        let response = problem.retry_after(0).error_response();
        assert_eq!(
            response.headers().get("content-type").map(|v| v.as_bytes()),
            Some(PROBLEM_JSON.as_bytes())
        );
        assert_eq!(
            response.headers().get("retry-after").map(|v| v.as_bytes()),
            Some(b"1".as_slice())
        );
    }
}
