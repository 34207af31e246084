//! Opening and keeping sessions.

use std::sync::Arc;
use std::time::Instant;

use hive_media::{AcceptPeer, PeerId, Role, Subscription, TrickleFragment};
use hive_models::Lang;

use super::{
    IceRestart, ListenRequest, PublishRequest, Service, Session, SessionError, SessionId,
    SessionKind, TrickleError, check_name,
};
use crate::channel::{Channel, FrameSink};
use crate::events::schema::{ParticipantInfo, ParticipantsKind};
use crate::hall::{Hall, Held};
use crate::livekit::lifecycle::LifecycleKind;
use crate::livekit::proto::DisconnectReason;
use crate::livekit::roster::Publication;
use crate::livekit::{self, INTERPRETER};
use crate::pipeline::journal::{Journal, Speaker};
use crate::room::{Listening, Publishing, Room};

impl Service {
    /// Lets somebody speak in a room. Their former microphone, if there is one, is closed.
    ///
    /// # Errors
    /// See [`SessionError`].
    pub async fn publish(&self, request: PublishRequest) -> Result<Session, SessionError> {
        check_names(&request.room, &request.identity, request.name.as_deref())?;
        let room = self.hall.room(&request.room).await?;
        let identity: Arc<str> = request.identity.into();
        self.check_place(&room, &identity)?;
        let peer = PeerId(self.hall.number());
        let worker = self.hall.worker(&room);
        let accept = AcceptPeer {
            room: room.id,
            peer,
            offer: request.offer,
            role: Role::Publish,
        };
        let accepted = worker.accept(accept).await?;
        let Some(track) = accepted.tracks.first().copied() else {
            worker.close(peer);
            return Err(SessionError::NoTrack);
        };
        let speaker = Speaker {
            identity: identity.clone(),
            lang: request.lang,
        };
        let settings = self.hall.settings.pipeline.clone();
        let numbering = room.state.lock().numbering(&identity);
        let journal = Arc::new(Journal::new(speaker, settings, room.bus.clone(), numbering));
        let tap = journal.clone();
        worker.tap(track, Some(Box::new(move |frame| tap.push_packet(frame))));

        let session = SessionId::random();
        let etag = etag(&accepted.ice_ufrag);
        let held = Held {
            room: room.clone(),
            identity: identity.clone(),
            kind: SessionKind::Publish,
            peer,
            etag: etag.clone(),
        };
        let (sid, publication) = Publication::microphone(peer, track);
        let publishing = Publishing {
            session,
            peer,
            track,
            sid: sid.clone(),
            owner: None,
            journal,
        };
        let (former, own, info, new, added) = {
            let mut state = room.state.lock();
            if state.closed {
                worker.close(peer);
                return Err(SessionError::RoomRestarted);
            }
            // Somebody may have come while the offer was answered.
            let max = self.hall.settings.rooms.max_participants;
            state
                .check_place(max, &identity)
                .inspect_err(|_| worker.close(peer))?;
            let participant = state.participant(&identity, request.name);
            let new = !std::mem::replace(&mut participant.joined, true);
            let former = participant.speak_into(publishing, Instant::now());
            let track = publication.info.clone();
            participant.publications.insert(sid, publication);
            participant.profile.version += 1;
            let speaks = request.lang.to_string();
            let attributes = &mut participant.profile.attributes;
            attributes.insert(livekit::SPEAKS.to_owned(), speaks);
            participant.heed_attributes();
            let own: Vec<PeerId> = participant.listening.keys().copied().collect();
            // Of somebody who is here already; who comes now is told of with the track.
            let added = participant
                .announced
                .then(|| (participant.seen(&identity).view(), track));
            (former, own, participant.info(&identity), new, added)
        };
        self.hall.hold(session, held);
        for listener in own {
            worker.exclude(listener, peer, true);
        }
        if let Some(former) = former {
            self.hall
                .end(&former.session, DisconnectReason::DuplicateIdentity);
        }
        self.joined(&room, &identity, info, new);
        if let Some((who, track)) = added {
            let kind = LifecycleKind::TrackPublished;
            self.hall.happened_to(&room, kind, who, Some(track));
        }
        Ok(Session {
            id: session,
            answer: accepted.answer,
            etag,
        })
    }

