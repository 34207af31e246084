//! `GET /rtc` and `GET /rtc/v1`: a client joins, or comes back.

use actix_web::{HttpRequest, HttpResponse, web};
use actix_web_actors::ws::{self, HandshakeError, WsResponseBuilder};
use futures_util::{StreamExt, stream};
use hive_actors::livekit::{
    ResumeError, Topology,
    proto::{DisconnectReason, leave_request::Action, signal_response},
};
use tokio::sync::mpsc;

use super::{
    attend::attend,
    client::{Nobody, SignalConnection},
    frame_guard::{BadFrame, FrameGuard},
    fresh_tokens::with_fresh_tokens,
    greeting::greet,
    outgoing::{Heard, Pump},
    query::{Asked, Query},
    refusal,
    session::Session,
    verdict::{Judge, Verdict, leave},
};
use crate::{
    auth::Claims,
    http::{
        app::Door,
        bearer::{self, bearer},
        client::client_address,
        connection::Connection,
        problem::{Problem, ProblemKind},
        signalling::in_time,
    },
};

/// What a client asks for, if its token permits it. The token comes first: only its holder's request
/// is unpacked.
pub(super) fn checked(
    door: &Door,
    topology: Topology,
    query: &Query,
    request: &HttpRequest,
) -> Result<(Asked, Claims), Problem> {
    let token = bearer(request).or(query.access_token.as_deref());
    let claims = bearer::verify(door, token)?;
    let room = room(&claims, query.room.as_deref())?;
    let mut asked = query.asked(topology, &claims, room)?;
    if let Asked::Join(join) = &mut asked {
        // What the client says of its own address is no evidence.
        let address = client_address(request, &door.http.trusted_proxies);
        join.client.address = address
            .map(|address| address.to_string())
            .unwrap_or_default();
    }
    Ok((asked, claims))
}

/// The room that the token is for.
fn room(claims: &Claims, asked: Option<&str>) -> Result<String, Problem> {
    if !claims.video.room_join {
        return Err(ProblemKind::NotPermitted.because("the token's video grant lacks roomJoin"));
    }
    let room = claims.video.room.as_deref().unwrap_or_default();
    if room.is_empty() {
        return Err(ProblemKind::WrongRoom.because("the token names no room (video.room)"));
    }
    match asked {
        Some(asked) if !asked.is_empty() && asked != room => Err(ProblemKind::WrongRoom
            .because("the token is not for the room that the query names; leave `room` out")),
        _ => Ok(room.to_owned()),
    }
}

/// Lets the client in, then upgrades to a WebSocket: who is refused is told so by the status.
pub(super) async fn open(
    topology: web::Data<Topology>,
    door: web::Data<Door>,
    query: web::Query<Query>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let (asked, claims) = checked(&door, **topology, &query, &request)?;
    door.open()?;
    ws::handshake(&request).map_err(no_websocket)?;
    let (room, identity) = match &asked {
        Asked::Join(join) => (join.room.clone(), join.identity.clone()),
        Asked::Resume(resume) => (resume.room.clone(), resume.identity.clone()),
    };
    let (client, mut outbox) = connect(&door, asked).await?;
    // The first message is told before anything else, and before the upgrade, so that a room that ended
    // meanwhile is a status as well.
    let first = in_time(&door, outbox.next()).await?;
    let mut first = first.ok_or_else(|| {
        ProblemKind::NotReady
            .because("the room ended meanwhile; try again")
            .retry_after(1)
    })?;
    greet(&door, &identity, &mut first);
    let left = matches!(first, signal_response::Message::Leave(_));
    if !left {
        tracing::info!(room, identity, sid = client.sid(), "a client is connected");
    }

    let limits = &door.http.signal;
    let (judge, heard) = (Judge::new(), Heard::now());
    let (outgoing, queue) = mpsc::channel(limits.queue);
    let (incoming, inbox) = mpsc::channel(limits.inbox);
    let connection = request.conn_data::<Connection>().cloned();
    let cut = move || {
        if let Some(connection) = connection {
            connection.cut();
        }
    };
    let pump = Pump {
        to: outgoing,
        patience: limits.slow_reader_timeout,
        ping_timeout: limits.ping_timeout,
        heard: heard.clone(),
        judgement: judge.judgement(),
        doorway: door.doorway.clone(),
        left,
    };
    let outbox = with_fresh_tokens(outbox, door.clone(), client.sid().to_owned(), claims);
    actix_web::rt::spawn(pump.run(outbox, cut));
    actix_web::rt::spawn(attend(
        client,
        inbox,
        judge.clone(),
        door.http.request_timeout,
    ));
    let guard = judge.clone();
    let payload = FrameGuard::new(payload, limits.max_frame, move |bad| {
        guard.pass(match bad {
            BadFrame::TooLarge => Verdict::Oversized,
            BadFrame::Malformed => Verdict::Protocol,
        });
    });
    let session = Session::new(first, queue, incoming, judge, heard, limits);
    WsResponseBuilder::new(session, &request, payload)
        .frame_size(limits.max_frame)
        .start()
        .map_err(|error| ProblemKind::BadRequest.because(error))
}

async fn connect(door: &Door, asked: Asked) -> Result<SignalConnection, Problem> {
    match asked {
        Asked::Join(join) => in_time(door, door.backend.join(*join))
            .await?
            .map_err(|error| refusal::of_join(&error)),
        Asked::Resume(resume) => match in_time(door, door.backend.resume(*resume)).await? {
            Ok(connection) => Ok(connection),
            Err(error @ ResumeError::UnknownParticipant) => {
                metrics::counter!("hive_signal_refused_total", "reason" => "resume").increment(1);
                tracing::info!(%error, "a client has to join anew");
                Ok(come_anew())
            }
            Err(error @ ResumeError::ShuttingDown) => {
                Err(ProblemKind::NotReady.because(error).retry_after(5))
            }
        },
    }
}

/// A connection that only tells its client to join anew. A status would make it give up instead.
fn come_anew() -> SignalConnection {
    let leave = leave(DisconnectReason::StateMismatch, Action::Reconnect);
    let only = stream::iter([signal_response::Message::Leave(leave)]);
    (Box::new(Nobody), Box::pin(only))
}

fn no_websocket(error: HandshakeError) -> Problem {
    ProblemKind::BadRequest.because(format!(
        "{error}; this address speaks WebSocket (RFC 6455), version 13"
    ))
}
