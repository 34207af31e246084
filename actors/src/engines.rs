//! The engines of the process, and what they can do together.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::StreamExt;
use futures_util::stream::{self, LocalBoxStream};
use hive_models::mt::Translate;
use hive_models::stt::{
    CmnState, DecoderPool, Hypothesis, PooledDecoder, SpeechToText, SttError, UtteranceStart,
};
use hive_models::tts::{SpeechRequest, SpeechStream, Synthesise, SynthesiseError};
use hive_models::{EngineFuture, Lang, LangPair};

use crate::device::ModelQueue;
use crate::pipeline::ingest::MakeDecoder;
use crate::pipeline::stt::SttModel;
use crate::pipeline::vad::VadModel;

/// Lends recognisers of one language.
pub(crate) trait SpeechEngine: Send + Sync {
    /// A recogniser; waits for one to be free. Dropping it gives it back.
    fn checkout(&self) -> EngineFuture<'_, Result<Box<dyn SpeechToText>, String>>;

    /// Whether one is ready now, or none is only because all are at work.
    fn is_ready(&self) -> bool;
}

/// Speaks clauses; see [`Synthesise`], of which every engine is one.
pub(crate) trait Voices: Send + Sync {
    /// The languages there are voices for.
    fn languages(&self) -> Vec<Lang>;

    /// Starts to speak; never blocks.
    fn speak(&self, request: SpeechRequest) -> Speaking;
}

/// A clause's samples as they are made. Dropping it stops the synthesis.
pub(crate) struct Speaking {
    /// Samples a second.
    pub(crate) sample_rate: u32,
    /// Mono chunks, −1…1; an error is the last thing given.
    pub(crate) chunks: LocalBoxStream<'static, Result<Vec<f32>, SynthesiseError>>,
}

impl<T: Synthesise> Voices for T {
    fn languages(&self) -> Vec<Lang> {
        Synthesise::languages(self)
    }

    fn speak(&self, request: SpeechRequest) -> Speaking {
        let stream = self.synthesise(request);
        let sample_rate = stream.sample_rate();
        let next = |mut stream: SpeechStream| async move { Some((stream.next().await?, stream)) };
        Speaking {
            sample_rate,
            chunks: stream::unfold(stream, next).boxed_local(),
        }
    }
}

/// Everything that stages need besides their logs.
#[derive(Clone)]
pub(crate) struct Engines {
    pub(crate) frames: MakeDecoder,
    pub(crate) vad: ModelQueue<VadModel>,
    pub(crate) stt: ModelQueue<SttModel>,
    pub(crate) recognisers: BTreeMap<Lang, Arc<dyn SpeechEngine>>,
    pub(crate) translate: Arc<dyn Translate>,
    pub(crate) voices: Arc<dyn Voices>,
}

impl fmt::Debug for Engines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Engines({:?})", self.pairs())
    }
}

impl Engines {
    /// Whether somebody can be given what is said in a language: as it is, or interpreted.
    pub(crate) fn leads_to(&self, lang: Lang) -> bool {
        self.recognisers.contains_key(&lang) || self.read_pairs().iter().any(|pair| pair.to == lang)
    }

    /// The directions that can be interpreted: heard, translated and spoken.
    pub(crate) fn pairs(&self) -> Vec<LangPair> {
        let spoken = self.voices.languages();
        self.read_pairs()
            .into_iter()
            .filter(|pair| spoken.contains(&pair.to))
            .collect()
    }

    /// The directions that can be captioned: heard and translated.
    pub(crate) fn read_pairs(&self) -> Vec<LangPair> {
        let heard = |pair: &LangPair| self.recognisers.contains_key(&pair.from);
        self.translate.pairs().into_iter().filter(heard).collect()
    }

    /// Whether a speaker of one language can be captioned in another.
    pub(crate) fn translates(&self, from: Lang, to: Lang) -> bool {
        self.read_pairs().contains(&LangPair::new(from, to))
    }

    /// Whether there is a voice.
    pub(crate) fn speaks(&self, lang: Lang) -> bool {
        self.voices.languages().contains(&lang)
    }
}

/// A pool of decoders as an engine.
pub(crate) struct PooledEngine {
    pool: DecoderPool,
    /// Whether a decoder was ever ready; from then on an empty pool only means that all are at work.
    seen: AtomicBool,
}

impl PooledEngine {
    pub(crate) fn new(pool: DecoderPool) -> Self {
        PooledEngine {
            pool,
            seen: AtomicBool::new(false),
        }
    }
}

impl SpeechEngine for PooledEngine {
    fn checkout(&self) -> EngineFuture<'_, Result<Box<dyn SpeechToText>, String>> {
        Box::pin(async {
            let decoder = self
                .pool
                .checkout()
                .await
                .map_err(|error| error.to_string())?;
            Ok(Box::new(Lent(decoder)) as Box<dyn SpeechToText>)
        })
    }

    fn is_ready(&self) -> bool {
        self.seen
            .fetch_or(self.pool.stats().idle > 0, Ordering::Relaxed)
            || self.pool.stats().idle > 0
    }
}

/// A decoder on loan, as a recogniser like any other.
struct Lent(PooledDecoder);

impl SpeechToText for Lent {
    fn start(&mut self, start: UtteranceStart) -> Result<(), SttError> {
        self.0.start(start)
    }

    fn process(&mut self, pcm: &[f32]) -> Result<(), SttError> {
        self.0.process(pcm)
    }

    fn partial(&mut self) -> Result<Hypothesis, SttError> {
        self.0.partial()
    }

    fn finish(&mut self) -> Result<Hypothesis, SttError> {
        self.0.finish()
    }

    fn abandon(&mut self) {
        self.0.abandon();
    }

    fn cmn(&self) -> &CmnState {
        self.0.cmn()
    }
}
