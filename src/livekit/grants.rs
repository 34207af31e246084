//! What a token says of the participant, in the protocol's types.

use std::collections::HashMap;

use hive_actors::livekit::proto::{
    ParticipantInfo, ParticipantPermission, RoomConfiguration, participant_info,
};

use crate::auth::Claims;

/// Who they are; empty for a token that is not for joining, which is refused before.
pub(super) fn identity(claims: &Claims) -> String {
    claims
        .sub
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default()
}

/// What its holder may do in the room.
pub(super) fn permission(claims: &Claims) -> ParticipantPermission {
    claims.video.permission()
}

/// What the application attached, key by key.
pub(super) fn attributes(claims: &Claims) -> HashMap<String, String> {
    claims.attributes.clone().into_iter().collect()
}

/// Person, agent or machine.
pub(super) fn kind(claims: &Claims) -> participant_info::Kind {
    claims.participant_kind()
}

/// What a room that its holder makes by joining should be like.
pub(super) fn room_config(claims: &Claims) -> Option<RoomConfiguration> {
    claims.room_config.clone()
}

/// The claims of a participant as it is by now.
pub(super) fn of_participant(claims: &Claims, who: &ParticipantInfo) -> Claims {
    let text = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    let mut claims = Claims {
        name: text(&who.name),
        metadata: text(&who.metadata),
        attributes: who.attributes.clone().into_iter().collect(),
        ..claims.clone()
    };
    if let Some(permission) = &who.permission {
        claims.video.permit(permission);
    }
    claims
}
