//! Which clients of LiveKit's hear and read whom, and in which languages: the one rule by which their
//! subscriptions, their captions and what is made for them are decided.

use std::collections::BTreeSet;
use std::sync::Arc;

use hive_models::Lang;

use super::member::Member;
use crate::engines::Engines;
use crate::room::{Demand, Participant, Publishing, RoomState};

/// What a client may have of a microphone is decided by the client's permission to subscribe and by
/// what its owner lets others have.
pub(crate) fn may_receive(
    own: &Participant,
    member: &Member,
    owner: Option<&Arc<Member>>,
    track: &str,
) -> bool {
    let permitted = || {
        owner.is_none_or(|owner| owner.identity == member.identity || owner.allows(member, track))
    };
    own.profile.permission.can_subscribe && permitted()
}

/// Whether a client that is subscribed by rule is so to a voice: of those that say what they listen to
/// in these languages only, of those that only say what they speak never, and nobody to their own.
pub(crate) fn suits(own: &Participant, identity: &str, lang: Lang, speaker: &str) -> bool {
    let languages = &own.languages;
    let listens = match &languages.listens {
        Some(listens) => listens.contains(&lang),
        None => languages.speaks.is_none(),
    };
    listens && *identity != *speaker
}

impl RoomState {
    /// Those who are here with a client of LiveKit's, and what is known of them.
    pub(crate) fn clients(&self) -> impl Iterator<Item = (&Participant, &Arc<Member>)> {
        self.participants
            .values()
            .filter_map(|who| Some((who, who.member.as_ref()?)))
    }

    /// The languages that the room, or a client of LiveKit's besides the speaker's own, asks for.
    pub(crate) fn asked_of(&self, speaker: &str) -> BTreeSet<Lang> {
        let mut asked = self.asks.languages.clone();
        for (own, _) in self.clients().filter(|(_, it)| *it.identity != *speaker) {
            if own.profile.permission.can_subscribe {
                asked.extend(own.languages.listens.iter().flatten());
            }
        }
        asked
    }

    /// Whether the room or a client of LiveKit's asks for what is said to be written down.
    pub(crate) fn writes_down(&self) -> bool {
        let listens = |own: &Participant| {
            own.languages
                .listens
                .as_ref()
                .is_some_and(|it| !it.is_empty())
        };
        self.asks.captions
            || !self.asks.languages.is_empty()
            || self.clients().any(|(own, _)| listens(own))
    }

    /// Adds what clients of LiveKit's want of a speaker. Voices are published for whoever asks for
    /// their language; they are made only while somebody takes them.
    pub(crate) fn demand_of_clients(
        &self,
        demand: &mut Demand,
        speaker: &Arc<str>,
        of: &Publishing,
    ) {
        if self.is_hidden(speaker) {
            return;
        }
        let entitled = |(own, member): &(&Participant, &Arc<Member>)| {
            may_receive(own, member, of.owner.as_ref(), &of.sid)
        };
        if !demand.captions {
            demand.captions = self.writes_down() && self.clients().any(|it| entitled(&it));
        }
        let others = || {
            self.clients()
                .filter(|(_, member)| member.identity != *speaker)
                .filter(entitled)
        };
        for lang in self.asked_of(speaker) {
            if others().any(|(own, _)| reads(own, lang)) {
                demand.read.insert(lang);
            }
            let interpreter = self.interpreter.as_ref();
            let track = interpreter.and_then(|it| it.track_of(lang, speaker));
            let takes = |(own, member): (&Participant, &Arc<Member>)| {
                let wish = track.and_then(|sid| member.wish(sid));
                wish.unwrap_or_else(|| {
                    member.auto_subscribe && suits(own, &member.identity, lang, speaker)
                })
            };
            if track.is_some() && others().any(takes) {
                demand.voiced.insert(lang);
            }
        }
    }

    /// The voices that are published: of each speaker in the languages that are asked for and that
    /// they can be put into.
    pub(crate) fn voices_wanted(&self, engines: &Engines) -> BTreeSet<(Lang, Arc<str>)> {
        let mut wanted = BTreeSet::new();
        for (identity, who) in &self.participants {
            let spoken: BTreeSet<Lang> = who
                .microphones()
                .map(|it| it.journal.speaker().lang)
                .filter(|lang| engines.recognisers.contains_key(lang))
                .collect();
            if spoken.is_empty() || who.profile.permission.hidden {
                continue;
            }
            for lang in self.asked_of(identity) {
                let translates = |from: &Lang| *from != lang && engines.translates(*from, lang);
                if engines.speaks(lang) && spoken.iter().any(translates) {
                    wanted.insert((lang, identity.clone()));
                }
            }
        }
        wanted
    }

    fn is_hidden(&self, identity: &str) -> bool {
        let who = self.participants.get(identity);
        who.is_some_and(|who| who.profile.permission.hidden)
    }
}

/// Whether a client reads translations into a language: if it listens to it, or says nothing of
/// languages at all.
pub(crate) fn reads(own: &Participant, lang: Lang) -> bool {
    match &own.languages.listens {
        Some(listens) => listens.contains(&lang),
        None => own.languages.speaks.is_none(),
    }
}

impl Member {
    /// Whether the client asked for a track, or asked not to have it; none if it did neither.
    fn wish(&self, track: &str) -> Option<bool> {
        self.state.lock().subscriptions.wishes.get(track).copied()
    }
}
