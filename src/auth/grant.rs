//! LiveKit's `video` grant: what a token permits.

use hive_actors::livekit::proto::{ParticipantPermission, TrackSource};
use serde::{Deserialize, Serialize};

use super::lenient::{is_false, null_is_default, text};

/// LiveKit's `video` grant, whole. What of it HIVE has no use for (recording, ingress) is read and written all
/// the same, so that a token is not changed by passing through here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VideoGrant {
    /// May make and delete rooms.
    #[serde(skip_serializing_if = "is_false", deserialize_with = "null_is_default")]
    pub room_create: bool,
    /// May see which rooms there are.
    #[serde(skip_serializing_if = "is_false", deserialize_with = "null_is_default")]
    pub room_list: bool,
    /// May record rooms; HIVE does not.
    #[serde(skip_serializing_if = "is_false", deserialize_with = "null_is_default")]
    pub room_record: bool,
    /// May see and manage everybody in `room`.
    #[serde(skip_serializing_if = "is_false", deserialize_with = "null_is_default")]
    pub room_admin: bool,
    /// Whether the token lets its holder in at all.
    #[serde(skip_serializing_if = "is_false", deserialize_with = "null_is_default")]
    pub room_join: bool,
    /// The room that the token is for.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "text")]
    pub room: Option<String>,
    /// The room that participants may be forwarded or moved to; HIVE does neither.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "text")]
    pub destination_room: Option<String>,
    /// Whether they may publish; left out means yes, as in LiveKit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_publish: Option<bool>,
    /// Whether they may listen and read; left out means yes, as in LiveKit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_subscribe: Option<bool>,
    /// Whether they may send data; left out means whatever `can_publish` says, as in LiveKit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_publish_data: Option<bool>,
    /// The only sources that they may publish (`camera`, `microphone`, `screen_share`, `screen_share_audio`);
    /// empty means all.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub can_publish_sources: Vec<String>,
    /// Whether they may change their own name, metadata and attributes; left out means no.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_update_own_metadata: Option<bool>,
    /// May manage ingresses; HIVE has none.
    #[serde(skip_serializing_if = "is_false", deserialize_with = "null_is_default")]
    pub ingress_admin: bool,
    /// The others do not see them.
    #[serde(skip_serializing_if = "is_false", deserialize_with = "null_is_default")]
    pub hidden: bool,
    /// They record.
    #[serde(skip_serializing_if = "is_false", deserialize_with = "null_is_default")]
    pub recorder: bool,
    /// May register as a worker of the agents framework.
    #[serde(skip_serializing_if = "is_false", deserialize_with = "null_is_default")]
    pub agent: bool,
    /// Whether they may read the metrics of others; left out means no.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_subscribe_metrics: Option<bool>,
    /// Whether they may control an agent's session; left out means no.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_manage_agent_session: Option<bool>,
}

impl VideoGrant {
    /// Nothing is granted, and nothing said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// May publish something.
    pub fn may_publish(&self) -> bool {
        self.room_join && self.can_publish.unwrap_or(true)
    }

    /// May publish tracks of this source.
    pub fn may_publish_source(&self, source: TrackSource) -> bool {
        let sources = self.sources();
        self.may_publish() && (sources.is_empty() || sources.contains(&source))
    }

    /// May listen and read the events.
    pub fn may_subscribe(&self) -> bool {
        self.room_join && self.can_subscribe.unwrap_or(true)
    }

    /// May manage `room`: the grant is for one room.
    pub fn may_manage(&self, room: &str) -> bool {
        self.room_admin && !room.is_empty() && self.room.as_deref() == Some(room)
    }

