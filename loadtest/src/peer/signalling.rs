//! Tokens, WHIP (RFC 9725) and WHEP against one server.

use hyper::header::{ETAG, LOCATION};
use hyper::{Method, StatusCode};
use serde::Deserialize;

use crate::http::{Call, HttpClient, HttpError};

/// Why a peer could not join or was thrown out.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// Signalling failed.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The WebRTC stack refused.
    #[error("the simulated peer's WebRTC stack failed: {0}")]
    Webrtc(#[from] webrtc::error::Error),
    /// ICE or DTLS did not complete.
    #[error(
        "{peer} did not connect within {seconds} s; is the server's UDP port reachable, and does \
         its answer hold a candidate?"
    )]
    Connect {
        /// Which peer.
        peer: String,
        /// How long it tried.
        seconds: u64,
    },
    /// The WebSocket failed.
    #[error("cannot follow the room's events: {0}")]
    Events(String),
}

/// What a token lets its holder do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Publish and listen.
    Speaker,
    /// Listen only.
    Listener,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Role::Speaker => "speaker",
            Role::Listener => "listener",
        }
    }
}

/// A server and the key that lets this program issue tokens.
#[derive(Debug, Clone)]
pub struct Signalling {
    http: HttpClient,
    service_key: String,
}

/// A WHIP or WHEP session on the server.
#[derive(Debug, Clone)]
pub struct Session {
    /// The SDP answer.
    pub answer: String,
    /// Path of the session's resource.
    pub resource: String,
    /// Entity tag for PATCH.
    pub etag: Option<String>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: String,
}

impl Signalling {
    /// Talk to the server at `host:port`, holding one of its service keys.
    pub fn new(http: HttpClient, service_key: impl Into<String>) -> Self {
        Self {
            http,
            service_key: service_key.into(),
        }
    }

    /// The server.
    pub fn http(&self) -> &HttpClient {
        &self.http
    }

    /// Ask for a participant's token.
    ///
    /// # Errors
    ///
    /// The server refuses the service key or the names.
    pub async fn token(&self, room: &str, identity: &str, role: Role) -> Result<String, HttpError> {
        let path = "/auth/token/room";
        let body = serde_json::json!({
            "room_name": room,
            "participant_name": identity,
            "role": role.name(),
        });
        let call = Call::new(Method::POST, path)
            .bearer(&self.service_key)
            .body("application/json", body.to_string());
        let answer = self.http.expect(call).await?;
        serde_json::from_str::<TokenAnswer>(&answer.body)
            .map(|answer| answer.token)
            .map_err(|e| HttpError::Body {
                path: path.to_owned(),
                reason: e.to_string(),
            })
    }

    /// Post an SDP offer to a WHIP or WHEP endpoint, e.g. `/whep/room?lang=es`.
    ///
    /// # Errors
    ///
    /// The server refuses it, or its 201 names no session.
    pub async fn open(&self, path: &str, token: &str, offer: &str) -> Result<Session, HttpError> {
        let call = Call::new(Method::POST, path)
            .bearer(token)
            .body("application/sdp", offer.to_owned());
        let answer = self.http.expect(call).await?;
        let unexpected = |reason: &str| HttpError::Body {
            path: path.to_owned(),
            reason: reason.to_owned(),
        };
        if answer.status != StatusCode::CREATED {
            return Err(unexpected("the status is not 201 Created"));
        }
        let header = |name| answer.headers.get(name).and_then(|v| v.to_str().ok());
        let location = header(LOCATION).ok_or_else(|| unexpected("there is no Location"))?;
        Ok(Session {
            resource: path_of(location).to_owned(),
            etag: header(ETAG).map(str::to_owned),
            answer: answer.body,
        })
    }

    /// Delete a session.
    ///
    /// # Errors
    ///
    /// The server does not know it any more.
    pub async fn close(&self, session: &Session, token: &str) -> Result<(), HttpError> {
        let call = Call::new(Method::DELETE, &session.resource).bearer(token);
        self.http.expect(call).await.map(drop)
    }
}

/// The path of an absolute or relative reference.
fn path_of(location: &str) -> &str {
    match location.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |slash| &rest[slash..]),
        None => location,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_may_be_absolute() {
        assert_eq!(path_of("/whip/room/1"), "/whip/room/1");
        assert_eq!(path_of("http://127.0.0.1:80/whip/room/1"), "/whip/room/1");
        assert_eq!(path_of("https://host"), "/");
    }
}
