//! The second stage: which samples are speech.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hive_models::vad::{VadError, VadState, VadWindow, VoiceActivity};

use super::journal::{Journal, Stage};
use super::stage::{self, Listening, StageError};
use crate::device::{Model, ModelQueue};
use crate::supervision::{ChildContext, ChildSpec};

/// A judgement is wanted before the next window is there.
const DEADLINE: Duration = Duration::from_millis(20);

/// The voice activity model as the device runs it: one batch over all speakers.
pub(crate) struct VadModel(pub(crate) Arc<dyn VoiceActivity>);

impl Model for VadModel {
    type Request = (VadWindow, VadState);
    type Response = Result<(f32, VadState), VadError>;

    fn run(&self, batch: Vec<Self::Request>) -> Vec<Self::Response> {
        let (windows, mut states): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        let mut borrowed: Vec<&mut VadState> = states.iter_mut().collect();
        match self.0.run(&windows, &mut borrowed) {
            Ok(probabilities) => probabilities.into_iter().zip(states).map(Ok).collect(),
            Err(error) => states.iter().map(|_| Err(error.clone())).collect(),
        }
    }
}

/// The stage of a speaker.
pub(crate) fn spec(journal: Arc<Journal>, model: ModelQueue<VadModel>) -> ChildSpec {
    stage::spec("vad".into(), move |child| {
        run(journal.clone(), model.clone(), child)
    })
}

async fn run(
    journal: Arc<Journal>,
    model: ModelQueue<VadModel>,
    child: ChildContext,
) -> Result<(), StageError> {
    let mut listening = Listening::new(journal.ears(Stage::Vad), &child)?;
    let lease = journal.lease(Stage::Vad);
    loop {
        while let Some(work) = journal.vad_next() {
            let request = (work.window, work.state);
            let answer = model
                .run(request, Instant::now() + DEADLINE)
                .await
                .map_err(|error| StageError::Failed(error.to_string()))?;
            let (probability, state) = answer
                .response
                .map_err(|error| StageError::Failed(error.to_string()))?;
            journal.vad_commit(lease, work.position, probability, state)?;
        }
        listening.ring().await?;
    }
}
