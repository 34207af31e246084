//! The room's actor: makes the tree below the room fit the room's state.
//!
//! It does not carry orders out; it compares what runs with what should run. So it can die at any
//! moment, and a look at the state puts right whatever was left half done.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hive_models::Lang;

use super::{LastWords, Room, voices};
use crate::channel;
use crate::hall::Hall;
use crate::livekit::interpreter::Interpreter;
use crate::livekit::proto::DisconnectReason;
use crate::livekit::transcription;
use crate::participant;
use crate::pipeline::stage::{self, Listening, StageError};
use crate::supervision::{
    ChildContext, ChildSpec, StartChildError, Strategy, SupervisorHandle, SupervisorSpec,
};

/// How often an empty room looks at the clock.
const EMPTY_CHECK: Duration = Duration::from_secs(1);

/// A room's part of the tree: channels, participants and the actor, which restarts if one of them had
/// to be started anew without its children.
pub(crate) fn spec(hall: Arc<Hall>, room: Arc<Room>) -> ChildSpec {
    let id = room.name.clone();
    let transcriber = transcription::spec(hall.clone(), room.clone());
    let actor = stage::spec("room".into(), move |child| {
        run(hall.clone(), room.clone(), child)
    });
    let spec = SupervisorSpec::new(id.clone())
        .strategy(Strategy::RestForOne)
        .child(ChildSpec::supervisor(
            "channels",
            stage::lenient("channels"),
        ))
        .child(ChildSpec::supervisor(
            "participants",
            stage::lenient("participants"),
        ))
        .child(ChildSpec::supervisor(
            "last_words",
            stage::lenient("last_words"),
        ))
        .child(actor)
        // Last and under a supervisor of its own, as nothing depends on it: its failures are its own.
        .child(ChildSpec::supervisor(
            "captions",
            stage::lenient("captions").child(transcriber),
        ));
    ChildSpec::supervisor(id, spec)
}

async fn run(hall: Arc<Hall>, room: Arc<Room>, child: ChildContext) -> Result<(), StageError> {
    let mut listening = Listening::new(Some(room.ears.clone()), &child)?;
    let above = child.supervisor().clone();
    let channels = above.supervisor(&above.path().join("channels"));
    let participants = above.supervisor(&above.path().join("participants"));
    let last_words = above.supervisor(&above.path().join("last_words"));
    loop {
        hall.collect(&room);
        fit_channels(&room, &channels).await?;
        fit_voices(&hall, &room, &channels).await?;
        fit_participants(&hall, &room, &participants).await?;
        fit_last_words(&hall, &room, &last_words).await?;
        if room.state.lock().recount(Instant::now()) {
            for member in room.members() {
                member.changed();
            }
        }
        tokio::select! {
            ring = listening.ring() => ring?,
            () = tokio::time::sleep(EMPTY_CHECK) => {}
        }
    }
}

async fn fit_channels(room: &Arc<Room>, channels: &SupervisorHandle) -> Result<(), StageError> {
    let (wanted, unwanted) = {
        let mut state = room.state.lock();
        let heard = state.heard();
        let unwanted: Vec<Lang> = state
            .channels
            .keys()
            .filter(|lang| !heard.contains(lang))
            .copied()
            .collect();
        for lang in &unwanted {
            state.channels.remove(lang);
        }
        (state.channels.clone(), unwanted)
    };
    for lang in unwanted {
        // An error says that it was gone already.
        let _ = channels.terminate_child(lang.as_str()).await;
    }
    for channel in wanted.into_values() {
        ensure(channels, channel::spec(channel.lang().to_string(), channel)).await?;
    }
    Ok(())
}

