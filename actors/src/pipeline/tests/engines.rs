//! Scripted engines.
//!
//! A word is 300 ms of one sample value, `id / 1000`, of which the last 40 ms are silence.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use hive_media::audio::EncodedFrame;
use hive_media::audio::jitter::JitterStats;
use hive_media::audio::reader::Decoded;
use hive_models::mt::{Translate, TranslateError};
use hive_models::stt::{CmnState, Hypothesis, SpeechToText, SttError, UtteranceStart, Word};
use hive_models::tts::SpeechRequest;
use hive_models::vad::{VadError, VadState, VadWindow, VoiceActivity};
use hive_models::{EngineFuture, Lang, LangPair};
use parking_lot::Mutex;

use crate::engines::{Speaking, SpeechEngine, Voices};
use crate::pipeline::ingest::FrameDecoder;

/// Samples at 16 kHz of a word, its silence included.
pub(super) const WORD: usize = 4_800;
const VOICED: usize = WORD - 640;

/// 20 ms at 16 kHz.
pub(super) const FRAME16: usize = 320;

/// The samples of some words.
pub(crate) fn say(ids: std::ops::Range<u32>) -> Vec<f32> {
    ids.flat_map(|id| {
        let value = id as f32 / 1000.0;
        (0..WORD).map(move |i| if i < VOICED { value } else { 0.0 })
    })
    .collect()
}

/// Some silence.
pub(crate) fn pause(ms: usize) -> Vec<f32> {
    vec![0.0; ms * 16]
}

/// Decodes packets that hold the samples themselves.
#[derive(Default)]
pub(super) struct Unpacker {
    first: Option<u32>,
    ready: Vec<EncodedFrame>,
}

impl FrameDecoder for Unpacker {
    fn push(&mut self, frame: EncodedFrame, _: Instant) {
        self.first.get_or_insert(frame.timestamp);
        self.ready.push(frame);
    }

    fn poll(&mut self, _: Instant, sink: &mut dyn FnMut(Decoded<'_>)) {
        for frame in self.ready.drain(..) {
            let bytes = frame.payload.chunks_exact(4);
            let pcm16: Vec<f32> = bytes
                .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                .collect();
            let pcm48: Vec<f32> = pcm16.iter().flat_map(|sample| [*sample; 3]).collect();
            let media_time48 = u64::from(frame.timestamp - self.first.unwrap_or(frame.timestamp));
            sink(Decoded {
                pcm48: &pcm48,
                pcm16: &pcm16,
                media_time: media_time48 / 3,
                media_time48,
                concealed: false,
            });
        }
    }

    fn next_at(&self) -> Option<Instant> {
        None
    }

    fn stats(&self) -> JitterStats {
        JitterStats::default()
    }
}

/// Speech is what is not zero.
pub(super) struct Loudness;

impl VoiceActivity for Loudness {
    fn run(&self, windows: &[VadWindow], _: &mut [&mut VadState]) -> Result<Vec<f32>, VadError> {
        let loud =
            |window: &VadWindow| window.iter().filter(|sample| **sample != 0.0).count() > 128;
        Ok(windows
            .iter()
            .map(|window| if loud(window) { 0.9 } else { 0.1 })
            .collect())
    }

    fn batch_max(&self) -> usize {
        8
    }
}

/// Recognises the values of [`say`]. The last word is guessed wrongly at first, and every word tells
/// how many utterances the channel estimate has seen, so that a replay with another one shows.
pub(super) struct Reader {
    pcm: Option<(u64, Vec<f32>)>,
    cmn: CmnState,
    faults: Faults,
}

/// Makes readers, and failures of them.
#[derive(Clone, Default)]
pub(super) struct Readers {
    pub(super) faults: Faults,
}

/// The word ids at which a reader fails.
pub(super) type Faults = Arc<Mutex<Vec<u32>>>;

impl SpeechEngine for Readers {
    fn checkout(&self) -> EngineFuture<'_, Result<Box<dyn SpeechToText>, String>> {
        Box::pin(async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let reader = Reader {
                pcm: None,
                cmn: CmnState::default(),
                faults: self.faults.clone(),
            };
            Ok(Box::new(reader) as Box<dyn SpeechToText>)
        })
    }

    fn is_ready(&self) -> bool {
        true
    }
}

