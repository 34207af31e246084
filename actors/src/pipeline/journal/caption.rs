//! The captions of a speaker's own words.

use std::sync::Arc;
use std::time::Instant;

use hive_models::stt::Word;

use super::utterance::Utterance;
use super::{Journal, Log};
use crate::events::schema::{Caption, CaptionKind, CaptionWord, EventBody, RoomEvent};
use crate::telemetry;

impl Journal {
    /// The committed words of the open utterance, as one event for somebody who comes late.
    /// It is numbered as the last event that it includes.
    pub(crate) fn snapshot(&self) -> Option<Arc<RoomEvent>> {
        let log = self.log.lock();
        let utterance = log
            .stt
            .utterances
            .back()
            .filter(|u| !u.closed && !u.words.is_empty())?;
        let words = self.caption_words(&log, 0, &utterance.words);
        let caption = self.caption(utterance, CaptionKind::Committed, 0, words);
        Some(self.bus.private(EventBody::Caption(caption)))
    }

    /// Sends a caption of the open utterance and measures how late its words are.
    pub(super) fn show(
        &self,
        log: &mut Log,
        kind: CaptionKind,
        from: usize,
        words: &[Word],
        bounds: Option<(f64, f64)>,
        now: Instant,
    ) {
        let Some(utterance) = log.stt.utterances.back() else {
            return;
        };
        let mut caption = self.caption(utterance, kind, from, self.caption_words(log, from, words));
        caption.audio_start_ms = bounds.map(|bounds| bounds.0);
        caption.audio_end_ms = bounds.map(|bounds| bounds.1);
        if let Some(open) = log.stt.open.as_mut() {
            let ages = |word: &CaptionWord| word.end_ms.and_then(|end| self.age_ms(end, now));
            for word in &caption.words {
                // A word counts when it is first shown, though it may be shown as another one later.
                let first = word.i >= open.shown;
                open.shown = open.shown.max(word.i + 1);
                if let Some(age) = ages(word) {
                    telemetry::word_latency(first, kind == CaptionKind::Committed, age);
                }
            }
            caption.compute_ms = std::mem::take(&mut open.compute).as_secs_f64() * 1e3;
        }
        self.bus.emit(EventBody::Caption(caption));
    }

    fn caption_words(&self, log: &Log, from: usize, words: &[Word]) -> Vec<CaptionWord> {
        let word = |(i, word): (usize, &Word)| CaptionWord {
            i: from + i,
            text: word.text.clone(),
            start_ms: Some(log.pcm.media_ms(word.start)),
            end_ms: Some(log.pcm.media_ms(word.end)),
        };
        words.iter().enumerate().map(word).collect()
    }

    fn caption(
        &self,
        of: &Utterance,
        kind: CaptionKind,
        from: usize,
        words: Vec<CaptionWord>,
    ) -> Caption {
        Caption {
            kind,
            speaker: self.speaker.identity.clone(),
            utterance: of.name.clone(),
            lang: self.speaker.lang.to_string(),
            translated: false,
            clause: None,
            from,
            words,
            text: None,
            source_from: None,
            source_to: None,
            audio_start_ms: None,
            audio_end_ms: None,
            compute_ms: 0.0,
        }
    }
}
