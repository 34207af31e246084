//! LiveKit's room service, without its transport.

use std::sync::Arc;

use super::Lifecycle;
use super::admission::{MAX_METADATA, attributes_len_with};
use super::data::{self, LOSSY, RELIABLE};
use super::language::Languages;
use super::member::{Member, leave};
use super::proto::{
    self, DisconnectReason, data_packet, data_packet::Value, leave_request, signal_response,
};
use crate::room::Room;
use crate::service::{Service, SessionError, check_name, check_names};

/// Why the room service did not do what it was asked for; each is one of Twirp's codes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RoomServiceError {
    /// `not_found`
    #[error("{0} does not exist")]
    NotFound(String),
    /// `invalid_argument`
    #[error("{0}")]
    InvalidArgument(String),
    /// `resource_exhausted`
    #[error("{0}")]
    ResourceExhausted(String),
    /// `failed_precondition`
    #[error("{0}")]
    FailedPrecondition(String),
    /// `unimplemented`
    #[error("{0}")]
    Unimplemented(&'static str),
    /// `unavailable`
    #[error("the server is shutting down")]
    Unavailable,
}

impl Service {
    /// What happens to rooms from now on.
    pub fn lifecycle(&self) -> Lifecycle {
        self.hall.lifecycles.reader()
    }

    /// Makes a room, or changes the one that there is; what is zero or empty stays as it is.
    ///
    /// # Errors
    /// See [`RoomServiceError`].
    pub async fn create_room(
        &self,
        request: proto::CreateRoomRequest,
    ) -> Result<proto::Room, RoomServiceError> {
        check_names(&request.name, "server", None)?;
        check_metadata(&request.metadata)?;
        if request.egress.is_some() {
            let what = "egress: this server records nothing; leave it out";
            return Err(RoomServiceError::Unimplemented(what));
        }
        let config = proto::RoomConfiguration {
            empty_timeout: request.empty_timeout,
            departure_timeout: request.departure_timeout,
            max_participants: request.max_participants,
            metadata: request.metadata,
            ..Default::default()
        };
        let room = self
            .hall
            .room_configured(&request.name, Some(&config))
            .await?;
        let changed = room.state.lock().configure(&config);
        if changed {
            self.refit(&room);
        }
        Ok(room.state.lock().view(&room.name))
    }

    /// The rooms of these names, or all.
    pub fn list_rooms(&self, names: &[String]) -> Vec<proto::Room> {
        let mut rooms: Vec<_> = self
            .hall
            .rooms()
            .into_iter()
            .filter(|room| names.is_empty() || names.iter().any(|name| **name == *room.name))
            .map(|room| room.state.lock().view(&room.name))
            .collect();
        rooms.sort_by(|a, b| (a.creation_time_ms, &a.name).cmp(&(b.creation_time_ms, &b.name)));
        rooms
    }

    /// Sends everybody out of a room and closes it.
    ///
    /// # Errors
    /// [`RoomServiceError::NotFound`].
    pub async fn delete_room(&self, room: &str) -> Result<(), RoomServiceError> {
        let room = self.room(room)?;
        room.state.lock().closed = true;
        let reason = DisconnectReason::RoomDeleted;
        for member in room.members() {
            let message = leave(reason, leave_request::Action::Disconnect);
            self.hall.dismiss(&room, &member, reason, Some(message));
        }
        self.hall.end_all(&room, reason);
        // While nobody can make another room of this name.
        self.hall
            .happened(&room, super::LifecycleKind::RoomFinished);
        self.hall.forget(&room);
        self.hall.take_down(&room);
        Ok(())
    }

    /// Everybody in a room; nobody is in one that does not exist.
    pub fn list_participants(&self, room: &str) -> Vec<proto::ParticipantInfo> {
        let room = self.hall.room_named(room);
        room.map_or_else(Vec::new, |room| {
            let state = room.state.lock();
            state.everybody().map(|who| who.view()).collect()
        })
    }

    /// Somebody in a room.
    ///
    /// # Errors
    /// [`RoomServiceError::NotFound`].
    pub fn get_participant(
        &self,
        room: &str,
        identity: &str,
    ) -> Result<proto::ParticipantInfo, RoomServiceError> {
        let room = self.room(room)?;
        let state = room.state.lock();
        let mut everybody = state.everybody();
        everybody
            .find(|who| **who.identity == *identity)
            .map(|who| who.view())
            .ok_or_else(|| no_participant(identity))
    }

