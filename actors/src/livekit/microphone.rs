//! The microphone among a participant's tracks, which is interpreted.

use std::sync::Arc;
use std::time::Instant;

use hive_media::{MediaKind, TrackId};
use hive_models::Lang;

use super::language::Languages;
use super::member::Member;
use super::proto::{self, TrackSource};
use crate::hall::Hall;
use crate::pipeline::journal::{Journal, Speaker};
use crate::room::{Participant, Publishing, Room};
use crate::service::SessionId;

impl Hall {
    /// Has a participant's microphone listened to, in the language that they speak now, or not any
    /// more.
    pub(crate) fn fit_microphone(&self, room: &Arc<Room>, identity: &Arc<str>) {
        let mut state = room.state.lock();
        let default = state.asks.speaks;
        let Some(participant) = state.participants.get(identity) else {
            return;
        };
        let Some(member) = participant.member.clone() else {
            return;
        };
        let lang = participant.speaks(default);
        let microphone = participant.microphone(&member);
        let current = participant
            .publishing
            .as_ref()
            .filter(|_| participant.hung_up.is_none());
        match (microphone, current) {
            (Some((track, _)), Some(current))
                if current.track == track && current.journal.speaker().lang == lang => {}
            (Some((track, sid)), _) => {
                let speaker = Speaker {
                    identity: identity.clone(),
                    lang,
                };
                let numbering = state.numbering(identity);
                let settings = self.settings.pipeline.clone();
                let journal =
                    Arc::new(Journal::new(speaker, settings, room.bus.clone(), numbering));
                let tap = journal.clone();
                let publishing = Publishing {
                    session: SessionId::random(),
                    peer: member.publisher,
                    track,
                    sid,
                    owner: Some(member),
                    journal,
                };
                let former = state
                    .participants
                    .get_mut(identity)
                    .and_then(|participant| participant.speak_into(publishing, Instant::now()));
                let worker = self.worker(room);
                if let Some(former) = former.filter(|former| former.track != track) {
                    // Nothing is said into it any more, even if it is still published.
                    worker.tap(former.track, None);
                }
                worker.tap(track, Some(Box::new(move |frame| tap.push_packet(frame))));
            }
            (None, Some(current)) if current.peer == member.publisher => {
                if let Some(participant) = state.participants.get_mut(identity) {
                    participant.hung_up = Some(Instant::now());
                }
            }
            (None, _) => {}
        }
    }
}

impl Participant {
    /// The language that they speak.
    pub(crate) fn speaks(&self, of_room: Option<Lang>) -> Lang {
        self.languages.speaks.or(of_room).unwrap_or(Lang::EN)
    }

    /// The track of audio that carries their voice, and its sid. Somebody hidden has none, as nobody
    /// may learn of them, and what is encrypted between the clients cannot be understood.
    fn microphone(&self, member: &Member) -> Option<(TrackId, Arc<str>)> {
        if self.profile.permission.hidden {
            return None;
        }
        let own = || {
            self.publications.iter().filter(|(_, it)| {
                it.peer == member.publisher
                    && it.kind == MediaKind::Audio
                    && it.info.encryption == i32::from(proto::encryption::Type::None)
            })
        };
        let of = |source: TrackSource| own().find(|(_, it)| it.info.source == i32::from(source));
        let current = self.publishing.as_ref().map(|it| it.track);
        // One that is spoken into is kept while it is there. Clients that say nothing of the source
        // publish a voice, too.
        own()
            .find(|(_, it)| Some(it.track) == current)
            .or_else(|| of(TrackSource::Microphone))
            .or_else(|| of(TrackSource::Unknown))
            .map(|(sid, it)| (it.track, sid.clone()))
    }

    /// Reads what the attributes say of languages; what cannot be read is left out.
    pub(crate) fn heed_attributes(&mut self) {
        self.languages = Languages::read(&self.profile.attributes).0;
    }
}
