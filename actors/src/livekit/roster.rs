//! Who is in a room and what they publish, as LiveKit's clients see it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hive_media::{MediaKind, PeerId, TrackId};

use super::interpreter::Interpreter;
use super::proto::{self, participant_info};
use super::sid;
use crate::room::RoomState;

/// How often clients are told of how many are in the room (as often as by LiveKit).
const COUNTS_INTERVAL: Duration = Duration::from_secs(5);

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
    /// How many are here and how many publish, as clients were told last of these alone, and when.
    pub(crate) counted: ((u32, u32), Option<Instant>),
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
            counted: ((0, 0), None),
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
        let (num_participants, num_publishers) = self.counts();
        proto::Room {
            sid: profile.sid.to_string(),
            name: name.to_owned(),
            empty_timeout: seconds(profile.empty_timeout),
            departure_timeout: seconds(profile.departure_timeout),
            max_participants: profile.max_participants,
            creation_time: profile.created_ms / 1000,
            creation_time_ms: profile.created_ms,
            metadata: profile.metadata.clone(),
            num_participants,
            num_publishers,
            ..Default::default()
        }
    }

    /// How many others may see, and how many of them publish.
    fn counts(&self) -> (u32, u32) {
        let mut counts = (0, 0);
        for (_, who) in self.present() {
            if !who.profile.permission.hidden {
                counts.0 += 1;
                counts.1 += u32::from(!who.publications.is_empty());
            }
        }
        counts
    }

    /// Whether clients have to be told of the room again because people came, went or publish: now and
    /// then, as each of them changes it.
    pub(crate) fn recount(&mut self, now: Instant) -> bool {
        let counts = self.counts();
        let (told, at) = self.profile.counted;
        let recent = at.is_some_and(|at| now.saturating_duration_since(at) < COUNTS_INTERVAL);
        if counts == told || recent {
            return false;
        }
        self.profile.counted = (counts, Some(now));
        self.profile.version += 1;
        true
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
        self.everybody()
            .find_map(|who| Some((who, who.publications.get(sid)?)))
    }

    /// The sids of all published tracks.
    pub(crate) fn track_sids(&self) -> HashSet<&str> {
        let all = self.publications();
        all.map(|(_, it)| it.info.sid.as_str()).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::room::Listening;

    #[test]
    fn clients_are_told_how_many_are_here_now_and_then() {
        let mut state = RoomState::default();
        let start = Instant::now();
        assert!(!state.recount(start), "nobody is here");
        let come = |state: &mut RoomState, who: &str, peer| {
            let participant = state.participant(&who.into(), None);
            let listening = Listening { lang: None };
            participant.listening.insert(PeerId(peer), listening);
        };
        come(&mut state, "ann", 1);
        assert!(state.recount(start));
        assert!(!state.recount(start + COUNTS_INTERVAL), "nothing changed");
        come(&mut state, "bob", 2);
        assert!(state.recount(start + COUNTS_INTERVAL));
        come(&mut state, "eve", 3);
        assert!(!state.recount(start + COUNTS_INTERVAL * 3 / 2), "too early");
        let version = state.profile.version;
        assert!(state.recount(start + COUNTS_INTERVAL * 2));
        assert_eq!(state.profile.version, version + 1);
        assert_eq!(state.view("demo").num_participants, 3);
    }
}
