//! WHIP (RFC 9725) for publishing and WHEP (draft-ietf-wish-whep) for listening.
//!
//! Both are the same exchange: POST an SDP offer, get the answer and the address of a session; PATCH that with
//! ICE candidates or to restart ICE; DELETE it to leave.

pub(crate) mod refusal;

use std::{future::Future, str::FromStr};

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use hive_actors::{ListenRequest, PublishRequest, SessionId, SessionInfo, SessionKind};
use hive_models::Lang;
use serde::Deserialize;
use tokio::time::timeout;

use super::{
    app::Door,
    bearer::{self, Need, bearer},
    problem::{Problem, ProblemKind},
};
use crate::auth::{Identity, RoomName, unix_seconds};

const SDP: &str = "application/sdp";
const FRAGMENT: &str = "application/trickle-ice-sdpfrag";
/// What an endpoint takes.
pub(super) const ENDPOINT_METHODS: &str = "POST, OPTIONS";
/// What a session takes.
pub(super) const SESSION_METHODS: &str = "PATCH, DELETE, OPTIONS";

/// Which of the two protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// The client sends.
    Whip,
    /// The client receives.
    Whep,
}

impl Flow {
    /// First segment of its addresses.
    pub(super) fn name(self) -> &'static str {
        match self {
            Flow::Whip => "whip",
            Flow::Whep => "whep",
        }
    }

    fn need(self) -> Need {
        match self {
            Flow::Whip => Need::Publish,
            Flow::Whep => Need::Subscribe,
        }
    }

    fn kind(self) -> SessionKind {
        match self {
            Flow::Whip => SessionKind::Publish,
            Flow::Whep => SessionKind::Listen,
        }
    }
}

/// `?lang=`: of a publisher the language they speak (English if left out), of a listener the one to hear.
#[derive(Debug, Deserialize)]
pub(super) struct Options {
    lang: Option<String>,
}

/// `POST /whip/{room}` and `POST /whep/{room}`.
pub(super) async fn offer(
    flow: web::Data<Flow>,
    door: web::Data<Door>,
    room: web::Path<String>,
    options: web::Query<Options>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let room: RoomName = parse_room(&room)?;
    let (who, claims) = bearer::admit(&door, bearer(&request), &room, flow.need())?;
    door.open()?;
    let lang = options
        .lang
        .as_deref()
        .filter(|lang| !lang.is_empty())
        .map(parse_lang)
        .transpose()?;
    let offer = door.text(&request, payload, SDP).await?;
    let (identity, name) = (who.to_string(), claims.name);
    let room_name = room.to_string();
    let opened = match **flow {
        Flow::Whip => {
            let lang = lang.unwrap_or(Lang::EN);
            let request = PublishRequest {
                room: room_name,
                identity,
                name,
                lang,
                offer,
            };
            in_time(&door, door.backend.publish(request)).await?
        }
        Flow::Whep => {
            let request = ListenRequest {
                room: room_name,
                identity,
                name,
                lang,
                offer,
            };
            in_time(&door, door.backend.listen(request)).await?
        }
    };
    let session = opened.map_err(|error| refusal::of_session(&error))?;
    tracing::info!(room = %room, identity = %who, flow = flow.name(), "a session was opened");
    let mut created = HttpResponse::Created();
    for server in door.ice_servers.for_identity(who.as_str(), unix_seconds()) {
        for link in server.link_headers() {
            created.append_header((header::LINK, link));
        }
    }
    Ok(created
        .insert_header((header::CONTENT_TYPE, SDP))
        .insert_header((
            header::LOCATION,
            format!("/{}/{}/{}", flow.name(), room.segment(), session.id),
        ))
        .insert_header((header::ETAG, session.etag))
        .insert_header(("accept-patch", FRAGMENT))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(session.answer))
}

