//! What is true of a room. It outlives the room's actors, which make the tree fit it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use hive_media::{PeerId, RoomId};
use hive_models::Lang;
use parking_lot::Mutex;

use super::{LastWords, Publishing};
use crate::channel::Channel;
use crate::events::EventBus;
use crate::events::schema::{EventBody, ParticipantInfo, Participants, ParticipantsKind};
use crate::livekit::departed::Departed;
use crate::livekit::interpreter::Interpreter;
use crate::livekit::language::{Languages, RoomLanguages};
use crate::livekit::member::Member;
use crate::livekit::proto::ConnectionQuality;
use crate::livekit::roster::{Profile, Publication, RoomProfile, Visible};
use crate::pipeline::bell::{Bell, Ears};
use crate::service::{SessionError, SessionId, Wants};

/// A room.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) name: Arc<str>,
    pub(crate) id: RoomId,
    /// Index of the media worker that the room is pinned to.
    pub(crate) worker: usize,
    pub(crate) bus: Arc<EventBus>,
    pub(crate) state: Mutex<RoomState>,
    bell: Bell,
    pub(crate) ears: Ears,
    voices_bell: Bell,
    /// Where the interpreter's voices hear that they have something to say.
    pub(crate) voices_ears: Ears,
}

/// The changing part of a room.
#[derive(Debug, Default)]
pub(crate) struct RoomState {
    pub(crate) participants: BTreeMap<Arc<str>, Participant>,
    pub(crate) channels: BTreeMap<Lang, Arc<Channel>>,
    /// What each event subscription wants.
    pub(super) wants: BTreeMap<u64, Wants>,
    next_subscription: u64,
    /// How many utterances each identity that is here has made.
    pub(super) numbering: BTreeMap<Arc<str>, Arc<AtomicU64>>,
    /// The most that one who is gone had made.
    pub(super) numbered: u64,
    /// What LiveKit's clients are told of the room.
    pub(crate) profile: RoomProfile,
    /// What the room's metadata asks of HIVE.
    pub(crate) asks: RoomLanguages,
    /// Those who went.
    pub(crate) departed: Departed,
    /// The participant that publishes the voices, once there are any.
    pub(crate) interpreter: Option<Interpreter>,
    /// What says in a language what one speaker says, for LiveKit's clients.
    pub(crate) voices: BTreeMap<(Lang, Arc<str>), Arc<Channel>>,
    /// Who speaks, by sid, as clients were told last.
    pub(crate) speaking: HashMap<Arc<str>, f32>,
    /// When that was.
    pub(crate) speaking_told: Option<Instant>,
    /// How well members are connected, by sid, as clients were told last.
    pub(crate) quality: HashMap<Arc<str>, ConnectionQuality>,
    /// Since when nobody is here.
    pub(crate) empty_since: Option<Instant>,
    /// Whether anybody was here yet.
    visited: bool,
    /// Whether the room is on its way out and takes nobody.
    pub(crate) closed: bool,
}

/// Somebody in a room.
#[derive(Debug)]
pub(crate) struct Participant {
    pub(crate) name: Option<String>,
    /// Whether the others were told that they came.
    pub(crate) joined: bool,
    /// Whether webhooks were told that they came. LiveKit's clients have come once media can flow.
    pub(crate) announced: bool,
    pub(crate) publishing: Option<Publishing>,
    /// When `publishing` ended, if it did: what they said last is still interpreted.
    pub(crate) hung_up: Option<Instant>,
    /// The microphone before `publishing`, while it is still interpreted.
    pub(crate) last_words: Option<LastWords>,
    pub(crate) listening: BTreeMap<PeerId, Listening>,
    /// What others know of them.
    pub(crate) profile: Profile,
    /// What their attributes say of languages.
    pub(crate) languages: Languages,
    /// What they publish, by sid.
    pub(crate) publications: BTreeMap<Arc<str>, Publication>,
    /// Their connection, if they are here with a client of LiveKit's.
    pub(crate) member: Option<Arc<Member>>,
    /// When they were heard to speak last.
    pub(crate) spoke: Option<Instant>,
    /// The microphone (or none) for which the participant's actors were started, if they were.
    pub(crate) started: Option<Option<SessionId>>,
    bell: Bell,
    pub(crate) ears: Ears,
}

/// One of a participant's ears.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listening {
    /// The language, or the floor as it is.
    pub(crate) lang: Option<Lang>,
}

impl Room {
    pub(crate) fn new(name: Arc<str>, id: RoomId, worker: usize, now: Instant) -> Self {
        let (bell, ears) = Bell::new("room");
        let (voices_bell, voices_ears) = Bell::new("voices");
        let state = RoomState {
            empty_since: Some(now),
            ..RoomState::default()
        };
        let bus = Arc::new(EventBus::new(name.clone()));
        Room {
            name,
            id,
            worker,
            bus,
            state: Mutex::new(state),
            bell,
            ears,
            voices_bell,
            voices_ears,
        }
    }

    /// What wakes the interpreter's voices.
    pub(crate) fn voices_bell(&self) -> Bell {
        self.voices_bell.clone()
    }

    /// Has the room's actors look at what changed.
    pub(crate) fn changed(&self) {
        self.bell.ring();
    }

