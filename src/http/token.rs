//! `POST /auth/token/room`: tokens for participants, for services that hold a service key.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use serde::{Deserialize, Serialize};

use super::{
    app::Door,
    bearer,
    problem::{Problem, ProblemKind},
};
use crate::auth::{Claims, Identity, IssueTokenError, RoomName, unix_seconds};

/// What a participant may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Role {
    /// Publishes and listens.
    Speaker,
    /// Listens.
    Listener,
}

/// The body of a request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenRequest {
    room_name: RoomName,
    /// The name to show; also the identity, if there is none.
    participant_name: String,
    identity: Option<Identity>,
    role: Role,
    /// Seconds.
    ttl: Option<u64>,
}

/// The body of an answer.
#[derive(Debug, Serialize)]
struct IssuedToken<'a> {
    token: String,
    /// Unix seconds.
    expires_at: u64,
    room: &'a RoomName,
    identity: &'a Identity,
    role: Role,
    /// Where to go with it.
    urls: Urls,
}

#[derive(Debug, Serialize)]
struct Urls {
    #[serde(skip_serializing_if = "Option::is_none")]
    whip: Option<String>,
    whep: String,
    events: String,
}

/// Issues a token.
pub(super) async fn issue(
    door: web::Data<Door>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    bearer::service(&door, &request)?;
    let TokenRequest {
        room_name: room,
        participant_name,
        identity,
        role,
        ttl,
    } = door.json(&request, payload).await?;
    let identity = match identity {
        Some(identity) => identity,
        None => participant_name.parse().map_err(|error| {
            ProblemKind::InvalidJson.because(format!("participant_name: {error}"))
        })?,
    };
    let mut said = Claims::joining(identity.clone(), &room);
    said.name = Some(participant_name);
    said.video.can_publish = Some(role == Role::Speaker);
    said.video.can_subscribe = Some(true);
    let (token, claims) = door
        .keyring
        .issue(said, ttl.map(Duration::from_secs), unix_seconds())
        .map_err(|error| match error {
            IssueTokenError::Life { .. } => ProblemKind::BadRequest.because(error),
            IssueTokenError::NoKey | IssueTokenError::Sign(_) => {
                tracing::error!(%error, "a token could not be issued");
                ProblemKind::Internal.into()
            }
        })?;
    let base = door
        .http
        .public_url
        .as_deref()
        .unwrap_or_default()
        .trim_end_matches('/');
    let segment = room.segment();
    let websocket = base.replacen("http", "ws", 1);
    Ok(HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(IssuedToken {
            token,
            expires_at: claims.exp,
            room: &room,
            identity: &identity,
            role,
            urls: Urls {
                whip: (role == Role::Speaker).then(|| format!("{base}/whip/{segment}")),
                whep: format!("{base}/whep/{segment}"),
                events: format!("{websocket}/rooms/{segment}/events"),
            },
        }))
}