fn one_utterance_more(cmn: &CmnState) -> CmnState {
    let json = serde_json::json!({ "sum": vec![0.0; 13], "frames": cmn.frames() + 1.0 });
    serde_json::from_value(json).expect("the fields of CmnState")
}

impl Reader {
    fn hypothesis(&self, over: bool) -> Hypothesis {
        let Some((start, pcm)) = &self.pcm else {
            return Hypothesis::default();
        };
        let mut words: Vec<Word> = Vec::new();
        let mut at = 0;
        while at < pcm.len() {
            let run = pcm[at..]
                .iter()
                .take_while(|sample| **sample == pcm[at])
                .count();
            if pcm[at] != 0.0 {
                let id = (pcm[at] * 1000.0).round() as u32;
                // What is not whole is heard as something else: longer runs are guessed better.
                let whole = run == VOICED;
                let text = match run {
                    _ if whole => format!("w{id}c{}", self.cmn.frames()),
                    _ if over => format!("broken{id}:{run}"),
                    _ => format!("guess{}", run / 1600),
                };
                let (start, end) = (start + at as u64, start + (at + run) as u64);
                words.push(Word {
                    text,
                    start,
                    end,
                    confidence: None,
                });
            }
            at += run;
        }
        Hypothesis { words }
    }
}

impl SpeechToText for Reader {
    fn start(&mut self, start: UtteranceStart) -> Result<(), SttError> {
        self.cmn = start.cmn;
        self.pcm = Some((start.sample, Vec::new()));
        Ok(())
    }

    fn process(&mut self, pcm: &[f32]) -> Result<(), SttError> {
        let Some((_, heard)) = &mut self.pcm else {
            return Err(SttError::NotStarted);
        };
        heard.extend_from_slice(pcm);
        let fault = |id: &u32| pcm.contains(&(*id as f32 / 1000.0));
        match self.faults.lock().iter().any(fault) {
            true => Err(SttError::Engine {
                operation: "process",
            }),
            false => Ok(()),
        }
    }

    fn partial(&mut self) -> Result<Hypothesis, SttError> {
        Ok(self.hypothesis(false))
    }

    fn finish(&mut self) -> Result<Hypothesis, SttError> {
        let hypothesis = self.hypothesis(true);
        self.pcm = None;
        self.cmn = one_utterance_more(&self.cmn);
        Ok(hypothesis)
    }

    fn abandon(&mut self) {
        self.pcm = None;
    }

    fn cmn(&self) -> &CmnState {
        &self.cmn
    }
}

/// Puts an `es:` before every word. A clause with a word of `poison` cannot be translated.
#[derive(Default)]
pub(super) struct Prefixer {
    pub(super) poison: Mutex<Vec<String>>,
    pub(super) asked: Mutex<Vec<String>>,
}

impl Translate for Prefixer {
    fn pairs(&self) -> Vec<LangPair> {
        vec![LangPair::new(Lang::EN, Lang::ES)]
    }

    fn translate(
        &self,
        _: LangPair,
        clause: &str,
    ) -> EngineFuture<'_, Result<String, TranslateError>> {
        let clause = clause.to_owned();
        self.asked.lock().push(clause.clone());
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(3)).await;
            let poison = |word: &str| {
                self.poison
                    .lock()
                    .iter()
                    .any(|bad| bad.eq_ignore_ascii_case(word))
            };
            if clause.split(' ').any(poison) {
                return Err(TranslateError::Poison {
                    attempts: 3,
                    reason: "scripted".into(),
                });
            }
            Ok(clause
                .split(' ')
                .map(|word| format!("es:{}", word.to_lowercase()))
                .collect::<Vec<_>>()
                .join(" "))
        })
    }
}

/// Speaks every letter as 20 samples of its code.
pub(super) struct Speller;

impl Voices for Speller {
    fn languages(&self) -> Vec<Lang> {
        vec![Lang::ES]
    }

    fn speak(&self, request: SpeechRequest) -> Speaking {
        let words: Vec<String> = request
            .text
            .split_inclusive(' ')
            .map(str::to_owned)
            .collect();
        let chunks = stream::iter(words).then(|word| async move {
            tokio::time::sleep(Duration::from_millis(2)).await;
            Ok(word
                .bytes()
                .flat_map(|letter| [f32::from(letter) / 256.0; 20])
                .collect())
        });
        Speaking {
            sample_rate: 16_000,
            chunks: chunks.boxed_local(),
        }
    }
}
