//! What `stt` reads and appends: utterances of committed words, cut into clauses.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hive_models::stt::agreement::{Agreement, LocalAgreement};
use hive_models::stt::{CmnState, Hypothesis, Word};
use hive_models::vad::WINDOW_SAMPLES;

use super::{Fenced, Journal, Lease, Log};
use crate::events::schema::{CaptionKind, ErrorNotice, EventBody};
use crate::pipeline::{clause, samples};

const WINDOW: u64 = WINDOW_SAMPLES as u64;

/// Utterances kept for translation after they are over.
const KEPT: usize = 32;

/// Engine failures on one utterance after which its rest is given up.
const MAX_FAILURES: u32 = 3;

/// The longest stretch that a replay gives to the recogniser in one go, in samples.
const REPLAY: u64 = 16 * WINDOW;

/// An utterance's committed words.
#[derive(Clone, Debug)]
pub(crate) struct Utterance {
    /// Grows by one per utterance of the speaker.
    pub(crate) n: u64,
    /// `<speaker>-<n>`.
    pub(crate) name: Arc<str>,
    /// Committed words; their times are positions of the sample log.
    pub(crate) words: Vec<Word>,
    /// Whether no word will follow.
    pub(crate) closed: bool,
    /// Its clauses; all but the last are over, and the last too once the utterance is closed.
    pub(crate) clauses: Vec<Clause>,
}

/// A stretch of an utterance that is translated as one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clause {
    /// First word.
    pub(crate) from: usize,
    /// One past the last word, and the end of its voice on the media clock; none while it grows.
    pub(crate) over: Option<(usize, f64)>,
}

#[derive(Debug)]
pub(crate) struct SttLog {
    /// How many utterances there have been.
    count: Arc<AtomicU64>,
    /// The speaker's channel as the last utterance left it; what the open one was started with.
    cmn: CmnState,
    pub(super) open: Option<Open>,
    pub(super) utterances: VecDeque<Utterance>,
}

/// The recogniser's place in the open utterance, which is the last of the utterances.
#[derive(Debug)]
pub(super) struct Open {
    n: u64,
    start: u64,
    /// Samples before this position have been recognised and the result is committed.
    fed: u64,
    agreement: LocalAgreement,
    /// The tail that was shown last.
    tail: Vec<Word>,
    /// Words that have been shown, certain or not.
    pub(super) shown: usize,
    /// Compute time since the last caption.
    pub(super) compute: Duration,
    failures: u32,
}

/// What to do next. Audio is always given in pieces of one VAD window from the utterance's start,
/// so that a replay meets the engine exactly as the first time did.
#[derive(Debug)]
pub(crate) enum SttWork {
    /// Start an utterance on a decoder.
    Start {
        /// The utterance.
        n: u64,
        /// Position of its first sample.
        sample: u64,
        /// What is known of the speaker's channel.
        cmn: CmnState,
    },
    /// Recognise the next samples.
    Process {
        /// The utterance.
        n: u64,
        /// The samples.
        pcm: Vec<f32>,
        /// One past the last of them.
        to: u64,
        /// Whether a hypothesis is wanted afterwards.
        hypothesise: bool,
        /// Whether this has been committed before and is given again after a restart.
        replay: bool,
    },
    /// Close the utterance.
    Finish {
        /// The utterance.
        n: u64,
    },
}

impl SttLog {
    pub(super) fn new(cmn: CmnState, count: Arc<AtomicU64>) -> Self {
        SttLog {
            count,
            cmn,
            open: None,
            utterances: VecDeque::new(),
        }
    }

    /// Forgets what is open; numbers and the speaker's channel go on.
    pub(super) fn reset(&mut self) {
        self.open = None;
        self.utterances.clear();
    }

    pub(super) fn keep_from(&self) -> u64 {
        self.open.as_ref().map_or(u64::MAX, |open| open.start)
    }

