//! What a token says of the participant, in the protocol's types.

use std::collections::HashMap;

use hive_actors::livekit::proto::{ParticipantPermission, RoomConfiguration, participant_info};

use crate::auth::Claims;

/// What its holder may do in the room.
pub(super) fn permission(claims: &Claims) -> ParticipantPermission {
    ParticipantPermission {
        can_subscribe: claims.video.may_subscribe(),
        can_publish: claims.video.may_publish(),
        // Like LiveKit's default: who may publish tracks may publish data.
        can_publish_data: claims.video.may_publish(),
        ..ParticipantPermission::default()
    }
}

/// What the application attached, key by key.
pub(super) fn attributes(_: &Claims) -> HashMap<String, String> {
    HashMap::new()
}

/// Person, agent or machine.
pub(super) fn kind(_: &Claims) -> participant_info::Kind {
    participant_info::Kind::Standard
}

/// What a room that its holder makes by joining should be like.
pub(super) fn room_config(_: &Claims) -> Option<RoomConfiguration> {
    None
}
