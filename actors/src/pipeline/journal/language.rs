//! What `mt` and `tts` of one language read and append: translated clauses and how much of them has
//! been spoken.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hive_models::Lang;
use hive_models::mt::stable_prefix::StablePrefix;

use super::{Fenced, Journal, Lease, Log};
use crate::channel::{ChannelInput, SpokenClause};
use crate::events::schema::{Caption, CaptionKind, CaptionWord, ErrorNotice, EventBody};
use crate::pipeline::bell::{Bell, Ears};
use crate::settings::{BargeInSettings, SpeechSettings};
use crate::telemetry;

/// Characters that a synthesiser speaks in a second at its normal rate, for estimates.
const CHARACTERS_A_SECOND: f64 = 15.0;

#[derive(Debug)]
pub(crate) struct LanguageLog {
    /// Where clauses are spoken; none if the language is only read.
    channel: Option<Arc<dyn ChannelInput>>,
    /// The clause to translate: its utterance and its index in it.
    at: (u64, usize),
    prefix: StablePrefix,
    /// Target words shown as stable.
    stable: usize,
    /// How many source words were translated last, and whether the clause was over.
    seen: (usize, bool),
    compute: Duration,
    /// Clauses that are not wholly handed to the channel yet.
    clauses: VecDeque<Translated>,
    next: u64,
    pub(super) mt_bell: Bell,
    pub(super) mt_ears: Ears,
    tts_bell: Bell,
    pub(super) tts_ears: Ears,
}

#[derive(Debug)]
struct Translated {
    number: u64,
    clause: SpokenClause,
    text: String,
    /// Words a minute, once the synthesis began: a restart has to make the same samples again.
    rate: Option<u16>,
    /// Samples at 48 kHz that the channel has.
    handed: u64,
}

/// A clause to translate, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MtWork {
    at: (u64, usize),
    /// Its source words.
    pub(crate) text: String,
    words: usize,
    /// Whether it is the first of its utterance.
    pub(crate) starts_utterance: bool,
    /// Whether no word will follow in it.
    pub(crate) over: bool,
}

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

impl LanguageLog {
    fn new(channel: Option<Arc<dyn ChannelInput>>, at: (u64, usize)) -> Self {
        let (mt_bell, mt_ears) = Bell::new("mt");
        let (tts_bell, tts_ears) = Bell::new("tts");
        LanguageLog {
            channel,
            at,
            prefix: StablePrefix::new(2),
            stable: 0,
            seen: (0, false),
            compute: Duration::ZERO,
            clauses: VecDeque::new(),
            next: 0,
            mt_bell,
            mt_ears,
            tts_bell,
            tts_ears,
        }
    }

    fn go_to(&mut self, at: (u64, usize)) {
        self.at = at;
        self.prefix = StablePrefix::new(2);
        self.stable = 0;
        self.seen = (0, false);
    }
}

impl Journal {
    /// Opens a language, from the clause that is being said now on; or changes whether it is spoken.
    pub(crate) fn open_language(&self, lang: Lang, channel: Option<Arc<dyn ChannelInput>>) {
        let log = &mut *self.log.lock();
        let here = log.stt.here();
        match log.languages.get_mut(&lang) {
            Some(open) => {
                if channel.is_none() {
                    open.clauses.clear();
                }
                open.channel = channel;
            }
            None => {
                log.languages.insert(lang, LanguageLog::new(channel, here));
            }
        }
    }

    /// Closes all languages but these: nobody hears or reads the others any more.
    pub(crate) fn keep_languages(&self, languages: &BTreeMap<Lang, bool>) {
        self.log
            .lock()
            .languages
            .retain(|lang, _| languages.contains_key(lang));
    }

    /// The next clause to translate, or more of the one that is growing.
    pub(crate) fn mt_next(&self, lang: Lang) -> Option<MtWork> {
        let log = &mut *self.log.lock();
        let language = log.languages.get_mut(&lang)?;
        loop {
            let utterance = log.stt.utterances().iter().find(|u| u.n >= language.at.0)?;
            if utterance.n > language.at.0 {
                language.go_to((utterance.n, 0));
            }
            let Some(clause) = utterance.clauses.get(language.at.1) else {
                language.go_to((utterance.n + 1, 0));
                continue;
            };
            let to = clause.over.map_or(utterance.words.len(), |over| over.0);
            let words = &utterance.words[clause.from..to];
            let over = clause.over.is_some();
            if words.is_empty() {
                if !over {
                    return None;
                }
                language.go_to((utterance.n, language.at.1 + 1));
                continue;
            }
            if language.seen == (words.len(), over) {
                return None;
            }
            let text = words
                .iter()
                .map(|word| word.text.as_str())
                .collect::<Vec<_>>()
                .join(" ");
            let (at, starts_utterance) = (language.at, language.at.1 == 0);
            return Some(MtWork {
                at,
                text,
                words: words.len(),
                starts_utterance,
                over,
            });
        }
    }