    /// Number of the utterance that is open or comes next, and its open clause.
    pub(super) fn here(&self) -> (u64, usize) {
        match self.utterances.back() {
            Some(last) if !last.closed => (last.n, last.clauses.len() - 1),
            _ => (self.count.load(Ordering::Relaxed) + 1, 0),
        }
    }
}

impl Journal {
    /// The next work for a stage whose decoder stands at `decoder`: the utterance it was started
    /// for, and the position up to which it was fed.
    pub(crate) fn stt_next(&self, decoder: Option<(u64, u64)>) -> Option<SttWork> {
        let log = &mut *self.log.lock();
        let segment = *log.vad.segments.front()?;
        if log.stt.open.is_none() {
            let n = log.stt.count.fetch_add(1, Ordering::Relaxed) + 1;
            log.stt.open = Some(Open {
                n,
                start: segment.start,
                fed: segment.start,
                agreement: LocalAgreement::new(2).holding(samples(self.settings.stt.hold)),
                tail: Vec::new(),
                shown: 0,
                compute: Duration::ZERO,
                failures: 0,
            });
            if log.stt.utterances.len() == KEPT {
                log.stt.utterances.pop_front();
            }
            log.stt.utterances.push_back(Utterance {
                n,
                name: format!("{}-{n}", self.speaker.identity).into(),
                words: Vec::new(),
                closed: false,
                clauses: vec![Clause {
                    from: 0,
                    over: None,
                }],
            });
        }
        let open = log.stt.open.as_ref()?;
        let n = open.n;
        let position = match decoder {
            Some((of, position)) if of == n => position,
            _ => {
                return Some(SttWork::Start {
                    n,
                    sample: open.start,
                    cmn: log.stt.cmn.clone(),
                });
            }
        };
        if position < open.fed {
            let to = open.fed.min(position + REPLAY);
            let pcm = log.pcm.range(position, to).to_vec();
            return Some(SttWork::Process {
                n,
                pcm,
                to,
                hypothesise: false,
                replay: true,
            });
        }
        let step = self.step();
        let point = open.start + ((open.fed - open.start) / step + 1) * step;
        let (to, over) = match segment.end {
            Some((_, end)) => (end.min(point), end == open.fed),
            None => {
                let known = log.vad.cursor().min(point).max(open.fed);
                (open.fed + (known - open.fed) / WINDOW * WINDOW, false)
            }
        };
        if over {
            return Some(SttWork::Finish { n });
        }
        if to <= open.fed {
            return None;
        }
        let pcm = log.pcm.range(open.fed, to).to_vec();
        Some(SttWork::Process {
            n,
            pcm,
            to,
            hypothesise: to == point,
            replay: false,
        })
    }

    /// Appends the words that the hypothesis after `to` makes certain, and shows the others.
    pub(crate) fn stt_commit(
        &self,
        lease: Lease,
        n: u64,
        to: u64,
        hypothesis: Option<&Hypothesis>,
        compute: Duration,
        now: Instant,
    ) -> Result<(), Fenced> {
        let log = &mut *self.log.lock();
        log.check(lease)?;
        let Some(open) = log
            .stt
            .open
            .as_mut()
            .filter(|open| open.n == n && to > open.fed)
        else {
            return Ok(());
        };
        open.fed = to;
        open.compute += compute;
        let Some(hypothesis) = hypothesis else {
            return Ok(());
        };
        let Agreement { committed, tail } = open.agreement.update_at(hypothesis, to);
        let shown = std::mem::replace(&mut open.tail, tail.clone());
        let expected = &shown[committed.len().min(shown.len())..];
        let changed = !expected
            .iter()
            .map(|w| &w.text)
            .eq(tail.iter().map(|w| &w.text));
        self.append_words(log, &committed, now);
        if changed {
            let from = log.committed();
            self.show(log, CaptionKind::Partial, from, &tail, None, now);
        }
        Ok(())
    }

