//! A participant: the actor that runs as much of their pipeline as somebody wants.

use std::cell::Cell;
use std::sync::Arc;

use hive_models::Lang;

use crate::channel::{self, ChannelInput};
use crate::engines::Engines;
use crate::events::schema::{ErrorNotice, EventBody};
use crate::hall::Hall;
use crate::livekit;
use crate::pipeline::journal::Journal;
use crate::pipeline::stage::{self, Listening, StageError};
use crate::pipeline::{ingest, mt, stt, tts, vad};
use crate::room::{Demand, LastWords, Publishing, Room, RoomState, Work, ensure};
use crate::supervision::{ChildContext, ChildSpec, Strategy, SupervisorHandle};

/// A participant's part of the tree: the pipeline and the actor, which restarts if the pipeline had to
/// be started anew without its stages.
pub(crate) fn spec(
    hall: Arc<Hall>,
    room: Arc<Room>,
    identity: Arc<str>,
    publishing: Option<Publishing>,
) -> ChildSpec {
    let id = identity.clone();
    let actor = stage::spec("participant".into(), move |child| {
        run(
            hall.clone(),
            room.clone(),
            identity.clone(),
            publishing.clone(),
            child,
        )
    });
    with_pipeline(id, actor)
}

/// What runs for a microphone that was replaced, until its last words are interpreted.
pub(crate) fn last_words(
    hall: Arc<Hall>,
    room: Arc<Room>,
    identity: Arc<str>,
    former: LastWords,
) -> ChildSpec {
    let id = identity.clone();
    let actor = stage::spec("last_words".into(), move |child| {
        let speaking = Speaking::new(
            hall.clone(),
            room.clone(),
            identity.clone(),
            former.publishing.clone(),
            &child,
        );
        let ears = former.ears.clone();
        async move {
            let mut listening = Listening::new(Some(ears), &child)?;
            loop {
                speaking.fit().await?;
                listening.ring().await?;
            }
        }
    });
    with_pipeline(id, actor)
}

fn with_pipeline(id: Arc<str>, actor: ChildSpec) -> ChildSpec {
    let pipeline = stage::lenient("pipeline").strategy(Strategy::RestForOne);
    let spec = stage::lenient(&id)
        .strategy(Strategy::RestForOne)
        .child(ChildSpec::supervisor("pipeline", pipeline))
        .child(actor);
    ChildSpec::supervisor(id, spec)
}

async fn run(
    hall: Arc<Hall>,
    room: Arc<Room>,
    identity: Arc<str>,
    publishing: Option<Publishing>,
    child: ChildContext,
) -> Result<(), StageError> {
    let ears = room
        .state
        .lock()
        .participants
        .get(&identity)
        .map(|participant| participant.ears.clone());
    // Somebody who left before this started: the room's actor is about to end this.
    let Some(ears) = ears else {
        return std::future::pending().await;
    };
    let mut listening = Listening::new(Some(ears), &child)?;
    let above = child.supervisor().clone();
    let speaking = publishing.map(|publishing| {
        Speaking::new(
            hall.clone(),
            room.clone(),
            identity.clone(),
            publishing,
            &child,
        )
    });
    loop {
        fit_client(&hall, &room, &identity, &above).await?;
        if let Some(speaking) = &speaking {
            speaking.fit().await?;
        }
        listening.ring().await?;
    }
}

/// A microphone, and the pipeline that interprets what is said into it.
struct Speaking {
    hall: Arc<Hall>,
    room: Arc<Room>,
    identity: Arc<str>,
    publishing: Publishing,
    pipeline: SupervisorHandle,
    warned: Cell<bool>,
}

impl Speaking {
    fn new(
        hall: Arc<Hall>,
        room: Arc<Room>,
        identity: Arc<str>,
        publishing: Publishing,
        child: &ChildContext,
    ) -> Self {
        let above = child.supervisor();
        Speaking {
            hall,
            room,
            identity,
            publishing,
            pipeline: above.supervisor(&above.path().join("pipeline")),
            warned: Cell::new(false),
        }
    }

    /// Has as much of the pipeline run as somebody wants.
    async fn fit(&self) -> Result<(), StageError> {
        let (engines, journal) = (&self.hall.engines, &self.publishing.journal);
        let (demand, channels) = {
            let state = self.room.state.lock();
            let demand = state.demand_of(&self.identity, &self.publishing);
            (demand, Channels::of(&state, &self.identity))
        };
        let lang = journal.speaker().lang;
        if demand.captions && !engines.recognisers.contains_key(&lang) && !self.warned.replace(true)
        {
            let identity = &self.identity;
            self.room.bus.emit(EventBody::Error(ErrorNotice {
                code: "no_speech_engine",
                message: format!(
                    "{identity} speaks {lang}, which no engine here recognises: no captions"
                ),
                missed: None,
            }));
        }
        let speech = &self.hall.settings.pipeline.speech;
        fit(engines, journal, &demand, &channels, &self.pipeline, speech).await
    }
}