    /// Counts an event subscription in. Its number is for [`Room::unsubscribe`]; there is none if the
    /// room is being closed.
    pub(crate) fn subscribe(&self, wants: Wants) -> Option<u64> {
        let number = {
            let mut state = self.state.lock();
            if state.closed {
                return None;
            }
            let number = state.next_subscription;
            state.next_subscription += 1;
            state.wants.insert(number, wants);
            state.empty_since = None;
            number
        };
        self.changed();
        Some(number)
    }

    /// Counts an event subscription out.
    pub(crate) fn unsubscribe(&self, number: u64) {
        {
            let mut state = self.state.lock();
            state.wants.remove(&number);
            state.note_if_empty();
        }
        self.changed();
    }

    /// Tells everybody that participants came or went.
    pub(crate) fn tell(&self, kind: ParticipantsKind, participants: Vec<ParticipantInfo>) {
        self.bus
            .emit(EventBody::Participants(Participants { kind, participants }));
    }

    /// Has every client of LiveKit's told what changed, and the room's actors look at it.
    pub(crate) fn roster_changed(&self) {
        for member in self.members() {
            member.changed();
        }
        self.changed();
    }

    /// Those who are here with a client of LiveKit's.
    pub(crate) fn members(&self) -> Vec<Arc<Member>> {
        self.state.lock().members().cloned().collect()
    }
}

impl RoomState {
    /// The participant of this identity, made if it is not there.
    pub(crate) fn participant(
        &mut self,
        identity: &Arc<str>,
        name: Option<String>,
    ) -> &mut Participant {
        self.empty_since = None;
        self.visited = true;
        let participant = self
            .participants
            .entry(identity.clone())
            .or_insert_with(Participant::new);
        if name.is_some() {
            participant.name = name;
        }
        participant
    }

    /// Whether one more may come: the room's own limit counts, up to the server's.
    pub(crate) fn check_place(&self, max: usize, identity: &Arc<str>) -> Result<(), SessionError> {
        let max = match self.profile.max_participants {
            0 => max,
            own => max.min(own as usize),
        };
        let others = self.present().filter(|(who, _)| *who != identity).count();
        if others >= max {
            return Err(SessionError::RoomFull { max });
        }
        Ok(())
    }

    /// Those who have a session.
    pub(crate) fn present(&self) -> impl Iterator<Item = (&Arc<str>, &Participant)> {
        self.participants
            .iter()
            .filter(|(_, participant)| !participant.is_gone())
    }

    /// Somebody who has a session. One who has none may still be known, for their last words.
    pub(crate) fn present_mut(&mut self, identity: &str) -> Option<&mut Participant> {
        self.participants
            .get_mut(identity)
            .filter(|participant| !participant.is_gone())
    }

    /// Those who are here with a client of LiveKit's.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Arc<Member>> {
        self.participants
            .values()
            .filter_map(|participant| participant.member.as_ref())
    }

    /// Who is here.
    pub(crate) fn infos(&self) -> Vec<ParticipantInfo> {
        self.present()
            .map(|(identity, participant)| participant.info(identity))
            .collect()
    }

    /// How long the room may be empty.
    pub(crate) fn timeout(&self) -> Duration {
        match self.visited {
            true => self.profile.departure_timeout,
            false => self.profile.empty_timeout,
        }
    }

    /// Starts the clock of an empty room.
    pub(crate) fn note_if_empty(&mut self) {
        if self.participants.is_empty() && self.wants.is_empty() {
            self.empty_since.get_or_insert_with(Instant::now);
        }
    }

    /// Whether somebody in the room speaks a language.
    pub(crate) fn is_spoken(&self, lang: Lang) -> bool {
        let speaks = |participant: &Participant| {
            let publishing = participant.publishing.as_ref();
            participant.is_publishing()
                && publishing.is_some_and(|p| p.journal.speaker().lang == lang)
        };
        self.participants.values().any(speaks)
    }
}

impl Participant {
    fn new() -> Self {
        let (bell, ears) = Bell::new("participant");
        Participant {
            name: None,
            joined: false,
            announced: false,
            publishing: None,
            hung_up: None,
            last_words: None,
            listening: BTreeMap::new(),
            profile: Profile::default(),
            languages: Languages::default(),
            publications: BTreeMap::new(),
            member: None,
            spoke: None,
            started: None,
            bell,
            ears,
        }
    }

    /// Has the participant's actors look at what changed.
    pub(crate) fn changed(&self) {
        self.bell.ring();
        if let Some(former) = &self.last_words {
            former.bell.ring();
        }
    }

    /// Whether they speak now.
    pub(crate) fn is_publishing(&self) -> bool {
        self.publishing.is_some() && self.hung_up.is_none()
    }

    /// Whether no session is left.
    pub(crate) fn is_gone(&self) -> bool {
        !self.is_publishing() && self.listening.is_empty() && self.member.is_none()
    }

    /// As others see them.
    pub(crate) fn seen<'a>(&'a self, identity: &'a Arc<str>) -> Visible<'a> {
        Visible {
            identity,
            name: self.name.as_deref(),
            profile: &self.profile,
            publications: &self.publications,
        }
    }

    /// What others may know.
    pub(crate) fn info(&self, identity: &Arc<str>) -> ParticipantInfo {
        let speaks = self
            .publishing
            .as_ref()
            .map(|publishing| publishing.journal.speaker().lang);
        let hears = self.listening.values().find_map(|listening| listening.lang);
        ParticipantInfo {
            identity: identity.clone(),
            name: self.name.clone(),
            publishing: self.is_publishing(),
            lang: speaks.or(hears).map(|lang| lang.to_string()),
        }
    }
}