    /// What LiveKit's clients are told of it.
    #[allow(
        deprecated,
        reason = "older clients know recorders and agents by these fields alone"
    )]
    pub fn permission(&self) -> ParticipantPermission {
        let can_publish = self.can_publish.unwrap_or(true);
        ParticipantPermission {
            can_subscribe: self.can_subscribe.unwrap_or(true),
            can_publish,
            can_publish_data: self.can_publish_data.unwrap_or(can_publish),
            can_publish_sources: self.sources().into_iter().map(i32::from).collect(),
            hidden: self.hidden,
            recorder: self.recorder,
            can_update_metadata: self.can_update_own_metadata.unwrap_or(false),
            agent: self.agent,
            can_subscribe_metrics: self.can_subscribe_metrics.unwrap_or(false),
            can_manage_agent_session: self.can_manage_agent_session.unwrap_or(false),
        }
    }

    /// Has the grant say what a participant may do, where it says something else.
    #[allow(
        deprecated,
        reason = "older clients know recorders and agents by these fields alone"
    )]
    pub fn permit(&mut self, permission: &ParticipantPermission) {
        if self.permission() == *permission {
            return;
        }
        let name = |source: &i32| {
            let source = TrackSource::try_from(*source).unwrap_or_default();
            source.as_str_name().to_ascii_lowercase()
        };
        self.can_subscribe = Some(permission.can_subscribe);
        self.can_publish = Some(permission.can_publish);
        self.can_publish_data = Some(permission.can_publish_data);
        self.can_publish_sources = permission.can_publish_sources.iter().map(name).collect();
        self.can_update_own_metadata = Some(permission.can_update_metadata);
        self.hidden = permission.hidden;
        self.recorder = permission.recorder;
        self.agent = permission.agent;
        self.can_subscribe_metrics = Some(permission.can_subscribe_metrics);
        self.can_manage_agent_session = Some(permission.can_manage_agent_session);
    }

    /// A source that is not known counts as `unknown`, as in LiveKit: it must not vanish, or a list of unknown
    /// ones would permit everything.
    fn sources(&self) -> Vec<TrackSource> {
        let known = |name: &String| TrackSource::from_str_name(&name.to_ascii_uppercase());
        self.can_publish_sources
            .iter()
            .map(|name| known(name).unwrap_or(TrackSource::Unknown))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(json: &str) -> VideoGrant {
        serde_json::from_str(json).expect("LiveKit's layout")
    }

    #[test]
    fn what_is_left_out_has_livekits_defaults() {
        let plain = grant(r#"{"roomJoin":true,"room":"r"}"#).permission();
        assert!(plain.can_publish && plain.can_subscribe && plain.can_publish_data);
        assert!(plain.can_publish_sources.is_empty(), "all of them");
        assert!(!plain.can_update_metadata && !plain.hidden && !plain.can_subscribe_metrics);
        let mute = grant(r#"{"canPublish":false}"#).permission();
        assert!(!mute.can_publish && !mute.can_publish_data && mute.can_subscribe);
        let types = grant(r#"{"canPublish":false,"canPublishData":true}"#).permission();
        assert!(!types.can_publish && types.can_publish_data);
    }

    #[test]
    fn a_grant_follows_a_permission_and_is_left_as_it_was_if_it_says_the_same() {
        let mut follows = grant(r#"{"roomJoin":true,"room":"r"}"#);
        let before = follows.clone();
        follows.permit(&before.permission());
        assert_eq!(follows, before);
        let mut permission = before.permission();
        permission.can_publish_sources = vec![TrackSource::ScreenShare.into()];
        permission.can_subscribe = false;
        permission.can_update_metadata = true;
        permission.hidden = true;
        follows.permit(&permission);
        assert_eq!(follows.permission(), permission);
        assert!(follows.room_join && follows.room == before.room);
    }

    #[test]
    fn sources_narrow_what_may_be_published() {
        let grant =
            grant(r#"{"roomJoin":true,"canPublishSources":["camera","screen_share_audio"]}"#);
        assert_eq!(
            grant.permission().can_publish_sources,
            [
                TrackSource::Camera as i32,
                TrackSource::ScreenShareAudio as i32
            ]
        );
        assert!(grant.may_publish_source(TrackSource::Camera));
        assert!(!grant.may_publish_source(TrackSource::Microphone));
        let odd = self::grant(r#"{"roomJoin":true,"canPublishSources":["hologram"]}"#);
        assert!(!odd.may_publish_source(TrackSource::Microphone));
        let none = self::grant(r#"{"roomJoin":true,"canPublish":false}"#);
        assert!(!none.may_publish_source(TrackSource::Microphone));
    }

    #[test]
    fn a_room_is_managed_with_its_own_grant_only() {
        let admin = grant(r#"{"roomAdmin":true,"room":"r"}"#);
        assert!(admin.may_manage("r") && !admin.may_manage("s"));
        assert!(!admin.may_publish(), "managing is not joining");
        assert!(!grant(r#"{"roomAdmin":true,"room":""}"#).may_manage(""));
        assert!(!grant(r#"{"roomJoin":true,"room":"r"}"#).may_manage("r"));
    }

    #[test]
    fn every_grant_of_livekit_is_read_and_written_back() {
        let all = serde_json::json!({
            "roomCreate": true, "roomList": true, "roomRecord": true, "roomAdmin": true,
            "roomJoin": true, "room": "r", "destinationRoom": "s", "canPublish": false,
            "canSubscribe": true, "canPublishData": true, "canPublishSources": ["microphone"],
            "canUpdateOwnMetadata": true, "ingressAdmin": true, "hidden": true, "recorder": true,
            "agent": true, "canSubscribeMetrics": true, "canManageAgentSession": true,
        });
        let grant: VideoGrant = serde_json::from_value(all.clone()).expect("all are known");
        assert_eq!(serde_json::to_value(&grant).expect("JSON"), all);
    }

    #[test]
    fn null_and_empty_say_nothing() {
        let odd = r#"{"roomJoin":null,"room":"","canPublish":null,"canPublishSources":null,"hidden":null}"#;
        assert_eq!(grant(odd), VideoGrant::default());
    }
}
