//! What `tts` of one language reads and appends: how much of the translated clauses was spoken.

use std::sync::Arc;

use hive_models::Lang;

use super::language::Translated;
use super::{Fenced, Journal, Lease, Log};
use crate::channel::SpokenClause;
use crate::settings::{BargeInSettings, SpeechSettings};

/// Characters that a synthesiser speaks in a second at its normal rate, for estimates.
const CHARACTERS_A_SECOND: f64 = 15.0;

/// A clause to speak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TtsWork {
    /// Names it in [`Journal::tts_commit`].
    pub(crate) number: u64,
    /// The words.
    pub(crate) text: String,
    /// Words a minute.
    pub(crate) rate: u16,
    /// Samples at 48 kHz that were handed over by an incarnation before.
    pub(crate) handed: u64,
}

/// What is to become of the rest of a clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spoken {
    /// Go on.
    Continue,
    /// The speaker went on; stop.
    Cancelled,
}

impl Journal {
    /// The next clause to speak.
    pub(crate) fn tts_next(&self, lang: Lang, settings: &SpeechSettings) -> Option<TtsWork> {
        let log = &mut *self.log.lock();
        let language = log.languages.get_mut(&lang)?;
        let channel = language.channel.as_ref()?;
        let characters: usize = language
            .clauses
            .iter()
            .map(|clause| clause.text.chars().count())
            .sum();
        let clause = language.clauses.front_mut()?;
        let rate = *clause.rate.get_or_insert_with(|| {
            let waiting = (characters - clause.text.chars().count()) as f64 / CHARACTERS_A_SECOND;
            settings.rate_for(channel.backlog(&self.speaker.identity).as_secs_f64() + waiting)
        });
        Some(TtsWork {
            number: clause.number,
            text: clause.text.clone(),
            rate,
            handed: clause.handed,
        })
    }

    /// Hands samples of a clause (48 kHz, those after the ones handed over before) to the channel.
    pub(crate) fn tts_commit(
        &self,
        lease: Lease,
        lang: Lang,
        number: u64,
        pcm48: &[f32],
        last: bool,
    ) -> Result<Spoken, Fenced> {
        let log = &mut *self.log.lock();
        log.check(lease)?;
        let Some(language) = log.languages.get_mut(&lang) else {
            return Ok(Spoken::Cancelled);
        };
        let Some(channel) = language.channel.as_ref() else {
            return Ok(Spoken::Cancelled);
        };
        let Some(clause) = language
            .clauses
            .front_mut()
            .filter(|clause| clause.number == number)
        else {
            return Ok(Spoken::Cancelled);
        };
        channel.speak(&clause.clause, pcm48, last);
        clause.handed += pcm48.len() as u64;
        if last {
            language.clauses.pop_front();
        }
        Ok(Spoken::Continue)
    }

    /// Gives up the rest of a clause that the synthesiser cannot speak, and tells so.
    pub(crate) fn tts_failed(
        &self,
        lease: Lease,
        lang: Lang,
        number: u64,
        reason: &str,
    ) -> Result<(), Fenced> {
        if self.tts_commit(lease, lang, number, &[], true)? == Spoken::Continue {
            self.clause_failed(lang, &format!("spoken: {reason}"));
        }
        Ok(())
    }
}

impl Log {
    /// The speaker begins to speak. If they were silent for longer than the settings allow, the
    /// interpretation of what they said before is stale and is cancelled. A shorter pause is part of
    /// one turn, which is not cut.
    pub(super) fn barge_in(&mut self, speaker: &Arc<str>, settings: &BargeInSettings, now_ms: f64) {
        let stale_before_ms = now_ms - settings.stale_after.as_secs_f64() * 1e3;
        if !settings.enabled || self.vad.silent_since_ms() > stale_before_ms {
            return;
        }
        for language in self.languages.values_mut() {
            let Some(channel) = &language.channel else {
                continue;
            };
            let stale = |clause: &Translated| clause.clause.source_end_ms < stale_before_ms;
            let waiting: Vec<SpokenClause> = language
                .clauses
                .iter()
                .filter(|c| stale(c))
                .map(|c| c.clause.clone())
                .collect();
            language.clauses.retain(|clause| !stale(clause));
            channel.cancel_stale(speaker, stale_before_ms, &waiting);
        }
    }
}
