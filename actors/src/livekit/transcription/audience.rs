//! Who is told of a caption, and in whose name.

use std::sync::Arc;

use hive_media::PeerId;
use hive_models::Lang;

use crate::events::schema::Caption;
use crate::livekit::interpreter::INTERPRETER;
use crate::livekit::listeners::{may_receive, reads};
use crate::livekit::member::Member;
use crate::room::RoomState;

/// Where a caption comes from. It is remembered, as some are told after the speaker has left.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// Whose permissions hold.
    owner: Option<Arc<Member>>,
    /// The sid of the speaker's microphone.
    microphone: Arc<str>,
    /// In whose name it is told: the speaker, or the interpreter for a translation.
    identity: Arc<str>,
    /// Of that participant; none if the interpreter publishes nothing (any more).
    sid: Option<Arc<str>>,
    /// The track that is written down, unless there is none.
    track: Option<Arc<str>>,
}

/// Who is told of a caption, and in whose name.
#[derive(Debug)]
pub(super) struct Audience {
    pub(super) peers: Vec<PeerId>,
    pub(super) identity: Arc<str>,
    pub(super) sid: String,
    pub(super) track: Option<Arc<str>>,
}

impl Source {
    /// None for a speaker whom nobody may know of, or who is not here any more.
    pub(super) fn of(state: &RoomState, caption: &Caption) -> Option<Source> {
        let speaker = state.participants.get(&caption.speaker)?;
        if speaker.profile.permission.hidden {
            return None;
        }
        let microphone = speaker.microphone_of(&caption.utterance)?;
        let source = Source {
            owner: microphone.owner.clone(),
            microphone: microphone.sid.clone(),
            identity: caption.speaker.clone(),
            sid: Some(speaker.profile.sid.clone()),
            track: Some(microphone.sid.clone()),
        };
        if !caption.translated {
            return Some(source);
        }
        // A translation is not what the speaker said: it is never told in their name.
        let interpreter = state.interpreter.as_ref();
        let lang: Option<Lang> = caption.lang.parse().ok();
        let voice = interpreter.zip(lang);
        Some(Source {
            identity: INTERPRETER.into(),
            sid: interpreter.map(|it| it.profile.sid.clone()),
            track: voice.and_then(|(it, lang)| it.track_of(lang, &caption.speaker).cloned()),
            ..source
        })
    }

    /// Those who may have the caption and asked for it, with a client of LiveKit's.
    pub(super) fn audience(&self, state: &RoomState, caption: &Caption) -> Audience {
        let translation = caption.translated.then(|| {
            let lang: Option<Lang> = caption.lang.parse().ok();
            lang.filter(|lang| state.asked_of(&caption.speaker).contains(lang))
        });
        let asked = match translation {
            None => state.writes_down(),
            Some(lang) => lang.is_some(),
        };
        let peers = state
            .clients()
            .filter(|_| asked)
            .filter(|(own, member)| may_receive(own, member, self.owner.as_ref(), &self.microphone))
            .filter(|(own, _)| translation.flatten().is_none_or(|lang| reads(own, lang)))
            .map(|(_, member)| member.subscriber)
            .collect();
        Audience {
            peers,
            identity: self.identity.clone(),
            sid: self.sid.as_deref().unwrap_or_default().to_owned(),
            track: self.track.clone(),
        }
    }
}
