//! What the people of a room want to hear and to read. What nobody wants is not made.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hive_models::Lang;

use super::{Publishing, RoomState};
use crate::engines::Engines;

/// What is wanted of a speaker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Demand {
    /// Whether somebody reads what is said.
    pub(crate) captions: bool,
    /// Languages that somebody reads.
    pub(crate) read: BTreeSet<Lang>,
    /// Languages that somebody listens to, mixed with the floor.
    pub(crate) heard: BTreeSet<Lang>,
    /// Languages in which clients of LiveKit's listen to the speaker's own voice of the interpreter.
    pub(crate) voiced: BTreeSet<Lang>,
}

/// What has to run for one speaker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Work {
    /// Decode, for channels or for recognition.
    pub(crate) ingest: bool,
    /// Find speech and recognise it.
    pub(crate) recognise: bool,
    /// Languages to translate into, and whether to speak them.
    pub(crate) languages: BTreeMap<Lang, bool>,
}

impl Demand {
    /// What has to run for a speaker of `lang`. A channel of their own language carries them as they
    /// are, and so does one that no engine leads to.
    pub(crate) fn of_speaker(&self, lang: Lang, engines: &Engines) -> Work {
        let spoken: BTreeSet<Lang> = self.heard.union(&self.voiced).copied().collect();
        let languages: BTreeMap<Lang, bool> = self
            .read
            .union(&spoken)
            .filter(|target| **target != lang && engines.translates(lang, **target))
            .map(|target| (*target, spoken.contains(target) && engines.speaks(*target)))
            .collect();
        let understood = engines.recognisers.contains_key(&lang);
        let recognise = understood && (self.captions || !languages.is_empty());
        Work {
            ingest: recognise || !self.heard.is_empty(),
            recognise,
            languages,
        }
    }
}

impl RoomState {
    /// Languages that somebody listens to by WHEP, mixed with the floor.
    pub(crate) fn heard(&self) -> BTreeSet<Lang> {
        self.participants
            .values()
            .flat_map(|who| who.listening.values())
            .filter_map(|listening| listening.lang)
            .collect()
    }

    /// What is wanted of a speaker.
    pub(crate) fn demand_of(&self, speaker: &Arc<str>, publishing: &Publishing) -> Demand {
        let mut demand = Demand {
            heard: self.heard(),
            ..Demand::default()
        };
        for wants in self.wants.values() {
            demand.captions |= wants.captions;
            demand.read.extend(wants.langs.iter().copied());
        }
        self.demand_of_clients(&mut demand, speaker, publishing);
        demand
    }
}
