//! Who comes in, who comes back, and who goes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hive_media::PeerId;

use super::client::{Client, Outbox};
use super::language::{Languages, RoomLanguages};
use super::lifecycle::{LifecycleKind, gone};
use super::member::{Member, Told, leave};
use super::proto::{self, DisconnectReason, leave_request, participant_info, signal_response};
use super::roster::{Profile, now_ms};
use super::{JoinError, JoinRequest, ResumeError, ResumeRequest, Topology, sid};
use crate::events::schema::ParticipantsKind;
use crate::hall::Hall;
use crate::room::{Participant, Room};
use crate::service::{Service, SessionError, check_names};

/// How long a participant whose signalling connection was cut may take to resume.
pub(crate) const RESUME_WINDOW: Duration = Duration::from_secs(15);

/// The most bytes of metadata, and of all attributes together.
pub(crate) const MAX_METADATA: usize = 64 * 1024;

impl Service {
    /// Lets a LiveKit client into a room.
    ///
    /// # Errors
    /// See [`JoinError`].
    pub async fn join(&self, request: JoinRequest) -> Result<(Client, Outbox), JoinError> {
        self.may_join(&request)?;
        let hall = &self.hall;
        let room = hall
            .room_configured(&request.room, request.room_config.as_ref())
            .await?;
        let identity: Arc<str> = request.identity.as_str().into();
        let publisher = PeerId(hall.number());
        let subscriber = match request.topology {
            Topology::Single => publisher,
            Topology::PublisherAndSubscriber => PeerId(hall.number()),
        };
        let member = Arc::new(Member::new(
            identity.clone(),
            sid::participant(),
            request.topology,
            publisher,
            subscriber,
            request.auto_subscribe,
        ));
        // One identity, one stay: who was here under it has to go first.
        let former = room.state.lock().member(&identity);
        if let Some(former) = former {
            let message = leave(
                DisconnectReason::DuplicateIdentity,
                leave_request::Action::Disconnect,
            );
            hall.dismiss(
                &room,
                &former,
                DisconnectReason::DuplicateIdentity,
                Some(message),
            );
        }
        let link = member.connect();
        let (info, overtaken, seen) = {
            let mut state = room.state.lock();
            if state.closed {
                return Err(SessionError::RoomRestarted.into());
            }
            // Somebody may have come since it was looked at first.
            state.check_place(hall.settings.rooms.max_participants, &identity)?;
            let name = Some(request.name).filter(|name| !name.is_empty());
            let state = &mut *state;
            if let Some(former) = state.participants.get(&identity)
                && !former.is_gone()
            {
                let reason = DisconnectReason::DuplicateIdentity;
                state.departed.note(&former.seen(&identity), reason);
            }
            let participant = state.participant(&identity, name);
            // They were here by WHIP or WHEP: that stay is over, though its sessions go on in this one.
            let seen = std::mem::take(&mut participant.announced)
                .then(|| participant.seen(&identity).view());
            participant.profile = Profile {
                sid: member.sid.clone(),
                metadata: request.metadata,
                attributes: request.attributes,
                permission: request.permission,
                kind: request.kind,
                state: participant_info::State::Joined,
                joined_ms: now_ms(),
                client_protocol: request.client.client_protocol,
                version: 1,
            };
            participant.heed_attributes();
            let attributes = &participant.profile.attributes;
            if let Some(error) = Languages::refusal(attributes, &hall.engines) {
                tracing::info!(
                    room = %room.name, %identity, %error,
                    "a client's token asks for languages in vain"
                );
            }
            let overtaken = participant.member.replace(member.clone());
            let new = !std::mem::replace(&mut participant.joined, true);
            let info = new.then(|| participant.info(&identity));
            // Before anybody can send the member away, who would have it forgotten.
            hall.add_member(&room, &member);
            // Nobody sees the member before, so nothing else comes first.
            let join = state.welcome(&room, &member);
            member.tell(signal_response::Message::Join(join));
            (info, overtaken, seen)
        };
        if let Some(seen) = seen {
            let reason = DisconnectReason::DuplicateIdentity;
            hall.happened_to(
                &room,
                LifecycleKind::ParticipantLeft,
                gone(seen, reason),
                None,
            );
        }
        // Two clients of one identity that came at the same moment: the later one stays.
        if let Some(overtaken) = overtaken {
            let reason = DisconnectReason::DuplicateIdentity;
            let message = leave(reason, leave_request::Action::Disconnect);
            hall.dismiss(&room, &overtaken, reason, Some(message));
        }
        tracing::info!(room = %room.name, %identity, sdk = request.client.sdk, "a client joined");
        if let Some(info) = info {
            metrics::gauge!("hive_participants").increment(1.0);
            room.tell(ParticipantsKind::Joined, vec![info]);
        }
        room.roster_changed();
        let (client, outbox) = Client::new(hall.clone(), room, member, link);
        for track in request.add_tracks {
            client.add_track(track);
        }
        if let Some(offer) = request.offer {
            client.offered(offer).await;
        }
        Ok((client, outbox))
    }