/// Runs the actor of the participant's client, if they have one.
async fn fit_client(
    hall: &Arc<Hall>,
    room: &Arc<Room>,
    identity: &Arc<str>,
    above: &SupervisorHandle,
) -> Result<(), StageError> {
    let member = room.state.lock().member(identity);
    let wanted = member.as_deref().map(livekit::actor::id);
    for child in stage::children(above) {
        if child.starts_with("client:") && wanted.as_deref() != Some(&*child) {
            let _ = above.terminate_child(&child).await;
        }
    }
    match member {
        Some(member) => {
            let client = livekit::actor::spec(hall.clone(), room.clone(), member);
            ensure(above, client).await
        }
        None => Ok(()),
    }
}

/// Where a speaker's sound and translations go.
struct Channels {
    /// The mix of each language.
    mixes: Vec<(Lang, Arc<dyn ChannelInput>)>,
    /// The speaker's own voice in each language.
    voices: Vec<(Lang, Arc<dyn ChannelInput>)>,
}

impl Channels {
    fn of(state: &RoomState, speaker: &Arc<str>) -> Channels {
        let mixes = state.channels.iter();
        let voices = state.voices.iter();
        Channels {
            mixes: mixes
                .map(|(lang, channel)| (*lang, channel.clone() as _))
                .collect(),
            voices: voices
                .filter(|((_, of), _)| of == speaker)
                .map(|((lang, _), voice)| (*lang, voice.clone() as _))
                .collect(),
        }
    }

    /// What speaks a language.
    fn spoken(&self, lang: Lang) -> Option<Arc<dyn ChannelInput>> {
        let all = self.mixes.iter().chain(&self.voices);
        let of_lang = all.filter(|(of, _)| *of == lang);
        channel::fan(of_lang.map(|(_, channel)| channel.clone()).collect())
    }
}

/// Makes the pipeline fit what is wanted.
async fn fit(
    engines: &Engines,
    journal: &Arc<Journal>,
    demand: &Demand,
    channels: &Channels,
    pipeline: &SupervisorHandle,
    speech: &crate::settings::SpeechSettings,
) -> Result<(), StageError> {
    let work = demand.of_speaker(journal.speaker().lang, engines);
    let wanted = stages(&work);
    // What is no longer wanted ends, the last first, before what it reads is closed.
    for id in stage::children(pipeline).into_iter().rev() {
        if !wanted.iter().any(|stage| *stage == *id) {
            let _ = pipeline.terminate_child(&id).await;
        }
    }
    journal.set_floors(&channels.mixes);
    journal.set_listening(work.ingest);
    journal.set_recognising(work.recognise);
    journal.keep_languages(&work.languages);
    for (lang, spoken) in &work.languages {
        let channel = spoken.then(|| channels.spoken(*lang)).flatten();
        journal.open_language(*lang, channel);
    }
    if work.ingest {
        ensure(
            pipeline,
            ingest::spec(journal.clone(), engines.frames.clone()),
        )
        .await?;
    }
    if !work.recognise {
        return Ok(());
    }
    ensure(pipeline, vad::spec(journal.clone(), engines.vad.clone())).await?;
    if let Some(engine) = engines.recognisers.get(&journal.speaker().lang) {
        ensure(
            pipeline,
            stt::spec(journal.clone(), engine.clone(), engines.stt.clone()),
        )
        .await?;
    }
    for (lang, spoken) in &work.languages {
        ensure(
            pipeline,
            mt::spec(journal.clone(), engines.translate.clone(), *lang),
        )
        .await?;
        if *spoken {
            let voice = tts::spec(
                journal.clone(),
                engines.voices.clone(),
                speech.clone(),
                *lang,
            );
            ensure(pipeline, voice).await?;
        }
    }
    Ok(())
}

/// The stages that some work takes, in the order in which they depend on each other.
fn stages(work: &Work) -> Vec<String> {
    let mut stages = Vec::new();
    if work.ingest {
        stages.push("ingest".to_owned());
    }
    if work.recognise {
        stages.extend(["vad".to_owned(), "stt".to_owned()]);
        for (lang, spoken) in &work.languages {
            stages.push(mt::id(*lang));
            if *spoken {
                stages.push(tts::id(*lang));
            }
        }
    }
    stages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_that_is_only_read_needs_no_voice() {
        let work = Work {
            ingest: true,
            recognise: true,
            languages: [(Lang::ES, false)].into(),
        };
        assert_eq!(stages(&work), ["ingest", "vad", "stt", "mt:es"]);
    }

    #[test]
    fn nothing_runs_for_nobody() {
        assert!(stages(&Work::default()).is_empty());
    }
}
