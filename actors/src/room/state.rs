//! What is true of a room. It outlives the room's actors, which make the tree fit it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use hive_media::{PeerId, RoomId};
use hive_models::Lang;
use parking_lot::Mutex;

use super::Demand;
use crate::channel::Channel;
use crate::events::EventBus;
use crate::events::schema::{EventBody, ParticipantInfo, Participants, ParticipantsKind};
use crate::pipeline::bell::{Bell, Ears};
use crate::pipeline::journal::Journal;
use crate::service::{SessionId, Wants};

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
}

/// The changing part of a room.
#[derive(Debug, Default)]
pub(crate) struct RoomState {
    pub(crate) participants: BTreeMap<Arc<str>, Participant>,
    pub(crate) channels: BTreeMap<Lang, Arc<Channel>>,
    /// What each event subscription wants.
    wants: BTreeMap<u64, Wants>,
    next_subscription: u64,
    /// Since when nobody is here.
    pub(crate) empty_since: Option<Instant>,
    /// Whether the room is on its way out and takes nobody.
    pub(crate) closed: bool,
}

/// Somebody in a room.
#[derive(Debug)]
pub(crate) struct Participant {
    pub(crate) name: Option<String>,
    pub(crate) publishing: Option<Publishing>,
    pub(crate) listening: BTreeMap<PeerId, Listening>,
    /// The microphone (or none) for which the participant's actors were started, if they were.
    pub(crate) started: Option<Option<PeerId>>,
    bell: Bell,
    pub(crate) ears: Ears,
}

/// A participant's microphone.
#[derive(Clone, Debug)]
pub(crate) struct Publishing {
    pub(crate) session: SessionId,
    pub(crate) peer: PeerId,
    pub(crate) journal: Arc<Journal>,
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
        }
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
}

impl RoomState {
    /// What is wanted of the speakers.
    pub(crate) fn demand(&self) -> Demand {
        let heard = self
            .participants
            .values()
            .flat_map(|p| p.listening.values())
            .filter_map(|l| l.lang);
        let mut demand = Demand {
            heard: heard.collect(),
            ..Demand::default()
        };
        for wants in self.wants.values() {
            demand.captions |= wants.captions;
            demand.read.extend(wants.langs.iter().copied());
        }
        demand
    }

    /// The participant of this identity, made if it is not there.
    pub(crate) fn participant(
        &mut self,
        identity: &Arc<str>,
        name: Option<String>,
    ) -> &mut Participant {
        self.empty_since = None;
        let participant = self
            .participants
            .entry(identity.clone())
            .or_insert_with(Participant::new);
        if name.is_some() {
            participant.name = name;
        }
        participant
    }

    /// Who is here.
    pub(crate) fn infos(&self) -> Vec<ParticipantInfo> {
        self.participants
            .iter()
            .map(|(identity, participant)| participant.info(identity))
            .collect()
    }

    /// Starts the clock of an empty room.
    pub(crate) fn note_if_empty(&mut self) {
        if self.participants.is_empty() && self.wants.is_empty() {
            self.empty_since.get_or_insert_with(Instant::now);
        }
    }

    /// Whether somebody in the room speaks a language.
    pub(crate) fn is_spoken(&self, lang: Lang) -> bool {
        let publishing = self
            .participants
            .values()
            .filter_map(|p| p.publishing.as_ref());
        publishing
            .into_iter()
            .any(|publishing| publishing.journal.speaker().lang == lang)
    }
}

impl Participant {
    fn new() -> Self {
        let (bell, ears) = Bell::new("participant");
        Participant {
            name: None,
            publishing: None,
            listening: BTreeMap::new(),
            started: None,
            bell,
            ears,
        }
    }

    /// Has the participant's actor look at what changed.
    pub(crate) fn changed(&self) {
        self.bell.ring();
    }

    /// Whether any session is left.
    pub(crate) fn is_gone(&self) -> bool {
        self.publishing.is_none() && self.listening.is_empty()
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
            publishing: self.publishing.is_some(),
            lang: speaks.or(hears).map(|lang| lang.to_string()),
        }
    }
}