    /// Sends somebody out of a room.
    ///
    /// # Errors
    /// [`RoomServiceError::NotFound`].
    pub async fn remove_participant(
        &self,
        room: &str,
        identity: &str,
    ) -> Result<(), RoomServiceError> {
        let room = self.room(room)?;
        if room.state.lock().present_mut(identity).is_none() {
            return Err(no_participant(identity));
        }
        let member = room.state.lock().member(identity);
        let reason = DisconnectReason::ParticipantRemoved;
        if let Some(member) = member {
            let message = leave(reason, leave_request::Action::Disconnect);
            self.hall.dismiss(&room, &member, reason, Some(message));
        }
        self.hall.end_of(&room, identity, reason);
        Ok(())
    }

    /// Mutes a track, or lets it be heard again.
    ///
    /// # Errors
    /// See [`RoomServiceError`].
    pub async fn mute_published_track(
        &self,
        request: proto::MuteRoomTrackRequest,
    ) -> Result<proto::TrackInfo, RoomServiceError> {
        let room = self.room(&request.room)?;
        if !request.muted && !self.hall.settings.rooms.remote_unmute {
            return Err(RoomServiceError::FailedPrecondition(
                "this server lets nobody be unmuted by others (rooms.remote_unmute)".to_owned(),
            ));
        }
        let (info, track, member) = {
            let mut state = room.state.lock();
            let participant = state
                .present_mut(&request.identity)
                .ok_or_else(|| no_participant(&request.identity))?;
            let publication = participant
                .publications
                .get_mut(request.track_sid.as_str())
                .ok_or_else(|| {
                    RoomServiceError::NotFound(format!("the track {}", request.track_sid))
                })?;
            publication.info.muted = request.muted;
            let told = (publication.info.clone(), publication.track);
            participant.profile.version += 1;
            (told.0, told.1, participant.member.clone())
        };
        // The publisher is asked to be silent, and not heard in case it is not.
        self.hall.worker(&room).mute(track, request.muted);
        if let Some(member) = member {
            member.tell(signal_response::Message::Mute(proto::MuteTrackRequest {
                sid: info.sid.clone(),
                muted: request.muted,
            }));
        }
        room.roster_changed();
        Ok(info)
    }

    /// Changes somebody's name, metadata, attributes or permission.
    ///
    /// # Errors
    /// See [`RoomServiceError`].
    pub async fn update_participant(
        &self,
        request: proto::UpdateParticipantRequest,
    ) -> Result<proto::ParticipantInfo, RoomServiceError> {
        check_metadata(&request.metadata)?;
        if !request.name.is_empty() {
            check_name("name", &request.name)?;
        }
        if let Some(error) = Languages::refusal(&request.attributes, &self.hall.engines) {
            return Err(RoomServiceError::InvalidArgument(error.to_string()));
        }
        let room = self.room(&request.room)?;
        let identity: Arc<str> = request.identity.as_str().into();
        let (info, silenced) = {
            let mut state = room.state.lock();
            let participant = state
                .present_mut(&identity)
                .ok_or_else(|| no_participant(&identity))?;
            let attributes = &participant.profile.attributes;
            if attributes_len_with(attributes, &request.attributes) > MAX_METADATA {
                return Err(too_long("what the attributes hold together"));
            }
            participant.update(&request.name, request.metadata, &request.attributes);
            if let Some(permission) = request.permission {
                participant.profile.permission = permission;
                participant.profile.version += 1;
            }
            let silenced = participant.no_longer_permitted();
            if let Some(member) = &participant.member {
                member.forget_announced(&participant.profile.permission);
            }
            (participant.seen(&identity).view(), silenced)
        };
        for track in silenced {
            self.hall.withdraw(&room, &identity, &track);
        }
        self.hall.fit_microphone(&room, &identity);
        room.roster_changed();
        Ok(info)
    }

    /// Subscribes somebody to tracks, or unsubscribes them.
    ///
    /// # Errors
    /// See [`RoomServiceError`].
    pub async fn update_subscriptions(
        &self,
        request: proto::UpdateSubscriptionsRequest,
    ) -> Result<(), RoomServiceError> {
        let room = self.room(&request.room)?;
        let member = self.member(&room, &request.identity)?;
        self.hall
            .subscribe_to(
                &room,
                &member,
                &request.track_sids,
                &request.participant_tracks,
                request.subscribe,
            )
            .map_err(|error| RoomServiceError::InvalidArgument(error.to_string()))
    }