    /// Closes the utterance with its final hypothesis.
    pub(crate) fn stt_finish(
        &self,
        lease: Lease,
        n: u64,
        hypothesis: &Hypothesis,
        cmn: CmnState,
        compute: Duration,
        now: Instant,
    ) -> Result<(), Fenced> {
        let log = &mut *self.log.lock();
        log.check(lease)?;
        let Some(open) = log.stt.open.as_mut().filter(|open| open.n == n) else {
            return Ok(());
        };
        open.compute += compute;
        let committed = open.agreement.finish(hypothesis).committed;
        self.append_words(log, &committed, now);
        log.stt.cmn = cmn;
        self.close(log, now);
        Ok(())
    }

    /// Counts a failure of the engine. After some of them the rest of the utterance is given up, as
    /// it may be what fails the engine.
    pub(crate) fn stt_failed(
        &self,
        lease: Lease,
        n: u64,
        reason: &str,
        now: Instant,
    ) -> Result<(), Fenced> {
        let log = &mut *self.log.lock();
        log.check(lease)?;
        let Some(open) = log.stt.open.as_mut().filter(|open| open.n == n) else {
            return Ok(());
        };
        open.failures += 1;
        if open.failures < MAX_FAILURES {
            return Ok(());
        }
        self.bus.emit(EventBody::Error(ErrorNotice {
            code: "utterance_failed",
            message: format!(
                "the rest of {}-{n} could not be recognised: {reason}",
                self.speaker.identity
            ),
            missed: None,
        }));
        // Recognition goes on with the next segment; this one may not have ended yet.
        let end = log.vad.cursor();
        if let Some(segment) = log.vad.segments.front_mut() {
            segment.end.get_or_insert((end, end));
        }
        self.close(log, now);
        Ok(())
    }

    fn step(&self) -> u64 {
        (samples(self.settings.stt.step) / WINDOW).max(1) * WINDOW
    }

    fn append_words(&self, log: &mut Log, committed: &[Word], now: Instant) {
        if committed.is_empty() {
            return;
        }
        let from = log.committed();
        self.show(log, CaptionKind::Committed, from, committed, None, now);
        let Some(utterance) = log.stt.utterances.back_mut() else {
            return;
        };
        utterance.words.extend_from_slice(committed);
        while let Some(open) = utterance.clauses.last_mut() {
            let Some(to) = clause::cut(&utterance.words, open.from, &self.settings.clause) else {
                break;
            };
            open.over = Some((to, log.pcm.media_ms(utterance.words[to - 1].end)));
            utterance.clauses.push(Clause {
                from: to,
                over: None,
            });
        }
        log.ring_translators();
    }

    fn close(&self, log: &mut Log, now: Instant) {
        let segment = log.vad.segments.pop_front();
        let (start, end) = segment.map_or((0, 0), |s| {
            (s.voiced_at, s.end.map_or(s.start, |end| end.0))
        });
        let bounds = (log.pcm.media_ms(start), log.pcm.media_ms(end));
        if let Some(utterance) = log.stt.utterances.back_mut() {
            utterance.closed = true;
            let to = utterance.words.len();
            if let Some(open) = utterance.clauses.last_mut() {
                open.over = Some((to, bounds.1));
            }
            let words = std::mem::take(&mut utterance.words);
            self.show(log, CaptionKind::Final, 0, &words, Some(bounds), now);
            if let Some(utterance) = log.stt.utterances.back_mut() {
                utterance.words = words;
            }
        }
        log.stt.open = None;
        log.trim();
        log.ring_translators();
    }
}

impl Log {
    /// Committed words of the open utterance.
    pub(super) fn committed(&self) -> usize {
        self.stt
            .utterances
            .back()
            .map_or(0, |utterance| utterance.words.len())
    }

    fn ring_translators(&self) {
        for language in self.languages.values() {
            language.mt_bell.ring();
        }
    }
}
