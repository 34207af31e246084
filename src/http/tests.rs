//! What HTTP says, over rooms from a table.

mod errors;
mod service;
mod signalling;
mod slow_reader;
mod stats;
mod tokens;

use actix_web::{
    App,
    body::to_bytes,
    dev::Service,
    http::{Method, StatusCode, header},
    middleware::from_fn,
    test::{self, TestRequest},
    web,
};
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{
    app::{Door, Doorway, routes},
    guard::guard,
    test_double::TableOfSessions,
};
use crate::{
    auth::{Claims, Identity, Keyring, RoomName, unix_seconds},
    config::{Config, Secret},
    turn::IceServers,
};

pub(crate) const SECRET: &str = "d8Qk1mZpX0aLw7vTn3RyUe5BhJc9GsFo";
pub(crate) const SERVICE_KEY: &str = "Zx4cVb7nMq1wEr5tYu8iOp2aSd6fGh9j";

pub(crate) fn config() -> Config {
    let mut config = Config::default();
    config
        .auth
        .keys
        .insert("key".to_owned(), Secret::new(SECRET));
    config.auth.service_keys.push(Secret::new(SERVICE_KEY));
    config.chaos.enabled = true;
    config
}

pub(crate) struct World {
    pub(crate) table: TableOfSessions,
    pub(crate) doorway: watch::Sender<Doorway>,
    pub(crate) door: web::Data<Door>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(&config())
    }

    pub(crate) fn with(config: &Config) -> Self {
        Self::with_turn(config, IceServers::none())
    }

    fn with_turn(config: &Config, ice_servers: IceServers) -> Self {
        let (table, doorway) = (
            TableOfSessions::default(),
            watch::Sender::new(Doorway::Open),
        );
        let metrics = PrometheusBuilder::new().build_recorder().handle();
        let door = Door::new(
            config,
            Box::new(table.clone()),
            ice_servers,
            metrics,
            doorway.subscribe(),
        );
        Self {
            table,
            doorway,
            door: web::Data::new(door),
        }
    }

    /// Status, headers and body of one request.
    pub(crate) async fn ask(&self, request: TestRequest) -> Answer {
        self.ask_from("192.0.2.1:5000", request).await
    }

    /// The same, of a client at another address.
    pub(crate) async fn ask_from(&self, peer: &str, request: TestRequest) -> Answer {
        let app = App::new()
            .app_data(self.door.clone())
            .wrap(from_fn(guard))
            .configure(routes);
        let app = test::init_service(app).await;
        let request = request
            .peer_addr(peer.parse().expect("an address"))
            .to_request();
        let response = app.call(request).await.expect("errors are responses");
        let (status, headers) = (response.status(), response.headers().clone());
        let body = to_bytes(response.into_body()).await.expect("a body");
        Answer {
            status,
            headers,
            body: String::from_utf8_lossy(&body).into_owned(),
            bytes: body,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: header::HeaderMap,
    pub(crate) body: String,
    pub(crate) bytes: web::Bytes,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The problem's name, after checking that it is one.
    pub(crate) fn problem(&self) -> String {
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{self:?}"
        );
        let body = self.json();
        assert_eq!(body["status"], self.status.as_u16(), "{self:?}");
        assert!(
            body["detail"]
                .as_str()
                .is_some_and(|detail| !detail.is_empty()),
            "{self:?}"
        );
        let name = body["type"]
            .as_str()
            .and_then(|kind| kind.strip_prefix("/problems/"));
        name.expect("a type").to_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

pub(crate) fn token(room: &str, identity: &str, publish: bool, subscribe: bool) -> String {
    token_at(room, identity, (publish, subscribe), unix_seconds())
}

pub(crate) fn token_at(room: &str, identity: &str, grant: (bool, bool), now: u64) -> String {
    let (room, identity) = (
        room.parse::<RoomName>().expect("a room"),
        identity.parse::<Identity>().expect("an id"),
    );
    let keyring = Keyring::new(&config().auth);
    let mut claims = Claims::joining(identity, &room);
    claims.video.can_publish = Some(grant.0);
    claims.video.can_subscribe = Some(grant.1);
    keyring.issue(claims, None, now).expect("a token").0
}

pub(crate) fn bearer(token: &str) -> (header::HeaderName, String) {
    (header::AUTHORIZATION, format!("Bearer {token}"))
}

fn offer(address: &str, token: &str) -> TestRequest {
    TestRequest::post()
        .uri(address)
        .insert_header(bearer(token))
        .insert_header((header::CONTENT_TYPE, "application/sdp"))
        .set_payload("v=0\r\n")
}

fn fragment(address: &str, token: &str, tag: Option<&str>, body: &'static str) -> TestRequest {
    let request = TestRequest::patch()
        .uri(address)
        .insert_header(bearer(token))
        .insert_header((header::CONTENT_TYPE, "application/trickle-ice-sdpfrag"))
        .set_payload(body);
    match tag {
        Some(tag) => request.insert_header((header::IF_MATCH, tag)),
        None => request,
    }
}