    /// Sends a data packet into a room.
    ///
    /// # Errors
    /// See [`RoomServiceError`].
    pub async fn send_data(&self, request: proto::SendDataRequest) -> Result<(), RoomServiceError> {
        let room = self.room(&request.room)?;
        if !matches!(request.nonce.len(), 0 | 16) {
            let len = request.nonce.len();
            let reason = format!("a nonce has 16 bytes or none, and not {len}");
            return Err(RoomServiceError::InvalidArgument(reason));
        }
        let label = match data_packet::Kind::try_from(request.kind) {
            Ok(data_packet::Kind::Reliable) => RELIABLE,
            Ok(data_packet::Kind::Lossy) => LOSSY,
            Err(_) => {
                let reason = format!("{} is no kind of data packet", request.kind);
                return Err(RoomServiceError::InvalidArgument(reason));
            }
        };
        let packet = packet_of(request);
        self.hall.deliver(&room, label, &packet, None);
        Ok(())
    }

    /// Changes a room's metadata.
    ///
    /// # Errors
    /// See [`RoomServiceError`].
    pub async fn update_room_metadata(
        &self,
        room: &str,
        metadata: String,
    ) -> Result<proto::Room, RoomServiceError> {
        check_metadata(&metadata)?;
        let room = self.room(room)?;
        room.state.lock().set_metadata(metadata);
        self.refit(&room);
        Ok(room.state.lock().view(&room.name))
    }

    /// Has everybody told what changed of a room, and interpreted as it asks for now.
    fn refit(&self, room: &Arc<Room>) {
        let identities: Vec<Arc<str>> = room.state.lock().participants.keys().cloned().collect();
        for identity in identities {
            self.hall.fit_microphone(room, &identity);
        }
        room.roster_changed();
    }

    fn room(&self, name: &str) -> Result<Arc<Room>, RoomServiceError> {
        self.hall
            .room_named(name)
            .ok_or_else(|| RoomServiceError::NotFound(format!("the room {name}")))
    }

    fn member(&self, room: &Room, identity: &str) -> Result<Arc<Member>, RoomServiceError> {
        let member = room.state.lock().member(identity);
        member.ok_or_else(|| no_participant(identity))
    }
}

impl From<SessionError> for RoomServiceError {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::TooManyRooms { .. } | SessionError::RoomFull { .. } => {
                RoomServiceError::ResourceExhausted(error.to_string())
            }
            SessionError::RoomRestarted | SessionError::ShuttingDown => {
                RoomServiceError::Unavailable
            }
            error => RoomServiceError::InvalidArgument(error.to_string()),
        }
    }
}

/// The packet that a request has sent.
fn packet_of(request: proto::SendDataRequest) -> proto::DataPacket {
    #[allow(deprecated, reason = "older requests name recipients by sid")]
    let user = proto::UserPacket {
        payload: request.data,
        topic: request.topic,
        destination_sids: request.destination_sids,
        destination_identities: request.destination_identities.clone(),
        nonce: request.nonce,
        ..Default::default()
    };
    let mut packet = data::packet("", "", Value::User(user));
    packet.destination_identities = request.destination_identities;
    #[allow(deprecated, reason = "older clients read it")]
    {
        packet.kind = request.kind;
    }
    packet
}

fn no_participant(identity: &str) -> RoomServiceError {
    RoomServiceError::NotFound(format!("the participant {identity}"))
}

fn too_long(what: &str) -> RoomServiceError {
    RoomServiceError::InvalidArgument(format!("{what} is longer than {MAX_METADATA} bytes"))
}

fn check_metadata(metadata: &str) -> Result<(), RoomServiceError> {
    if metadata.len() > MAX_METADATA {
        return Err(too_long("the metadata"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(deprecated, reason = "older clients read these fields")]
    fn a_packet_says_its_kind_and_all_recipients() {
        let packet = packet_of(proto::SendDataRequest {
            kind: data_packet::Kind::Lossy.into(),
            destination_identities: vec!["ann".to_owned()],
            destination_sids: vec!["PA_1".to_owned()],
            ..Default::default()
        });
        assert_eq!(packet.kind(), data_packet::Kind::Lossy);
        assert_eq!(packet.destination_identities, ["ann"]);
        let Some(Value::User(user)) = packet.value else {
            panic!("no user packet");
        };
        assert_eq!(user.destination_sids, ["PA_1"]);
    }
}
