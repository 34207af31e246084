//! What the people of a room want to hear and to read. What nobody wants is not made.

use std::collections::{BTreeMap, BTreeSet};

use hive_models::Lang;

use crate::engines::Engines;

/// What is wanted of all speakers of a room together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Demand {
    /// Whether somebody reads what is said.
    pub(crate) captions: bool,
    /// Languages that somebody reads.
    pub(crate) read: BTreeSet<Lang>,
    /// Languages that somebody listens to.
    pub(crate) heard: BTreeSet<Lang>,
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
        let languages: BTreeMap<Lang, bool> = self
            .read
            .union(&self.heard)
            .filter(|target| **target != lang && engines.translates(lang, **target))
            .map(|target| {
                (
                    *target,
                    self.heard.contains(target) && engines.speaks(*target),
                )
            })
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