    /// Whether a client would be let in now, without letting it in.
    ///
    /// # Errors
    /// See [`JoinError`].
    pub fn may_join(&self, request: &JoinRequest) -> Result<(), JoinError> {
        let name = Some(request.name.as_str()).filter(|name| !name.is_empty());
        check_names(&request.room, &request.identity, name)?;
        check_lengths(&request.metadata, &request.attributes)?;
        match self.hall.room_named(&request.room) {
            Some(room) => Ok(self.check_place(&room, &request.identity.as_str().into())?),
            None if self.hall.settings.rooms.auto_create => Ok(()),
            None => Err(JoinError::NoSuchRoom(request.room.clone())),
        }
    }

    /// Gives a participant whose signalling connection was cut a new one.
    ///
    /// # Errors
    /// See [`ResumeError`].
    pub async fn resume(&self, request: ResumeRequest) -> Result<(Client, Outbox), ResumeError> {
        let room = self
            .hall
            .room_named(&request.room)
            .ok_or(ResumeError::UnknownParticipant)?;
        let member = room
            .state
            .lock()
            .member(&request.identity)
            .filter(|member| *member.sid == *request.participant_sid)
            .ok_or(ResumeError::UnknownParticipant)?;
        let link = member.reconnect().ok_or(ResumeError::UnknownParticipant)?;
        tracing::info!(room = %room.name, identity = %member.identity, "a client resumed");
        let (client, outbox) = Client::new(self.hall.clone(), room, member.clone(), link);
        if let Some(sync) = request.sync_state {
            client.synchronise(sync);
        }
        if let Some(offer) = request.offer {
            client.offered(offer).await;
        }
        if member.topology == Topology::PublisherAndSubscriber {
            client.restart_subscriber().await;
        }
        member.changed();
        Ok((client, outbox))
    }
}

impl crate::room::RoomState {
    /// The participant whose connection a member is: none once it left, or another client of the identity
    /// took its place.
    pub(crate) fn stay(&self, member: &Arc<Member>) -> Option<&Participant> {
        let participant = self.participants.get(&member.identity)?;
        let current = participant.member.as_ref()?;
        Arc::ptr_eq(current, member).then_some(participant)
    }

    /// As [`RoomState::stay`](Self::stay), to change it.
    pub(crate) fn stay_mut(&mut self, member: &Arc<Member>) -> Option<&mut Participant> {
        let participant = self.participants.get_mut(&member.identity)?;
        let current = participant.member.as_ref()?;
        Arc::ptr_eq(current, member).then_some(participant)
    }

    /// The connection of an identity.
    pub(crate) fn member(&self, identity: &str) -> Option<Arc<Member>> {
        self.participants.get(identity)?.member.clone()
    }

    /// Gives the room what a token or the room service say of it; what is zero or empty is not said. Gives
    /// whether that changed anything.
    pub(crate) fn configure(&mut self, config: &proto::RoomConfiguration) -> bool {
        let before = self.profile.clone();
        let profile = &mut self.profile;
        let seconds = |given: u32, now: Duration| match given {
            0 => now,
            given => Duration::from_secs(given.into()),
        };
        profile.empty_timeout = seconds(config.empty_timeout, profile.empty_timeout);
        profile.departure_timeout = seconds(config.departure_timeout, profile.departure_timeout);
        if config.max_participants > 0 {
            profile.max_participants = config.max_participants;
        }
        if !config.metadata.is_empty() {
            profile.metadata.clone_from(&config.metadata);
        }
        if *profile == before {
            return false;
        }
        profile.version += 1;
        self.asks = RoomLanguages::of(&self.profile.metadata);
        true
    }

    /// Changes the room's metadata, and with it what the room asks of HIVE.
    pub(crate) fn set_metadata(&mut self, metadata: String) {
        self.asks = RoomLanguages::of(&metadata);
        self.profile.metadata = metadata;
        self.profile.version += 1;
    }

    /// The first message to a client, which holds what it is not told again.
    fn welcome(&mut self, room: &Room, member: &Member) -> proto::JoinResponse {
        let mut told = member.state.lock();
        told.told_room = self.profile.version;
        let mut others = Vec::new();
        let mut own = None;
        for who in self.visible() {
            told.told.insert(
                who.profile.sid.clone(),
                Told {
                    identity: who.identity.to_string(),
                    version: who.profile.version,
                },
            );
            if who.profile.sid == member.sid {
                own = Some(who.view());
            } else {
                others.push(who.view());
            }
        }
        // One who is hidden from the others sees themselves.
        let own = own.or_else(|| self.by_sid(&member.sid).map(|who| who.view()));
        let can_subscribe = own
            .as_ref()
            .and_then(|own| own.permission.as_ref())
            .is_none_or(|permission| permission.can_subscribe);
        proto::JoinResponse {
            room: Some(self.view(&room.name)),
            participant: own,
            other_participants: others,
            subscriber_primary: member.topology == Topology::PublisherAndSubscriber
                && can_subscribe,
            fast_publish: true,
            ..Default::default()
        }
    }
}

