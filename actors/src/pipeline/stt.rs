//! The third stage: samples of speech to words.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hive_models::stt::{Hypothesis, SpeechToText, SttError, UtteranceStart};
use hive_models::vad::WINDOW_SAMPLES;

use super::journal::{Journal, Lease, Stage, SttWork};
use super::stage::{self, Listening, StageError};
use crate::device::{Model, ModelQueue};
use crate::engines::SpeechEngine;
use crate::supervision::{ChildContext, ChildSpec};

/// A partial caption is wanted this soon after its audio.
const PARTIAL_DEADLINE: Duration = Duration::from_millis(100);

/// The end of an utterance, which its translation waits for, is more urgent.
const FINAL_DEADLINE: Duration = Duration::from_millis(20);

/// A recogniser and what it is to do; it travels to a compute thread and back.
pub(crate) struct SttJob {
    decoder: Box<dyn SpeechToText>,
    order: Order,
}

enum Order {
    Start(UtteranceStart),
    Process { pcm: Vec<f32>, hypothesise: bool },
    Finish,
}

/// The recogniser come back.
pub(crate) struct SttDone {
    decoder: Box<dyn SpeechToText>,
    result: Result<Option<Hypothesis>, SttError>,
}

/// Recognition as the device runs it. The state is in the decoders, so nothing is shared.
pub(crate) struct SttModel;

impl Model for SttModel {
    type Request = SttJob;
    type Response = SttDone;

    fn run(&self, batch: Vec<SttJob>) -> Vec<SttDone> {
        batch
            .into_iter()
            .map(|mut job| {
                let result = job.order.carry_out(job.decoder.as_mut());
                SttDone {
                    decoder: job.decoder,
                    result,
                }
            })
            .collect()
    }
}

impl Order {
    fn carry_out(self, decoder: &mut dyn SpeechToText) -> Result<Option<Hypothesis>, SttError> {
        match self {
            Order::Start(start) => decoder.start(start).map(|()| None),
            Order::Process { pcm, hypothesise } => {
                for window in pcm.chunks(WINDOW_SAMPLES) {
                    decoder.process(window)?;
                }
                if hypothesise {
                    decoder.partial().map(Some)
                } else {
                    Ok(None)
                }
            }
            Order::Finish => decoder.finish().map(Some),
        }
    }
}

/// The stage of a speaker.
pub(crate) fn spec(
    journal: Arc<Journal>,
    engine: Arc<dyn SpeechEngine>,
    model: ModelQueue<SttModel>,
) -> ChildSpec {
    stage::spec("stt".into(), move |child| {
        let recogniser = Recogniser {
            journal: journal.clone(),
            engine: engine.clone(),
            model: model.clone(),
            lease: journal.lease(Stage::Stt),
            at: None,
        };
        recogniser.run(child)
    })
}

/// One incarnation's work.
struct Recogniser {
    journal: Arc<Journal>,
    engine: Arc<dyn SpeechEngine>,
    model: ModelQueue<SttModel>,
    lease: Lease,
    /// A decoder while an utterance is open: its number, and up to where it was fed.
    at: Option<(Box<dyn SpeechToText>, u64, u64)>,
}

impl Recogniser {
    async fn run(mut self, child: ChildContext) -> Result<(), StageError> {
        let mut listening = Listening::new(self.journal.ears(Stage::Stt), &child)?;
        loop {
            while let Some(work) = self
                .journal
                .stt_next(self.at.as_ref().map(|at| (at.1, at.2)))
            {
                self.step(work).await?;
            }
            listening.ring().await?;
        }
    }

    async fn step(&mut self, work: SttWork) -> Result<(), StageError> {
        match work {
            SttWork::Start { n, sample, cmn } => {
                // A decoder that was at another utterance goes back to the pool, which resets it.
                self.at = None;
                let decoder = self.engine.checkout().await.map_err(StageError::Failed)?;
                let start = Order::Start(UtteranceStart { sample, cmn });
                let (decoder, _, _) = self.order(n, decoder, start, PARTIAL_DEADLINE).await?;
                self.at = Some((decoder, n, sample));
            }
            SttWork::Process {
                n,
                pcm,
                to,
                hypothesise,
                replay,
            } => {
                let Some((decoder, _, _)) = self.at.take() else {
                    return Ok(());
                };
                let order = Order::Process { pcm, hypothesise };
                let (decoder, hypothesis, compute) =
                    self.order(n, decoder, order, PARTIAL_DEADLINE).await?;
                self.at = Some((decoder, n, to));
                if !replay {
                    let now = tokio::time::Instant::now().into_std();
                    self.journal.stt_commit(
                        self.lease,
                        n,
                        to,
                        hypothesis.as_ref(),
                        compute,
                        now,
                    )?;
                }
            }
            SttWork::Finish { n } => {
                let Some((decoder, _, _)) = self.at.take() else {
                    return Ok(());
                };
                let (decoder, hypothesis, compute) = self
                    .order(n, decoder, Order::Finish, FINAL_DEADLINE)
                    .await?;
                let (hypothesis, cmn) = (hypothesis.unwrap_or_default(), decoder.cmn().clone());
                let now = tokio::time::Instant::now().into_std();
                self.journal
                    .stt_finish(self.lease, n, &hypothesis, cmn, compute, now)?;
            }
        }
        Ok(())
    }

    /// Has the device carry out an order. A failure of the engine is counted against the utterance.
    async fn order(
        &mut self,
        n: u64,
        decoder: Box<dyn SpeechToText>,
        order: Order,
        within: Duration,
    ) -> Result<(Box<dyn SpeechToText>, Option<Hypothesis>, Duration), StageError> {
        let outcome = match self
            .model
            .run(SttJob { decoder, order }, Instant::now() + within)
            .await
        {
            Ok(answer) => match answer.response.result {
                Ok(hypothesis) => return Ok((answer.response.decoder, hypothesis, answer.compute)),
                Err(error) => error.to_string(),
            },
            Err(error) => error.to_string(),
        };
        let now = tokio::time::Instant::now().into_std();
        self.journal.stt_failed(self.lease, n, &outcome, now)?;
        Err(StageError::Failed(outcome))
    }
}
