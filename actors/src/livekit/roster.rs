//! Who is in a room and what they publish, as LiveKit's clients see it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use hive_media::{MediaKind, PeerId, TrackId};

use super::interpreter::Interpreter;
use super::proto::{self, participant_info};
use super::sid;
use crate::room::RoomState;

/// What others know of a participant besides their tracks.
#[derive(Clone, Debug)]
pub(crate) struct Profile {
    pub(crate) sid: Arc<str>,
    pub(crate) metadata: String,
    pub(crate) attributes: HashMap<String, String>,
    pub(crate) permission: proto::ParticipantPermission,
    pub(crate) kind: participant_info::Kind,
    pub(crate) state: participant_info::State,
    /// Unix milliseconds.
    pub(crate) joined_ms: i64,
    pub(crate) client_protocol: i32,
    /// Grows with every change that others should know of.
    pub(crate) version: u32,
}

/// A published track.
#[derive(Clone, Debug)]
pub(crate) struct Publication {
    pub(crate) info: proto::TrackInfo,
    pub(crate) track: TrackId,
    pub(crate) peer: PeerId,
    pub(crate) kind: MediaKind,
    /// Whether anybody was subscribed to it so far.
    pub(crate) subscribed: bool,
}

/// What is true of a room besides its participants.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RoomProfile {
    pub(crate) sid: Arc<str>,
    pub(crate) metadata: String,
    /// Unix milliseconds.
    pub(crate) created_ms: i64,
    /// Time until a room closes to which nobody came.
    pub(crate) empty_timeout: Duration,
    /// Time until it closes after everybody left.
    pub(crate) departure_timeout: Duration,
    /// 0 for the server's own limit.
    pub(crate) max_participants: u32,
    /// Grows with every change.
    pub(crate) version: u32,
}

impl Default for Profile {
    fn default() -> Self {
        Profile {
            sid: sid::participant(),
            metadata: String::new(),
            attributes: HashMap::new(),
            permission: proto::ParticipantPermission {
                can_subscribe: true,
                can_publish: true,
                ..Default::default()
            },
            kind: participant_info::Kind::Standard,
            state: participant_info::State::Active,
            joined_ms: now_ms(),
            client_protocol: 0,
            version: 1,
        }
    }
}

impl Default for RoomProfile {
    fn default() -> Self {
        RoomProfile {
            sid: sid::room(),
            metadata: String::new(),
            created_ms: now_ms(),
            empty_timeout: Duration::ZERO,
            departure_timeout: Duration::ZERO,
            max_participants: 0,
            version: 1,
        }
    }
}

/// Whole seconds, as the protocol has them.
fn seconds(time: Duration) -> u32 {
    time.as_secs_f64().ceil() as u32
}

/// Milliseconds of the Unix epoch.
pub(crate) fn now_ms() -> i64 {
    crate::events::unix_ms(std::time::SystemTime::now()) as i64
}

impl Publication {
    /// The microphone of somebody who is not here with a client of LiveKit's, and its sid.
    pub(crate) fn microphone(peer: PeerId, track: TrackId) -> (Arc<str>, Publication) {
        let sid = sid::track();
        let info = proto::TrackInfo {
            sid: sid.to_string(),
            r#type: proto::TrackType::Audio.into(),
            name: "microphone".to_owned(),
            source: proto::TrackSource::Microphone.into(),
            mime_type: "audio/opus".to_owned(),
            stream: "camera".to_owned(),
            disable_red: true,
            ..Default::default()
        };
        let publication = Publication {
            info,
            track,
            peer,
            kind: MediaKind::Audio,
            subscribed: false,
        };
        (sid, publication)
    }
}

impl RoomState {
    /// What a client is told of the room.
    pub(crate) fn view(&self, name: &str) -> proto::Room {
        let profile = &self.profile;
        let count = |publishers: bool| {
            let visible = self.present().filter(|(_, who)| {
                !who.profile.permission.hidden && (!publishers || !who.publications.is_empty())
            });
            visible.count() as u32
        };
        proto::Room {
            sid: profile.sid.to_string(),
            name: name.to_owned(),
            empty_timeout: seconds(profile.empty_timeout),
            departure_timeout: seconds(profile.departure_timeout),
            max_participants: profile.max_participants,
            creation_time: profile.created_ms / 1000,
            creation_time_ms: profile.created_ms,
            metadata: profile.metadata.clone(),
            num_participants: count(false),
            num_publishers: count(true),
            ..Default::default()
        }
    }

    /// Everybody who is here, the interpreter among them.
    pub(crate) fn everybody(&self) -> impl Iterator<Item = Visible<'_>> {
        let people = self.present().map(|(identity, who)| who.seen(identity));
        people.chain(self.interpreter.iter().map(Interpreter::seen))
    }

    /// Everybody whom others may see.
    pub(crate) fn visible(&self) -> impl Iterator<Item = Visible<'_>> {
        self.everybody()
            .filter(|who| !who.profile.permission.hidden)
    }

    /// Every published track, and whose it is.
    pub(crate) fn publications(&self) -> impl Iterator<Item = (Visible<'_>, &Publication)> {
        self.everybody()
            .flat_map(|who| who.publications.values().map(move |it| (who, it)))
    }

    /// The publication of a sid, and whose it is.
    pub(crate) fn publication(&self, sid: &str) -> Option<(Visible<'_>, &Publication)> {
        self.publications().find(|(_, it)| it.info.sid == sid)
    }

    /// The participant whose stay has this sid.
    pub(crate) fn by_sid(&self, sid: &str) -> Option<Visible<'_>> {
        self.everybody().find(|who| *who.profile.sid == *sid)
    }
}

/// A participant as others see them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visible<'a> {
    pub(crate) identity: &'a Arc<str>,
    pub(crate) name: Option<&'a str>,
    pub(crate) profile: &'a Profile,
    pub(crate) publications: &'a BTreeMap<Arc<str>, Publication>,
}

impl Visible<'_> {
    /// What a client is told of them.
    pub(crate) fn view(&self) -> proto::ParticipantInfo {
        let Visible {
            identity,
            name,
            profile,
            publications,
        } = *self;
        proto::ParticipantInfo {
            sid: profile.sid.to_string(),
            identity: identity.to_string(),
            state: profile.state.into(),
            tracks: publications.values().map(|it| it.info.clone()).collect(),
            metadata: profile.metadata.clone(),
            joined_at: profile.joined_ms / 1000,
            joined_at_ms: profile.joined_ms,
            name: name.unwrap_or_default().to_owned(),
            version: profile.version,
            permission: Some(profile.permission.clone()),
            is_publisher: !publications.is_empty(),
            kind: profile.kind.into(),
            attributes: profile.attributes.clone(),
            client_protocol: profile.client_protocol,
            ..Default::default()
        }
    }
}