    /// Appends a translation of what [`Journal::mt_next`] gave: shows what is stable of it and, if the
    /// clause is over, hands it on to be spoken.
    pub(crate) fn mt_commit(
        &self,
        lease: Lease,
        lang: Lang,
        work: &MtWork,
        translation: &str,
        compute: Duration,
        now: Instant,
    ) -> Result<(), Fenced> {
        let log = &mut *self.log.lock();
        log.check(lease)?;
        let Some(language) = log
            .languages
            .get_mut(&lang)
            .filter(|language| language.at == work.at)
        else {
            return Ok(());
        };
        let Some(utterance) = log.stt.utterances().iter().find(|u| u.n == work.at.0) else {
            return Ok(());
        };
        let Some(clause) = utterance.clauses.get(work.at.1) else {
            return Ok(());
        };
        language.seen = (work.words, work.over);
        language.compute += compute;
        let id: Arc<str> = format!("{}.{}", utterance.name, work.at.1).into();
        let update = if work.over {
            language.prefix.finish(translation)
        } else {
            language.prefix.update(translation)
        };
        let mut caption = Caption {
            kind: CaptionKind::Committed,
            speaker: self.speaker.identity.clone(),
            utterance: utterance.name.clone(),
            lang: lang.to_string(),
            translated: true,
            clause: Some(id.clone()),
            from: language.stable,
            words: words(language.stable, &update.added),
            text: None,
            source_from: Some(clause.from),
            source_to: Some(clause.from + work.words),
            audio_start_ms: None,
            audio_end_ms: None,
            compute_ms: std::mem::take(&mut language.compute).as_secs_f64() * 1e3,
        };
        if !caption.words.is_empty() {
            language.stable += caption.words.len();
            self.bus.emit(EventBody::Caption(caption.clone()));
            caption.compute_ms = 0.0;
        }
        if !work.over {
            caption.kind = CaptionKind::Partial;
            caption.from = language.stable;
            caption.words = words(language.stable, &update.tail);
            self.bus.emit(EventBody::Caption(caption));
            return Ok(());
        }
        let source_end_ms = clause.over.map_or(0.0, |over| over.1);
        if let Some(age) = self.age_ms(source_end_ms, now) {
            telemetry::first_token(lang, age);
        }
        caption.kind = CaptionKind::Final;
        caption.from = 0;
        caption.words = words(0, language.prefix.emitted());
        caption.text = Some(language.prefix.emitted().join(" "));
        // What was shown early may bind the caption; the voice says what the whole clause became.
        let text = translation.to_owned();
        let spoken = SpokenClause {
            clause: id,
            utterance: utterance.name.clone(),
            speaker: self.speaker.identity.clone(),
            source_end_ms,
            heard: self.heard_at(source_end_ms),
        };
        self.bus.emit(EventBody::Caption(caption));
        if language.channel.is_some() && !text.trim().is_empty() {
            let number = language.next;
            language.next += 1;
            language.clauses.push_back(Translated {
                number,
                clause: spoken,
                text,
                rate: None,
                handed: 0,
            });
            language.tts_bell.ring();
        }
        language.go_to((work.at.0, work.at.1 + 1));
        Ok(())
    }

    /// Gives a clause up that the translator cannot do, and tells so. What is not over yet will be
    /// tried again when it has grown.
    pub(crate) fn mt_failed(
        &self,
        lease: Lease,
        lang: Lang,
        work: &MtWork,
        reason: &str,
    ) -> Result<(), Fenced> {
        let log = &mut *self.log.lock();
        log.check(lease)?;
        let Some(language) = log
            .languages
            .get_mut(&lang)
            .filter(|language| language.at == work.at)
        else {
            return Ok(());
        };
        language.seen = (work.words, work.over);
        if work.over {
            language.go_to((work.at.0, work.at.1 + 1));
            self.clause_failed(lang, &format!("translated: {reason}"));
        }
        Ok(())
    }

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

    fn clause_failed(&self, lang: Lang, what: &str) {
        let speaker = &self.speaker.identity;
        let message =
            format!("a clause of {speaker} could not be put into {lang}: it was not {what}");
        self.bus.emit(EventBody::Error(ErrorNotice {
            code: "clause_failed",
            message,
            missed: None,
        }));
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

fn words(from: usize, texts: &[String]) -> Vec<CaptionWord> {
    let word = |(i, text): (usize, &String)| CaptionWord {
        i: from + i,
        text: text.clone(),
        start_ms: None,
        end_ms: None,
    };
    texts.iter().enumerate().map(word).collect()
}
