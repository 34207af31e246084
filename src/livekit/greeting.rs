//! What the front door adds to the first message: what it alone knows of itself.

use std::time::Duration;

use hive_actors::livekit::proto::{
    Codec, IceServer, ServerInfo, server_info::Edition, signal_response,
};

use crate::{auth::unix_seconds, http::app::Door};

/// The version of LiveKit's server whose protocol is spoken here. SDKs compare it as three numbers and
/// expect nothing after them (1.8.0 is the first with RPC), so HIVE's own goes into the debug info.
const SERVER_VERSION: &str = "1.9.0";

/// The signalling protocol.
const PROTOCOL: i32 = 16;

/// What the server forwards, as media types.
const CODECS: [&str; 6] = [
    "audio/opus",
    "video/VP8",
    "video/H264",
    "video/VP9",
    "video/AV1",
    "video/rtx",
];

/// Completes a `Join` or `Reconnect` for `identity`.
pub(super) fn greet(door: &Door, identity: &str, message: &mut signal_response::Message) {
    match message {
        signal_response::Message::Join(join) => {
            join.server_version = SERVER_VERSION.to_owned();
            join.server_info = Some(server_info());
            join.ice_servers = ice_servers(door, identity);
            join.ping_interval = seconds(door.http.signal.ping_interval);
            join.ping_timeout = seconds(door.http.signal.ping_timeout);
            if join.enabled_publish_codecs.is_empty() {
                join.enabled_publish_codecs = codecs();
            }
        }
        signal_response::Message::Reconnect(reconnect) => {
            reconnect.server_info = Some(server_info());
            reconnect.ice_servers = ice_servers(door, identity);
        }
        _ => {}
    }
}

/// The TURN and STUN servers, with credentials for `identity`.
fn ice_servers(door: &Door, identity: &str) -> Vec<IceServer> {
    let servers = door.ice_servers.for_identity(identity, unix_seconds());
    let told = servers.into_iter().map(|server| IceServer {
        urls: server.urls,
        username: server.username,
        credential: server.credential.expose().to_owned(),
    });
    told.collect()
}

fn server_info() -> ServerInfo {
    ServerInfo {
        edition: Edition::Standard.into(),
        version: SERVER_VERSION.to_owned(),
        protocol: PROTOCOL,
        debug_info: concat!("hive ", env!("CARGO_PKG_VERSION")).to_owned(),
        ..ServerInfo::default()
    }
}

fn codecs() -> Vec<Codec> {
    let codec = |mime: &str| Codec {
        mime: mime.to_owned(),
        fmtp_line: String::new(),
    };
    CODECS.into_iter().map(codec).collect()
}

fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}
