//! `GET /rooms/{room}/events`: the room's events over a WebSocket.

// The maintainers point to `actix-ws`; this endpoint has to be an actor by requirement.
#![allow(
    deprecated,
    reason = "the events WebSocket is required to be an actix-web-actors actor"
)]

use actix_web::{HttpRequest, HttpResponse, web};
use actix_web_actors::ws::{self, HandshakeError, WsResponseBuilder};
use hive_actors::{SubscribeError, Wants};
use serde::Deserialize;

use super::{
    app::Door,
    bearer::{self, Need, bearer},
    connection::Connection,
    feed::{Feed, pump},
    problem::{Problem, ProblemKind},
    signalling::{parse_lang, parse_room, refusal},
};

/// The query. Browsers cannot set headers on a WebSocket, so the token may stand here.
#[derive(Debug, Deserialize)]
pub(super) struct Options {
    access_token: Option<String>,
    /// Languages to translate captions into, separated by commas; asking for one makes the room translate.
    lang: Option<String>,
    /// `false` for everything but captions; then nothing is recognised for this client's sake.
    captions: Option<bool>,
}

/// Upgrades to a WebSocket and sends what happens in the room.
pub(super) async fn open(
    door: web::Data<Door>,
    room: web::Path<String>,
    options: web::Query<Options>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let room = parse_room(&room)?;
    let token = bearer(&request).or(options.access_token.as_deref());
    let (who, _) = bearer::admit(&door, token, &room, Need::Subscribe)?;
    door.open()?;
    ws::handshake(&request).map_err(no_websocket)?;
    let langs = options
        .lang
        .iter()
        .flat_map(|langs| langs.split(','))
        .map(str::trim)
        .filter(|lang| !lang.is_empty());
    let langs = langs.map(parse_lang).collect::<Result<_, _>>()?;
    let wants = Wants {
        captions: options.captions.unwrap_or(true),
        langs,
    };
    let events = door
        .backend
        .subscribe(room.to_string(), wants)
        .await
        .map_err(|SubscribeError::Room(error)| refusal::of_session(&error))?;
    let limits = door.http.events.clone();
    let (outgoing, queue) = tokio::sync::mpsc::channel(limits.queue);
    let connection = request.conn_data::<Connection>().cloned();
    let cut = move || {
        if let Some(connection) = connection {
            connection.cut();
        }
    };
    actix_web::rt::spawn(pump(
        events,
        outgoing,
        limits.slow_reader_timeout,
        door.doorway.clone(),
        cut,
    ));
    tracing::info!(room = %room, identity = %who, "a client reads the events");
    let max_frame = limits.max_frame;
    WsResponseBuilder::new(Feed::new(queue, limits), &request, payload)
        .frame_size(max_frame)
        .start()
        .map_err(|error| ProblemKind::BadRequest.because(error))
}

fn no_websocket(error: HandshakeError) -> Problem {
    ProblemKind::BadRequest.because(format!(
        "{error}; this address speaks WebSocket (RFC 6455), version 13"
    ))
}