impl Hall {
    /// Sends a member away: its tracks and peers go, and the others are told. `message` is the last
    /// thing that it is told itself.
    pub(crate) fn dismiss(
        &self,
        room: &Arc<Room>,
        member: &Arc<Member>,
        reason: DisconnectReason,
        message: Option<signal_response::Message>,
    ) {
        member.end(message);
        let worker = self.worker(room);
        for peer in member.peers() {
            worker.close(peer);
        }
        self.remove_member(member);
        let own: Vec<PeerId> = member.peers().collect();
        let ended = 'locked: {
            let mut state = room.state.lock();
            let state = &mut *state;
            let Some(participant) = state.participants.get_mut(&member.identity) else {
                return;
            };
            let current = participant
                .member
                .as_ref()
                .is_some_and(|current| Arc::ptr_eq(current, member));
            if !current {
                // Another client of the identity took over; it does not publish these.
                let before = participant.publications.len();
                participant
                    .publications
                    .retain(|_, it| !own.contains(&it.peer));
                let gone = before - participant.publications.len();
                participant.profile.version += u32::from(gone > 0);
                break 'locked None;
            }
            participant.member = None;
            let seen = participant.seen(&member.identity).view();
            let (unpublished, kept) = std::mem::take(&mut participant.publications)
                .into_iter()
                .partition(|(_, it)| own.contains(&it.peer));
            participant.publications = kept;
            let microphone = participant.publishing.as_ref();
            if microphone.is_some_and(|microphone| own.contains(&microphone.peer)) {
                participant.hung_up.get_or_insert_with(Instant::now);
            }
            let is_gone = participant.is_gone();
            participant.profile.version += 1;
            // Who has sessions of WHIP or WHEP as well is still here.
            participant.profile.state = match is_gone {
                true => participant_info::State::Disconnected,
                false => participant_info::State::Active,
            };
            if is_gone {
                let last = participant.seen(&member.identity);
                state.departed.note(&last, reason);
            }
            let announced = participant.announced;
            participant.announced &= !is_gone;
            let left = is_gone && std::mem::take(&mut participant.joined);
            let left = left.then(|| participant.info(&member.identity));
            let unpublished: std::collections::BTreeMap<_, _> = unpublished;
            Some((left, unpublished, seen, is_gone, announced))
        };
        let Some((left, unpublished, seen, is_gone, announced)) = ended else {
            return room.roster_changed();
        };
        if announced {
            for publication in unpublished.into_values() {
                let (kind, track) = (LifecycleKind::TrackUnpublished, publication.info);
                self.happened_to(room, kind, seen.clone(), Some(track));
            }
        }
        match (is_gone, announced) {
            (true, true) => {
                let kind = LifecycleKind::ParticipantLeft;
                self.happened_to(room, kind, gone(seen, reason), None);
            }
            (true, false) => {
                let kind = LifecycleKind::ParticipantConnectionAborted;
                self.happened_to(room, kind, gone(seen, reason), None);
            }
            (false, _) => self.announce(room, &member.identity),
        }
        if let Some(info) = left {
            metrics::gauge!("hive_participants").decrement(1.0);
            room.tell(ParticipantsKind::Left, vec![info]);
        }
        tracing::info!(room = %room.name, identity = %member.identity, ?reason, "a client is gone");
        room.roster_changed();
    }
}

fn check_lengths(
    metadata: &str,
    attributes: &std::collections::HashMap<String, String>,
) -> Result<(), JoinError> {
    let max = MAX_METADATA;
    if metadata.len() > max {
        return Err(JoinError::TooLong {
            what: "the metadata",
            max,
        });
    }
    if attributes_len(attributes) > max {
        return Err(JoinError::TooLong {
            what: "what the attributes hold together",
            max,
        });
    }
    Ok(())
}

/// Bytes of all names and values.
pub(crate) fn attributes_len(attributes: &std::collections::HashMap<String, String>) -> usize {
    attributes
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum()
}

/// Bytes of all names and values after `changes`, of which an empty value takes an attribute away.
pub(crate) fn attributes_len_with(
    attributes: &std::collections::HashMap<String, String>,
    changes: &std::collections::HashMap<String, String>,
) -> usize {
    let kept = attributes
        .iter()
        .filter(|(name, _)| !changes.contains_key(*name));
    let new = changes.iter().filter(|(_, value)| !value.is_empty());
    kept.chain(new)
        .map(|(name, value)| name.len() + value.len())
        .sum()
}
