//! LiveKit's room service, without its transport.

use super::proto;
use super::{Client, JoinError, JoinRequest, Lifecycle, Outbox, ResumeError, ResumeRequest};
use crate::service::Service;

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
    /// `unavailable`
    #[error("the server is shutting down")]
    Unavailable,
}

impl Service {
    /// Lets a LiveKit client into a room.
    ///
    /// # Errors
    /// See [`JoinError`].
    pub async fn join(&self, request: JoinRequest) -> Result<(Client, Outbox), JoinError> {
        let _ = request;
        todo!()
    }

    /// Gives a participant whose signalling connection was cut a new one.
    ///
    /// # Errors
    /// See [`ResumeError`].
    pub async fn resume(&self, request: ResumeRequest) -> Result<(Client, Outbox), ResumeError> {
        let _ = request;
        todo!()
    }

    /// What happens to rooms from now on.
    pub fn lifecycle(&self) -> Lifecycle {
        todo!()
    }

    /// Makes a room, or gives the one that there is.
    ///
    /// # Errors
    /// See [`RoomServiceError`].
    pub async fn create_room(
        &self,
        request: proto::CreateRoomRequest,
    ) -> Result<proto::Room, RoomServiceError> {
        let _ = request;
        todo!()
    }

    /// The rooms of these names, or all.
    pub fn list_rooms(&self, names: &[String]) -> Vec<proto::Room> {
        let _ = names;
        todo!()
    }

    /// Sends everybody out of a room and closes it.
    ///
    /// # Errors
    /// [`RoomServiceError::NotFound`].
    pub async fn delete_room(&self, room: &str) -> Result<(), RoomServiceError> {
        let _ = room;
        todo!()
    }

    /// Everybody in a room.
    ///
    /// # Errors
    /// [`RoomServiceError::NotFound`].
    pub fn list_participants(
        &self,
        room: &str,
    ) -> Result<Vec<proto::ParticipantInfo>, RoomServiceError> {
        let _ = room;
        todo!()
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
        let _ = (room, identity);
        todo!()
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
        let _ = (room, identity);
        todo!()
    }

    /// Mutes a track, or lets it be heard again.
    ///
    /// # Errors
    /// See [`RoomServiceError`].
    pub async fn mute_published_track(
        &self,
        request: proto::MuteRoomTrackRequest,
    ) -> Result<proto::TrackInfo, RoomServiceError> {
        let _ = request;
        todo!()
    }

    /// Changes somebody's name, metadata, attributes or permission.
    ///
    /// # Errors
    /// See [`RoomServiceError`].
    pub async fn update_participant(
        &self,
        request: proto::UpdateParticipantRequest,
    ) -> Result<proto::ParticipantInfo, RoomServiceError> {
        let _ = request;
        todo!()
    }

    /// Subscribes somebody to tracks, or unsubscribes them.
    ///
    /// # Errors
    /// See [`RoomServiceError`].
    pub async fn update_subscriptions(
        &self,
        request: proto::UpdateSubscriptionsRequest,
    ) -> Result<(), RoomServiceError> {
        let _ = request;
        todo!()
    }

    /// Sends a data packet into a room.
    ///
    /// # Errors
    /// See [`RoomServiceError`].
    pub async fn send_data(&self, request: proto::SendDataRequest) -> Result<(), RoomServiceError> {
        let _ = request;
        todo!()
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
        let _ = (room, metadata);
        todo!()
    }
}