/// Publishes the voices of the interpreter: one for each language that somebody asks for and each
/// speaker of another.
async fn fit_voices(
    hall: &Arc<Hall>,
    room: &Arc<Room>,
    channels: &SupervisorHandle,
) -> Result<(), StageError> {
    let (any, changed) = {
        let mut state = room.state.lock();
        let wanted = state.voices_wanted(&hall.engines);
        let unwanted = |key: &&(Lang, Arc<str>)| !wanted.contains(*key);
        let gone: Vec<_> = state.voices.keys().filter(unwanted).cloned().collect();
        for key in &gone {
            state.voices.remove(key);
            if let Some(interpreter) = &mut state.interpreter {
                interpreter.unpublish(key.0, &key.1);
            }
        }
        let mut changed = !gone.is_empty();
        for (lang, speaker) in wanted {
            let key = (lang, speaker);
            if state.voices.contains_key(&key) {
                continue;
            }
            changed = true;
            let voice = hall.voice(room, lang);
            let interpreter = state.interpreter.get_or_insert_with(Interpreter::new);
            interpreter.publish(lang, &key.1, voice.track());
            state.voices.insert(key, voice);
        }
        if state.voices.is_empty()
            && let Some(interpreter) = state.interpreter.take()
        {
            let reason = DisconnectReason::ClientInitiated;
            state.departed.note(&interpreter.seen(), reason);
        }
        (!state.voices.is_empty(), changed)
    };
    if any {
        ensure(channels, voices::spec(room.clone())).await?;
    } else {
        // An error says that they do not run.
        let _ = channels.terminate_child(voices::ID).await;
    }
    if changed {
        room.voices_bell().ring();
        for member in room.members() {
            member.changed();
        }
    }
    Ok(())
}

async fn fit_participants(
    hall: &Arc<Hall>,
    room: &Arc<Room>,
    participants: &SupervisorHandle,
) -> Result<(), StageError> {
    let present: Vec<Arc<str>> = {
        let state = room.state.lock();
        state.participants.keys().cloned().collect()
    };
    let running = stage::children(participants);
    for identity in running
        .iter()
        .filter(|identity| !present.contains(identity))
    {
        let _ = participants.terminate_child(identity).await;
    }
    for identity in present {
        let (publishing, started) = {
            let state = room.state.lock();
            let Some(participant) = state.participants.get(&identity) else {
                continue;
            };
            (participant.publishing.clone(), participant.started)
        };
        let wanted = Some(publishing.as_ref().map(|publishing| publishing.session));
        if running.contains(&identity) && started != wanted {
            // They publish anew: what was there worked for the former microphone.
            let _ = participants.terminate_child(&identity).await;
        }
        ensure(
            participants,
            participant::spec(hall.clone(), room.clone(), identity.clone(), publishing),
        )
        .await?;
        let mut state = room.state.lock();
        if let Some(participant) = state.participants.get_mut(&identity) {
            participant.started = wanted;
            participant.changed();
        }
    }
    Ok(())
}

/// Starts and ends the pipelines of microphones that were replaced, whose last words are still
/// interpreted.
async fn fit_last_words(
    hall: &Arc<Hall>,
    room: &Arc<Room>,
    supervisor: &SupervisorHandle,
) -> Result<(), StageError> {
    let wanted: Vec<(Arc<str>, LastWords)> = {
        let state = room.state.lock();
        let former = state.participants.iter().filter_map(|(identity, who)| {
            let former = who.last_words.clone()?;
            Some((identity.clone(), former))
        });
        former.collect()
    };
    for child in stage::children(supervisor) {
        let goes_on = |(identity, it): &(Arc<str>, LastWords)| *identity == child && it.started;
        if !wanted.iter().any(goes_on) {
            let _ = supervisor.terminate_child(&child).await;
        }
    }
    for (identity, former) in wanted {
        let session = former.publishing.session;
        let spec = participant::last_words(hall.clone(), room.clone(), identity.clone(), former);
        ensure(supervisor, spec).await?;
        let mut state = room.state.lock();
        let who = state.participants.get_mut(&identity);
        if let Some(former) = who.and_then(|who| who.last_words.as_mut())
            && former.publishing.session == session
        {
            former.started = true;
            former.bell.ring();
        }
    }
    Ok(())
}

/// Starts a child unless it is there.
pub(crate) async fn ensure(
    supervisor: &SupervisorHandle,
    spec: ChildSpec,
) -> Result<(), StageError> {
    match supervisor.start_child(spec).await {
        Ok(_) | Err(StartChildError::AlreadyPresent(_)) => Ok(()),
        Err(error) => Err(StageError::Failed(error.to_string())),
    }
}
