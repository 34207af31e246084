//! What a client says of itself before it has a WebSocket: the query of `/rtc` and `/rtc/v1`.

use std::collections::HashMap;

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use hive_actors::livekit::{
    JoinRequest, ResumeRequest, Topology,
    proto::{self, ClientInfo, client_info::Sdk},
};
use serde::Deserialize;

use super::{DecodeJoinError, decode_join_request, grants};
use crate::{
    auth::Claims,
    http::problem::{Problem, ProblemKind},
};

const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Both generations' query; what is left out is empty. It has no `Debug`: it holds a token.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Query {
    /// Browsers cannot set headers on a WebSocket, so the token may stand here.
    pub(super) access_token: Option<String>,
    /// The room, if the client says it beside its token.
    pub(super) room: Option<String>,
    join_request: String,
    // The rest is the older generation's.
    reconnect: String,
    sid: String,
    auto_subscribe: String,
    attributes: String,
    sdk: String,
    version: String,
    protocol: String,
    client_protocol: String,
    os: String,
    os_version: String,
    device_model: String,
    browser: String,
    browser_version: String,
    network: String,
}

/// What a client wants.
#[derive(Debug)]
pub(super) enum Asked {
    Join(Box<JoinRequest>),
    Resume(Box<ResumeRequest>),
}

impl From<DecodeJoinError> for Problem {
    fn from(error: DecodeJoinError) -> Self {
        ProblemKind::BadRequest.because(error)
    }
}

impl Query {
    /// What the holder of a token with `claims` for `room` asks for. An older client that sends a
    /// `join_request` all the same speaks as a newer one.
    pub(super) fn asked(
        &self,
        topology: Topology,
        claims: &Claims,
        room: String,
    ) -> Result<Asked, Problem> {
        if !self.join_request.is_empty() {
            let request = decode_join_request(&self.join_request)?;
            return with_join_request(request, claims, room);
        }
        match topology {
            Topology::Single => Err(ProblemKind::BadRequest
                .because("join_request is missing; without it use /rtc, the older address")),
            Topology::PublisherAndSubscriber => self.without_join_request(claims, room),
        }
    }

    fn without_join_request(&self, claims: &Claims, room: String) -> Result<Asked, Problem> {
        if truth(&self.reconnect) {
            return Ok(Asked::Resume(Box::new(ResumeRequest {
                room,
                identity: grants::identity(claims),
                participant_sid: self.sid.clone(),
                sync_state: None,
                offer: None,
            })));
        }
        let mut request = of_claims(claims, room);
        add_attributes(&mut request, self.attributes()?)?;
        request.topology = Topology::PublisherAndSubscriber;
        request.auto_subscribe = self.auto_subscribe.is_empty() || truth(&self.auto_subscribe);
        request.client = self.client();
        Ok(Asked::Join(Box::new(request)))
    }

    /// A JSON object in base64url.
    fn attributes(&self) -> Result<HashMap<String, String>, Problem> {
        if self.attributes.is_empty() {
            return Ok(HashMap::new());
        }
        let json = BASE64URL.decode(&self.attributes).map_err(|error| {
            ProblemKind::BadRequest.because(format!("attributes is not base64url: {error}"))
        })?;
        serde_json::from_slice(&json).map_err(|error| {
            ProblemKind::BadRequest
                .because(format!("attributes is no JSON object of strings: {error}"))
        })
    }

    fn client(&self) -> ClientInfo {
        ClientInfo {
            sdk: sdk(&self.sdk).into(),
            version: self.version.clone(),
            protocol: self.protocol.parse().unwrap_or_default(),
            client_protocol: self.client_protocol.parse().unwrap_or_default(),
            os: self.os.clone(),
            os_version: self.os_version.clone(),
            device_model: self.device_model.clone(),
            browser: self.browser.clone(),
            browser_version: self.browser_version.clone(),
            network: self.network.clone(),
            ..ClientInfo::default()
        }
    }
}

fn with_join_request(
    asked: proto::JoinRequest,
    claims: &Claims,
    room: String,
) -> Result<Asked, Problem> {
    if asked.reconnect {
        return Ok(Asked::Resume(Box::new(ResumeRequest {
            room,
            identity: grants::identity(claims),
            participant_sid: asked.participant_sid,
            sync_state: asked.sync_state,
            offer: asked.publisher_offer,
        })));
    }
    let mut request = of_claims(claims, room);
    if !asked.metadata.is_empty() {
        may_describe_itself(&request)?;
        request.metadata = asked.metadata;
    }
    add_attributes(&mut request, asked.participant_attributes)?;
    let settings = asked.connection_settings.unwrap_or_default();
    request.auto_subscribe = settings.auto_subscribe;
    request.offer = asked.publisher_offer;
    request.add_tracks = asked.add_track_requests;
    request.client = asked.client_info.unwrap_or_default();
    Ok(Asked::Join(Box::new(request)))
}

/// What the token says.
fn of_claims(claims: &Claims, room: String) -> JoinRequest {
    JoinRequest {
        room,
        identity: grants::identity(claims),
        name: claims.name.clone().unwrap_or_default(),
        metadata: claims.metadata.clone().unwrap_or_default(),
        attributes: grants::attributes(claims),
        permission: grants::permission(claims),
        kind: grants::kind(claims),
        topology: Topology::Single,
        offer: None,
        add_tracks: Vec::new(),
        auto_subscribe: true,
        client: ClientInfo::default(),
        room_config: grants::room_config(claims),
    }
}

/// The client's own attributes beside the token's. Like LiveKit's, an empty one deletes nothing.
fn add_attributes(
    request: &mut JoinRequest,
    attributes: HashMap<String, String>,
) -> Result<(), Problem> {
    if !attributes.is_empty() {
        may_describe_itself(request)?;
    }
    let set = attributes
        .into_iter()
        .filter(|(_, value)| !value.is_empty());
    request.attributes.extend(set);
    Ok(())
}

fn may_describe_itself(request: &JoinRequest) -> Result<(), Problem> {
    if request.permission.can_update_metadata {
        Ok(())
    } else {
        Err(ProblemKind::NotPermitted.because(
            "metadata and attributes are the token's: its video grant lacks canUpdateOwnMetadata",
        ))
    }
}

fn truth(text: &str) -> bool {
    text == "1" || text == "true"
}

fn sdk(name: &str) -> Sdk {
    match name {
        "js" => Sdk::Js,
        "ios" | "swift" => Sdk::Swift,
        "android" => Sdk::Android,
        "flutter" => Sdk::Flutter,
        "go" => Sdk::Go,
        "unity" => Sdk::Unity,
        "reactnative" => Sdk::ReactNative,
        "rust" => Sdk::Rust,
        "python" => Sdk::Python,
        "cpp" => Sdk::Cpp,
        "unityweb" => Sdk::UnityWeb,
        "node" => Sdk::Node,
        "esp32" => Sdk::Esp32,
        _ => Sdk::Unknown,
    }
}
