//! What `mt` of one language reads and appends: translated clauses.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hive_models::Lang;
use hive_models::mt::stable_prefix::StablePrefix;

use super::{Fenced, Journal, Lease};
use crate::channel::{ChannelInput, SpokenClause};
use crate::events::schema::{Caption, CaptionKind, CaptionWord, ErrorNotice, EventBody};
use crate::pipeline::bell::{Bell, Ears};
use crate::telemetry;

#[derive(Debug)]
pub(crate) struct LanguageLog {
    /// Where clauses are spoken; none if the language is only read.
    pub(super) channel: Option<Arc<dyn ChannelInput>>,
    /// The clause to translate: its utterance and its index in it.
    at: (u64, usize),
    prefix: StablePrefix,
    /// Target words shown as stable.
    stable: usize,
    /// How many source words were translated last, and whether the clause was over.
    seen: (usize, bool),
    /// When the first of the clause's translation was there.
    first: Option<Instant>,
    compute: Duration,
    /// Clauses that are not wholly handed to the channel yet.
    pub(super) clauses: VecDeque<Translated>,
    next: u64,
    pub(super) mt_bell: Bell,
    pub(super) mt_ears: Ears,
    tts_bell: Bell,
    pub(super) tts_ears: Ears,
}

#[derive(Debug)]
pub(super) struct Translated {
    pub(super) number: u64,
    pub(super) clause: SpokenClause,
    pub(super) text: String,
    /// Words a minute, once the synthesis began: a restart has to make the same samples again.
    pub(super) rate: Option<u16>,
    /// Samples at 48 kHz that the channel has.
    pub(super) handed: u64,
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
            first: None,
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
        self.first = None;
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
            let utterance = log.stt.utterances.iter().find(|u| u.n >= language.at.0)?;
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
        let Some(utterance) = log.stt.utterances.iter().find(|u| u.n == work.at.0) else {
            return Ok(());
        };
        let Some(clause) = utterance.clauses.get(work.at.1) else {
            return Ok(());
        };
        language.seen = (work.words, work.over);
        language.compute += compute;
        language.first.get_or_insert(now);
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
        let first = language.first.unwrap_or(now);
        if let Some(age) = self.age_ms(source_end_ms, first) {
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

    pub(super) fn clause_failed(&self, lang: Lang, what: &str) {
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

fn words(from: usize, texts: &[String]) -> Vec<CaptionWord> {
    let word = |(i, text): (usize, &String)| CaptionWord {
        i: from + i,
        text: text.clone(),
        start_ms: None,
        end_ms: None,
    };
    texts.iter().enumerate().map(word).collect()
}
