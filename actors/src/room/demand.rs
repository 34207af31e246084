//! What the people of a room want to hear and to read. What nobody wants is not made.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hive_models::Lang;

use super::RoomState;
use crate::engines::Engines;

/// What is wanted of all speakers of a room together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Demand {
    /// Whether somebody reads what is said.
    pub(crate) captions: bool,
    /// Languages that somebody reads.
    pub(crate) read: BTreeSet<Lang>,
    /// Languages that somebody listens to, mixed with the floor.
    pub(crate) heard: BTreeSet<Lang>,
    /// Languages that clients of LiveKit's listen to, a track for each speaker.
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
    /// The voices that clients want: of each language, for each speaker of another that can be put
    /// into it.
    pub(crate) fn voices_wanted(&self, engines: &Engines) -> BTreeSet<(Lang, Arc<str>)> {
        let voiced = self.demand().voiced;
        let speakers = self.participants.iter().filter_map(|(identity, who)| {
            let spoken = who.publishing.as_ref()?.journal.speaker().lang;
            let understood = engines.recognisers.contains_key(&spoken);
            understood.then_some((identity, spoken))
        });
        speakers
            .flat_map(|(identity, spoken)| {
                let wanted = voiced.iter().filter(move |lang| {
                    **lang != spoken && engines.translates(spoken, **lang) && engines.speaks(**lang)
                });
                wanted.map(move |lang| (*lang, identity.clone()))
            })
            .collect()
    }
}
