//! The last stage, one a language: clauses to sound.

use std::sync::Arc;
use std::time::Instant;

use futures_util::StreamExt;
use hive_media::audio::resample::Up;
use hive_models::Lang;
use hive_models::tts::{SpeechRequest, SynthesiseError};

use super::journal::{Journal, Lease, Spoken, Stage, TtsWork};
use super::stage::{self, Listening, StageError};
use crate::engines::Voices;
use crate::settings::SpeechSettings;
use crate::supervision::{ChildContext, ChildSpec};
use crate::telemetry;

/// The stage of a speaker and a language.
pub(crate) fn spec(
    journal: Arc<Journal>,
    engine: Arc<dyn Voices>,
    settings: SpeechSettings,
    lang: Lang,
) -> ChildSpec {
    stage::spec(id(lang), move |child| {
        let voice = Voice {
            lease: journal.lease(Stage::Tts(lang)),
            journal: journal.clone(),
            engine: engine.clone(),
            settings: settings.clone(),
            lang,
        };
        voice.run(child)
    })
}

/// Its name among the stages.
pub(crate) fn id(lang: Lang) -> String {
    format!("tts:{lang}")
}

/// One incarnation's work.
struct Voice {
    journal: Arc<Journal>,
    engine: Arc<dyn Voices>,
    settings: SpeechSettings,
    lang: Lang,
    lease: Lease,
}

impl Voice {
    async fn run(self, child: ChildContext) -> Result<(), StageError> {
        let mut listening = Listening::new(self.journal.ears(Stage::Tts(self.lang)), &child)?;
        loop {
            while let Some(work) = self.journal.tts_next(self.lang, &self.settings) {
                self.speak(work).await?;
            }
            listening.ring().await?;
        }
    }

    /// Speaks a clause, or the rest of it: synthesis and resampling make the same samples again, so
    /// those that the channel has already are left out.
    async fn speak(&self, work: TtsWork) -> Result<(), StageError> {
        let started = Instant::now();
        let request = SpeechRequest {
            text: work.text,
            lang: self.lang,
            rate: Some(work.rate),
        };
        let mut speaking = self.engine.speak(request);
        let mut up =
            Up::new(speaking.sample_rate).map_err(|error| StageError::Failed(error.to_string()))?;
        let (mut made, mut pcm48) = (0, Vec::new());
        let mut first = true;
        while let Some(chunk) = speaking.chunks.next().await {
            let chunk = match chunk {
                Ok(chunk) => chunk,
                Err(error @ SynthesiseError::Poison { .. }) => {
                    self.journal.tts_failed(
                        self.lease,
                        self.lang,
                        work.number,
                        &error.to_string(),
                    )?;
                    return Ok(());
                }
                Err(error) => return Err(StageError::Failed(error.to_string())),
            };
            if std::mem::take(&mut first) {
                telemetry::stage("tts", started.elapsed());
            }
            pcm48.clear();
            up.stream().push(&chunk, &mut pcm48);
            if self.hand_over(&work.number, work.handed, &mut made, &pcm48, false)?
                == Spoken::Cancelled
            {
                return Ok(());
            }
        }
        pcm48.clear();
        up.stream().finish(&mut pcm48);
        self.hand_over(&work.number, work.handed, &mut made, &pcm48, true)?;
        Ok(())
    }

    fn hand_over(
        &self,
        number: &u64,
        handed: u64,
        made: &mut u64,
        pcm48: &[f32],
        last: bool,
    ) -> Result<Spoken, StageError> {
        let known = handed.saturating_sub(*made).min(pcm48.len() as u64) as usize;
        *made += pcm48.len() as u64;
        Ok(self
            .journal
            .tts_commit(self.lease, self.lang, *number, &pcm48[known..], last)?)
    }
}