    /// Lets somebody hear a room: its floor, or the room in a language.
    ///
    /// # Errors
    /// See [`SessionError`].
    pub async fn listen(&self, request: ListenRequest) -> Result<Session, SessionError> {
        check_names(&request.room, &request.identity, request.name.as_deref())?;
        let room = self.hall.room(&request.room).await?;
        let identity: Arc<str> = request.identity.into();
        self.check_place(&room, &identity)?;
        let lang = match request.lang {
            Some(asked) => self.channel_language(&room, asked)?,
            None => None,
        };
        let peer = PeerId(self.hall.number());
        let session = SessionId::random();
        let worker = self.hall.worker(&room);
        // The listener is counted before the channel is asked for, so that it is not taken away.
        let own = {
            let mut state = room.state.lock();
            if state.closed {
                return Err(SessionError::RoomRestarted);
            }
            state.check_place(self.hall.settings.rooms.max_participants, &identity)?;
            let participant = state.participant(&identity, request.name);
            participant.listening.insert(peer, Listening { lang });
            participant
                .publishing
                .as_ref()
                .map(|publishing| publishing.peer)
        };
        let held = Held {
            room: room.clone(),
            identity: identity.clone(),
            kind: SessionKind::Listen,
            peer,
            etag: String::new(),
        };
        self.hall.hold(session, held);
        // Ends the session again if the offer is refused, or the caller goes before it is answered.
        let undo = Undo {
            hall: &self.hall,
            session: Some(session),
        };
        let subscription = match lang {
            Some(lang) => Subscription::Source(self.channel(&room, lang).track()),
            None => Subscription::Floor,
        };
        let role = Role::Listen(subscription);
        let accepted = worker
            .accept(AcceptPeer {
                room: room.id,
                peer,
                offer: request.offer,
                role,
            })
            .await?;
        undo.keep();
        if let (Some(own), None) = (own, lang) {
            worker.exclude(peer, own, true);
        }
        let etag = etag(&accepted.ice_ufrag);
        self.hall.retag(&session, &etag);
        let told = {
            let mut state = room.state.lock();
            state.participants.get_mut(&identity).map(|participant| {
                let new = !std::mem::replace(&mut participant.joined, true);
                (participant.info(&identity), new)
            })
        };
        if let Some((info, new)) = told {
            self.joined(&room, &identity, info, new);
        }
        Ok(Session {
            id: session,
            answer: accepted.answer,
            etag,
        })
    }

    /// Applies a trickled ICE fragment. One with new credentials restarts ICE and has an answer.
    ///
    /// # Errors
    /// See [`TrickleError`].
    pub async fn trickle(
        &self,
        session: &SessionId,
        fragment: &str,
    ) -> Result<Option<IceRestart>, TrickleError> {
        let held = self
            .hall
            .held(session)
            .ok_or(TrickleError::UnknownSession)?;
        let fragment = TrickleFragment::parse(fragment)?;
        let restart = self
            .hall
            .worker(&held.room)
            .trickle(held.peer, fragment)
            .await?;
        Ok(restart.map(|restart| {
            let etag = etag(&restart.ice_ufrag);
            self.hall.retag(session, &etag);
            IceRestart {
                fragment: restart.fragment,
                etag,
            }
        }))
    }

    fn joined(&self, room: &Arc<Room>, identity: &Arc<str>, info: ParticipantInfo, new: bool) {
        if new {
            metrics::gauge!("hive_participants").increment(1.0);
            self.hall.announce(room, identity);
        }
        tracing::info!(room = %room.name, identity = %info.identity, "somebody joined");
        room.tell(ParticipantsKind::Joined, vec![info]);
        room.roster_changed();
    }

    pub(crate) fn check_place(&self, room: &Room, identity: &Arc<str>) -> Result<(), SessionError> {
        let max = self.hall.settings.rooms.max_participants;
        room.state.lock().check_place(max, identity)
    }

    /// The language of the channel that serves a wish; none if the floor does, as nothing could be
    /// translated into the language but it is spoken here.
    fn channel_language(&self, room: &Room, asked: Lang) -> Result<Option<Lang>, SessionError> {
        let engines = &self.hall.engines;
        let pairs = engines.pairs();
        if pairs.iter().any(|pair| pair.to == asked) {
            return Ok(Some(asked));
        }
        let spoken = engines.recognisers.contains_key(&asked) || room.state.lock().is_spoken(asked);
        if spoken {
            Ok(None)
        } else {
            Err(SessionError::UnsupportedLanguage {
                asked,
                available: pairs,
            })
        }
    }

    /// The room's channel of a language, made if it is not there.
    fn channel(&self, room: &Arc<Room>, lang: Lang) -> Arc<Channel> {
        let channel = {
            let mut state = room.state.lock();
            let make = || Arc::new(self.hall.mix(room, lang));
            state.channels.entry(lang).or_insert_with(make).clone()
        };
        room.changed();
        channel
    }
}

impl Hall {
    /// A voice that says in a language what one speaker says.
    pub(crate) fn voice(&self, room: &Room, lang: Lang) -> Arc<Channel> {
        Arc::new(self.mix(room, lang).resting(room.voices_bell()))
    }

    /// The mix of the floor and the interpreter in a language.
    fn mix(&self, room: &Room, lang: Lang) -> Channel {
        let writer = self.worker(room).add_source(room.id);
        let track = writer.track();
        Channel::new(
            lang,
            track,
            Box::new(writer),
            room.bus.clone(),
            self.settings.channel.clone(),
        )
    }
}

impl FrameSink for hive_media::SourceWriter {
    fn write(&self, payload: bytes::Bytes, timestamp: u32, level: u8) {
        hive_media::SourceWriter::write(self, payload, timestamp, level);
    }
}

/// Ends a session unless it is kept.
struct Undo<'a> {
    hall: &'a Hall,
    session: Option<SessionId>,
}

impl Undo<'_> {
    fn keep(mut self) {
        self.session = None;
    }
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        if let Some(session) = self.session {
            let reason = DisconnectReason::JoinFailure;
            self.hall.end(&session, reason);
        }
    }
}

fn etag(ice_ufrag: &str) -> String {
    format!("\"{ice_ufrag}\"")
}

pub(crate) fn check_names(
    room: &str,
    identity: &str,
    name: Option<&str>,
) -> Result<(), SessionError> {
    check_name("room", room)?;
    check_name("identity", identity)?;
    if identity == INTERPRETER {
        return Err(SessionError::ReservedIdentity(INTERPRETER));
    }
    name.map_or(Ok(()), |name| check_name("name", name))
}
