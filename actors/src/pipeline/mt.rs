//! The fourth stage, one a language: words to clauses of the language.

use std::sync::Arc;
use std::time::Instant;

use hive_models::mt::interjections;
use hive_models::mt::truecase::truecase;
use hive_models::mt::{Translate, TranslateError};
use hive_models::{Lang, LangPair};

use super::journal::{Journal, Stage};
use super::stage::{self, Listening, StageError};
use crate::supervision::{ChildContext, ChildSpec};
use crate::telemetry;

/// The stage of a speaker and a language.
pub(crate) fn spec(journal: Arc<Journal>, engine: Arc<dyn Translate>, lang: Lang) -> ChildSpec {
    stage::spec(id(lang), move |child| {
        run(journal.clone(), engine.clone(), lang, child)
    })
}

/// Its name among the stages.
pub(crate) fn id(lang: Lang) -> String {
    format!("mt:{lang}")
}

async fn run(
    journal: Arc<Journal>,
    engine: Arc<dyn Translate>,
    lang: Lang,
    child: ChildContext,
) -> Result<(), StageError> {
    let mut listening = Listening::new(journal.ears(Stage::Mt(lang)), &child)?;
    let lease = journal.lease(Stage::Mt(lang));
    let pair = LangPair::new(journal.speaker().lang, lang);
    loop {
        while let Some(work) = journal.mt_next(lang) {
            let started = Instant::now();
            let clause = interjections::set_off(pair.from, &work.text);
            let clause = truecase(pair.from, &clause, work.starts_utterance);
            match engine.translate(pair, &clause).await {
                Ok(translation) => {
                    let compute = started.elapsed();
                    telemetry::stage("mt", compute);
                    let now = tokio::time::Instant::now().into_std();
                    journal.mt_commit(lease, lang, &work, &translation, compute, now)?;
                }
                Err(error @ TranslateError::Poison { .. }) => {
                    journal.mt_failed(lease, lang, &work, &error.to_string())?;
                }
                // Nothing is wrong with the clause: it is translated once the engine is back.
                Err(error) => return Err(StageError::Failed(error.to_string())),
            }
        }
        listening.ring().await?;
    }
}
