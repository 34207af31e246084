//! The participant `interpreter`: one track for each language and speaker, in a room that asks for
//! languages.

use std::collections::BTreeMap;
use std::sync::Arc;

use hive_media::{MediaKind, PeerId, TrackId};
use hive_models::Lang;

use super::proto::{self, participant_info};
use super::roster::{Profile, Publication, Visible};
use super::sid;

/// The interpreter's identity, which nobody else may have.
pub const INTERPRETER: &str = "interpreter";

/// The interpreter of one room.
#[derive(Clone, Debug)]
pub(crate) struct Interpreter {
    pub(crate) identity: Arc<str>,
    pub(crate) profile: Profile,
    pub(crate) publications: BTreeMap<Arc<str>, Publication>,
    /// The publication of each language and speaker.
    voices: BTreeMap<(Lang, Arc<str>), Arc<str>>,
}

impl Interpreter {
    pub(crate) fn new() -> Self {
        Interpreter {
            identity: INTERPRETER.into(),
            profile: Profile {
                kind: participant_info::Kind::Agent,
                attributes: [
                    ("hive.interpreter".to_owned(), "true".to_owned()),
                    // It is not the agent that an application's user talks to, whose state LiveKit's
                    // components wait for: they pass over those who publish for somebody else.
                    ("lk.publish_on_behalf".to_owned(), INTERPRETER.to_owned()),
                ]
                .into(),
                ..Profile::default()
            },
            publications: BTreeMap::new(),
            voices: BTreeMap::new(),
        }
    }

    pub(crate) fn seen(&self) -> Visible<'_> {
        Visible {
            identity: &self.identity,
            name: Some("Interpreter"),
            profile: &self.profile,
            publications: &self.publications,
        }
    }

    /// Publishes the voice that says in a language what a speaker says.
    pub(crate) fn publish(&mut self, lang: Lang, speaker: &Arc<str>, track: TrackId) {
        let sid = sid::track();
        let info = proto::TrackInfo {
            sid: sid.to_string(),
            r#type: proto::TrackType::Audio.into(),
            name: format!("{lang}:{speaker}"),
            source: proto::TrackSource::Microphone.into(),
            mime_type: "audio/opus".to_owned(),
            stream: format!("{lang}:{speaker}"),
            disable_red: true,
            ..Default::default()
        };
        self.profile
            .attributes
            .insert(attribute(&sid), format!("{lang}:{speaker}"));
        let publication = Publication {
            info,
            track,
            peer: PeerId(0),
            kind: MediaKind::Audio,
            subscribed: false,
        };
        self.publications.insert(sid.clone(), publication);
        self.voices.insert((lang, speaker.clone()), sid);
        self.profile.version += 1;
    }

    /// Unpublishes a voice.
    pub(crate) fn unpublish(&mut self, lang: Lang, speaker: &Arc<str>) {
        if let Some(sid) = self.voices.remove(&(lang, speaker.clone())) {
            self.publications.remove(&sid);
            self.profile.attributes.remove(&attribute(&sid));
            self.profile.version += 1;
        }
    }

    /// The language and the speaker of a track.
    pub(crate) fn voice(&self, track: &str) -> Option<(Lang, &Arc<str>)> {
        let mut voices = self.voices.iter();
        voices
            .find(|(_, sid)| ***sid == *track)
            .map(|((lang, speaker), _)| (*lang, speaker))
    }

    /// The track that says in a language what a speaker says.
    pub(crate) fn track_of(&self, lang: Lang, speaker: &Arc<str>) -> Option<&Arc<str>> {
        self.voices.get(&(lang, speaker.clone()))
    }
}

/// The participant attribute that tells what a track is.
fn attribute(track: &str) -> String {
    format!("hive.track.{track}")
}
