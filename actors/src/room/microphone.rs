//! Microphones: the one that a participant speaks into, and the one before it, until what was said
//! into it last has been interpreted and spoken.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hive_media::{PeerId, TrackId};

use super::{Participant, RoomState};
use crate::livekit::member::Member;
use crate::pipeline::bell::{Bell, Ears};
use crate::pipeline::journal::Journal;
use crate::service::SessionId;

/// How long it takes, after the last packet, until its silence has been made up and judged.
const LAST_WORDS: Duration = Duration::from_millis(1_500);

/// What is not interpreted and spoken so long after a speaker left will not be.
const LAST_WORDS_LIMIT: Duration = Duration::from_secs(10);

/// A participant's microphone.
#[derive(Clone, Debug)]
pub(crate) struct Publishing {
    /// No other microphone has it.
    pub(crate) session: SessionId,
    pub(crate) peer: PeerId,
    pub(crate) track: TrackId,
    /// Of the publication. Captions name it, some of them after it is gone.
    pub(crate) sid: Arc<str>,
    /// Whose permissions hold for it, if it is a client of LiveKit's: after they left, too.
    pub(crate) owner: Option<Arc<Member>>,
    pub(crate) journal: Arc<Journal>,
}

/// A microphone that was replaced by another one.
#[derive(Clone, Debug)]
pub(crate) struct LastWords {
    pub(crate) publishing: Publishing,
    since: Instant,
    /// Whether the actors that run are those of this microphone.
    pub(crate) started: bool,
    pub(crate) bell: Bell,
    pub(crate) ears: Ears,
}

impl Participant {
    /// Speaks into this microphone from now on. What was said into the former one, which is given,
    /// is still interpreted.
    pub(crate) fn speak_into(
        &mut self,
        publishing: Publishing,
        now: Instant,
    ) -> Option<Publishing> {
        let former = self.publishing.replace(publishing);
        let since = self.hung_up.take().unwrap_or(now);
        if let Some(former) = &former {
            let (bell, ears) = Bell::new("last_words");
            self.last_words = Some(LastWords {
                publishing: former.clone(),
                since,
                started: false,
                bell,
                ears,
            });
        }
        former
    }

    /// The microphone whose words are interpreted, and the one before it.
    pub(crate) fn microphones(&self) -> impl Iterator<Item = &Publishing> {
        let former = self.last_words.iter().map(|it| &it.publishing);
        former.chain(&self.publishing)
    }

    /// The microphone that an utterance was said into.
    pub(crate) fn microphone_of(&self, utterance: &str) -> Option<&Publishing> {
        self.microphones()
            .find(|it| it.journal.has(utterance))
            .or(self.publishing.as_ref())
    }
}

impl RoomState {
    /// Lets go of microphones that were hung up or replaced, once the last words are interpreted and
    /// spoken, and of participants of whom nothing is left.
    pub(crate) fn let_go(&mut self, now: Instant) {
        for (identity, participant) in &mut self.participants {
            let heard_out = || {
                let mixes = self.channels.values();
                let voices = self.voices.iter().filter(|((_, of), _)| of == identity);
                let mut all = mixes.chain(voices.map(|(_, voice)| voice));
                all.all(|channel| channel.backlog_of(identity).is_zero())
            };
            let is_over = |publishing: &Publishing, since: Instant| {
                let since = now.saturating_duration_since(since);
                let done = || publishing.journal.is_idle() && heard_out();
                since >= LAST_WORDS_LIMIT || (since >= LAST_WORDS && done())
            };
            let former = participant.last_words.as_ref();
            if former.is_some_and(|it| is_over(&it.publishing, it.since)) {
                participant.last_words = None;
            }
            let hung_up = participant.publishing.as_ref().zip(participant.hung_up);
            if hung_up.is_some_and(|(publishing, since)| is_over(publishing, since)) {
                participant.publishing = None;
                participant.hung_up = None;
                for channel in self.channels.values() {
                    channel.leave(identity);
                }
            }
        }
        let gone = self.participants.extract_if(.., |_, who| {
            who.microphones().next().is_none() && who.listening.is_empty() && who.member.is_none()
        });
        for (identity, _) in gone {
            if let Some(count) = self.numbering.remove(&identity) {
                let count = count.load(Ordering::Relaxed);
                self.numbered = self.numbered.max(count);
            }
        }
        self.note_if_empty();
    }

    /// The counter of an identity's utterances. One who comes back goes on from a number that nobody
    /// had, so that the names of a room's utterances stay unique though only those are remembered
    /// who are here.
    pub(crate) fn numbering(&mut self, identity: &Arc<str>) -> Arc<AtomicU64> {
        let first = self.numbered;
        self.numbering
            .entry(identity.clone())
            .or_insert_with(|| Arc::new(AtomicU64::new(first)))
            .clone()
    }
}
