//! What the room service asks of the rooms, and nothing more, so that it can be tested without any.

use futures_util::future::LocalBoxFuture;
use hive_actors::{
    Service,
    livekit::{RoomServiceError, proto},
};

/// What comes of a request.
pub(super) type Answer<'a, T> = LocalBoxFuture<'a, Result<T, RoomServiceError>>;

/// The rooms as their managers see them. [`Service`] is one; its methods of the same names say what they do.
pub trait RoomService: Send + Sync + 'static {
    /// See [`Service::create_room`].
    fn create_room(&self, request: proto::CreateRoomRequest) -> Answer<'_, proto::Room>;
    /// See [`Service::list_rooms`].
    fn list_rooms(&self, names: &[String]) -> Vec<proto::Room>;
    /// See [`Service::delete_room`].
    fn delete_room(&self, room: String) -> Answer<'_, ()>;
    /// See [`Service::list_participants`].
    fn list_participants(&self, room: &str) -> Vec<proto::ParticipantInfo>;
    /// See [`Service::get_participant`].
    fn get_participant(
        &self,
        room: &str,
        identity: &str,
    ) -> Result<proto::ParticipantInfo, RoomServiceError>;
    /// See [`Service::remove_participant`].
    fn remove_participant(&self, room: String, identity: String) -> Answer<'_, ()>;
    /// See [`Service::mute_published_track`].
    fn mute_published_track(
        &self,
        request: proto::MuteRoomTrackRequest,
    ) -> Answer<'_, proto::TrackInfo>;
    /// See [`Service::update_participant`].
    fn update_participant(
        &self,
        request: proto::UpdateParticipantRequest,
    ) -> Answer<'_, proto::ParticipantInfo>;
    /// See [`Service::update_subscriptions`].
    fn update_subscriptions(&self, request: proto::UpdateSubscriptionsRequest) -> Answer<'_, ()>;
    /// See [`Service::send_data`].
    fn send_data(&self, request: proto::SendDataRequest) -> Answer<'_, ()>;
    /// See [`Service::update_room_metadata`].
    fn update_room_metadata(&self, room: String, metadata: String) -> Answer<'_, proto::Room>;
}

impl RoomService for Service {
    fn create_room(&self, request: proto::CreateRoomRequest) -> Answer<'_, proto::Room> {
        Box::pin(Service::create_room(self, request))
    }

    fn list_rooms(&self, names: &[String]) -> Vec<proto::Room> {
        Service::list_rooms(self, names)
    }

    fn delete_room(&self, room: String) -> Answer<'_, ()> {
        Box::pin(async move { Service::delete_room(self, &room).await })
    }

    fn list_participants(&self, room: &str) -> Vec<proto::ParticipantInfo> {
        Service::list_participants(self, room)
    }

    fn get_participant(
        &self,
        room: &str,
        identity: &str,
    ) -> Result<proto::ParticipantInfo, RoomServiceError> {
        Service::get_participant(self, room, identity)
    }

    fn remove_participant(&self, room: String, identity: String) -> Answer<'_, ()> {
        Box::pin(async move { Service::remove_participant(self, &room, &identity).await })
    }

    fn mute_published_track(
        &self,
        request: proto::MuteRoomTrackRequest,
    ) -> Answer<'_, proto::TrackInfo> {
        Box::pin(Service::mute_published_track(self, request))
    }

    fn update_participant(
        &self,
        request: proto::UpdateParticipantRequest,
    ) -> Answer<'_, proto::ParticipantInfo> {
        Box::pin(Service::update_participant(self, request))
    }

    fn update_subscriptions(&self, request: proto::UpdateSubscriptionsRequest) -> Answer<'_, ()> {
        Box::pin(Service::update_subscriptions(self, request))
    }

    fn send_data(&self, request: proto::SendDataRequest) -> Answer<'_, ()> {
        Box::pin(Service::send_data(self, request))
    }

    fn update_room_metadata(&self, room: String, metadata: String) -> Answer<'_, proto::Room> {
        Box::pin(async move { Service::update_room_metadata(self, &room, metadata).await })
    }
}