/// `PATCH /whip/{room}/{session}` and the same of WHEP: candidates, or an ICE restart.
pub(super) async fn trickle(
    flow: web::Data<Flow>,
    door: web::Data<Door>,
    address: web::Path<(String, String)>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let (id, session, _) = own_session(**flow, &door, &address, &request)?;
    let fragment = door.text(&request, payload, FRAGMENT).await?;
    match_tag(&request, &session.etag)?;
    let applied = in_time(&door, door.backend.trickle(id, fragment)).await?;
    match applied.map_err(|error| refusal::of_fragment(&error))? {
        None => Ok(HttpResponse::NoContent().finish()),
        Some(restart) => Ok(HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, FRAGMENT))
            .insert_header((header::ETAG, restart.etag))
            .body(restart.fragment)),
    }
}

/// `DELETE /whip/{room}/{session}` and the same of WHEP.
pub(super) async fn close(
    flow: web::Data<Flow>,
    door: web::Data<Door>,
    address: web::Path<(String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let (id, session, who) = own_session(**flow, &door, &address, &request)?;
    if !door.backend.close(id) {
        return Err(ProblemKind::UnknownSession.into());
    }
    tracing::info!(room = session.room, identity = %who, flow = flow.name(), "a session was closed");
    Ok(HttpResponse::Ok().finish())
}

/// `OPTIONS` of an endpoint (RFC 9725, section 4.2).
pub(super) async fn endpoint_options() -> HttpResponse {
    HttpResponse::NoContent()
        .insert_header((header::ALLOW, ENDPOINT_METHODS))
        .insert_header(("accept-post", SDP))
        .finish()
}

/// `OPTIONS` of a session.
pub(super) async fn session_options() -> HttpResponse {
    HttpResponse::NoContent()
        .insert_header((header::ALLOW, SESSION_METHODS))
        .insert_header(("accept-patch", FRAGMENT))
        .finish()
}

/// The session at an address, if it is the caller's. The token comes first, so that nobody can try out ids.
fn own_session(
    flow: Flow,
    door: &Door,
    address: &(String, String),
    request: &HttpRequest,
) -> Result<(SessionId, SessionInfo, Identity), Problem> {
    let (room, id) = address;
    let room = parse_room(room)?;
    let who = bearer::recognise(door, bearer(request), &room)?;
    let id = SessionId::from_str(id).map_err(|error| ProblemKind::UnknownSession.because(error))?;
    let session = door
        .backend
        .session(id)
        .filter(|session| session.room == room.as_str() && session.kind == flow.kind())
        .ok_or(ProblemKind::UnknownSession)?;
    if session.identity != who.as_str() {
        return Err(ProblemKind::WrongIdentity.into());
    }
    Ok((id, session, who))
}

/// `If-Match` against the present tag (RFC 9110, section 13.1.1): strong comparison, `*` fits any.
fn match_tag(request: &HttpRequest, present: &str) -> Result<(), Problem> {
    let mut given = request
        .headers()
        .get_all(header::IF_MATCH)
        .filter_map(|value| value.to_str().ok())
        .peekable();
    if given.peek().is_none() {
        return Err(ProblemKind::PreconditionRequired.into());
    }
    let fits = given
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|tag| tag == "*" || tag == present);
    if fits {
        Ok(())
    } else {
        Err(ProblemKind::EtagMismatch.into())
    }
}

/// The answer, unless it takes longer than `http.request_timeout`.
pub(crate) async fn in_time<T>(door: &Door, answer: impl Future<Output = T>) -> Result<T, Problem> {
    timeout(door.http.request_timeout, answer)
        .await
        .map_err(|_| {
            ProblemKind::Overloaded
                .because("the service did not answer in time")
                .retry_after(2)
        })
}

/// A room's name from an address.
pub(super) fn parse_room(room: &str) -> Result<RoomName, Problem> {
    room.parse()
        .map_err(|error| ProblemKind::InvalidRoom.because(error))
}

/// A language from a query.
pub(super) fn parse_lang(lang: &str) -> Result<Lang, Problem> {
    lang.parse()
        .map_err(|error| ProblemKind::InvalidLanguage.because(error))
}
