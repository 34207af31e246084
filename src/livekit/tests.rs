//! What LiveKit clients are told, over real sockets and a room made of a log.

mod join;
mod limits;
mod mutations;
mod resume;
mod socket;
mod validate;

use actix_web::http::header;
use hive_actors::livekit::proto::{ConnectionSettings, JoinRequest, signal_response};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::{Value, json};

use self::socket::{Answer, Socket};
use super::{
    join_request::encode_join_request,
    test_double::{SignalLog, Told},
};
use crate::{
    auth::unix_seconds,
    config::{Config, Secret},
    http::{self, HttpServerHandle, test_double::TableOfSessions},
    turn::IceServers,
};

const SECRET: &str = "d8Qk1mZpX0aLw7vTn3RyUe5BhJc9GsFo";

fn config() -> Config {
    let mut config = Config::default();
    let key = Secret::new(SECRET);
    config.auth.keys.insert("key".to_owned(), key);
    config.http.bind = "127.0.0.1:0".parse().expect("an address");
    config.http.workers = 1;
    config
}

/// A server, and what its room was told.
struct World {
    server: HttpServerHandle,
    log: SignalLog,
}

impl World {
    /// Runs a test, which may block, against a server of its own.
    async fn with(config: Config, test: impl FnOnce(&Self) + Send + 'static) {
        let table = TableOfSessions::default();
        let log = table.signals.clone();
        let listener = http::bind(config.http.bind).expect("a free port");
        let metrics = PrometheusBuilder::new().build_recorder().handle();
        let server = http::start(listener, &config, table, IceServers::none(), metrics)
            .expect("the server starts");
        let world = Self { server, log };
        let ended = tokio::task::spawn_blocking(move || {
            test(&world);
            world
        });
        match ended.await {
            Ok(world) => world.server.abort().await,
            Err(failure) => std::panic::resume_unwind(failure.into_panic()),
        }
    }

    /// A WebSocket at this address, or what the server answers instead.
    fn connect(&self, address: &str) -> Result<Socket, Answer> {
        Socket::connect(self.server.address(), address, None)
    }

    /// A client of the newer generation in a room.
    fn join(&self, room: &str) -> Socket {
        let mut socket = self.connect(&v1(&token(room), false)).expect("joined");
        let first = socket.message();
        assert!(
            matches!(first, Some(signal_response::Message::Join(_))),
            "{first:?}"
        );
        socket
    }

    fn get(&self, address: &str) -> Answer {
        socket::get(self.server.address(), address, &[])
    }
}

/// A token for a room that permits everything.
fn token(room: &str) -> String {
    token_of(json!({ "room": room, "roomJoin": true }))
}

fn token_of(grant: Value) -> String {
    let claims = json!({
        "iss": "key", "sub": "ann", "name": "Ann", "metadata": "m",
        "exp": unix_seconds() + 60, "video": grant,
    });
    signed(&claims, SECRET)
}

fn signed(claims: &Value, secret: &str) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key).expect("signed")
}

/// The newer generation's address, as LiveKit's JavaScript SDK writes it.
fn v1(token: &str, gzip: bool) -> String {
    let settings = ConnectionSettings {
        auto_subscribe: true,
        ..ConnectionSettings::default()
    };
    let request = JoinRequest {
        connection_settings: Some(settings),
        ..JoinRequest::default()
    };
    v1_with(token, &request, gzip)
}

fn v1_with(token: &str, request: &JoinRequest, gzip: bool) -> String {
    let request = encode_join_request(request, gzip).replace('=', "%3D");
    format!("/rtc/v1?access_token={token}&join_request={request}")
}
