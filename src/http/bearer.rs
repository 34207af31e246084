//! Tokens on requests, and what they permit.

use actix_web::{HttpRequest, http::header};
use hive_actors::livekit::proto::TrackSource;

use super::{
    app::Door,
    problem::{Problem, ProblemKind},
};
use crate::auth::{Claims, Identity, RoomName, VerifyTokenError, unix_seconds};

/// What a request needs of its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    Publish,
    Subscribe,
}

/// The credentials of `Authorization: Bearer` (RFC 6750).
pub(crate) fn bearer(request: &HttpRequest) -> Option<&str> {
    let value = request
        .headers()
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?;
    let (scheme, credentials) = value.split_once(' ')?;
    let credentials = credentials.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !credentials.is_empty()).then_some(credentials)
}

/// Who brings a living token that permits what is needed in `room`, and all it says.
pub(crate) fn admit(
    door: &Door,
    token: Option<&str>,
    room: &RoomName,
    need: Need,
) -> Result<(Identity, Claims), Problem> {
    let claims = verify(door, token)?;
    fits(&claims, room)?;
    let (permitted, grant) = match need {
        // A microphone is what WHIP publishes.
        Need::Publish => (
            claims.video.may_publish_source(TrackSource::Microphone),
            "canPublish (with microphone among canPublishSources, if there are any)",
        ),
        Need::Subscribe => (claims.video.may_subscribe(), "canSubscribe"),
    };
    if !permitted {
        return Err(ProblemKind::NotPermitted.because(format!(
            "the token's video grant lacks roomJoin and {grant}"
        )));
    }
    Ok((identity(&claims)?, claims))
}

/// The claims of a living token, whatever they permit.
pub(crate) fn verify(door: &Door, token: Option<&str>) -> Result<Claims, Problem> {
    let token = token.ok_or(ProblemKind::Unauthenticated)?;
    door.keyring.verify(token, unix_seconds()).map_err(refused)
}

/// Who handles an open session in `room`. The token may have expired since: its life bounds joining, and who
/// joined must be able to leave.
pub(crate) fn recognise(
    door: &Door,
    token: Option<&str>,
    room: &RoomName,
) -> Result<Identity, Problem> {
    let token = token.ok_or(ProblemKind::Unauthenticated)?;
    let claims = door.keyring.verify_signature(token).map_err(refused)?;
    fits(&claims, room)?;
    identity(&claims)
}

fn identity(claims: &Claims) -> Result<Identity, Problem> {
    claims.sub.clone().ok_or_else(|| {
        ProblemKind::InvalidToken.because(
            "the token names nobody (sub): it is one for managing rooms, and joining one takes an identity",
        )
    })
}

/// Lets holders of a service key pass.
pub(crate) fn service(door: &Door, request: &HttpRequest) -> Result<(), Problem> {
    if door.service_keys.is_empty() {
        return Err(ProblemKind::InvalidServiceKey.because(
            "this server has no service keys; add one from `hive keys` to auth.service_keys",
        ));
    }
    match bearer(request) {
        Some(key) if door.service_keys.accept(key) => Ok(()),
        Some(_) => {
            Err(ProblemKind::InvalidServiceKey.because("this is no service key of this server"))
        }
        None => Err(ProblemKind::InvalidServiceKey.into()),
    }
}

fn fits(claims: &Claims, room: &RoomName) -> Result<(), Problem> {
    match &claims.video.room {
        Some(named) if named == room.as_str() => Ok(()),
        Some(_) => {
            Err(ProblemKind::WrongRoom.because(format!("the token is not for the room {room}")))
        }
        None => Err(ProblemKind::WrongRoom.because("the token names no room (video.room)")),
    }
}

fn refused(error: VerifyTokenError) -> Problem {
    let kind = match error {
        VerifyTokenError::Expired { .. } => ProblemKind::TokenExpired,
        VerifyTokenError::NotYetValid { .. } => ProblemKind::TokenNotYetValid,
        VerifyTokenError::Malformed(_)
        | VerifyTokenError::Algorithm
        | VerifyTokenError::UnknownIssuer
        | VerifyTokenError::Signature => ProblemKind::InvalidToken,
    };
    kind.because(error)
}
