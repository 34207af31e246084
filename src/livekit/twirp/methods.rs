//! The methods of the room service: the grant that each needs, and what it asks of the rooms.

use actix_web::HttpResponse;
use hive_actors::livekit::{RoomServiceError, proto};
use prost::Message;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    answers::Shaped, backend::RoomService, encoding::Encoding, error::TwirpError, grant::Grant,
};
use crate::auth::VideoGrant;

macro_rules! methods {
    ($($variant:ident),* $(,)?) => {
        /// A method by its name in `livekit_room.proto`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Method { $($variant,)* }

        impl Method {
            #[cfg(test)]
            pub(super) const ALL: &'static [Method] = &[$(Method::$variant,)*];

            pub(super) fn of(name: &str) -> Option<Self> {
                match name {
                    $(stringify!($variant) => Some(Method::$variant),)*
                    _ => None,
                }
            }

            pub(super) fn name(self) -> &'static str {
                match self { $(Method::$variant => stringify!($variant),)* }
            }
        }
    };
}

methods! {
    CreateRoom, ListRooms, DeleteRoom, ListParticipants, GetParticipant, RemoveParticipant,
    MutePublishedTrack, UpdateParticipant, UpdateSubscriptions, SendData, UpdateRoomMetadata,
}

/// One call, as far as it is the same for every method.
pub(super) struct Call<'a> {
    pub(super) rooms: &'a dyn RoomService,
    pub(super) video: &'a VideoGrant,
    pub(super) encoding: Encoding,
    pub(super) body: &'a [u8],
}

impl Call<'_> {
    /// The request, if its caller may make it.
    fn request<T>(&self, grant: impl for<'r> Fn(&'r T) -> Grant<'r>) -> Result<T, TwirpError>
    where
        T: Message + Default + DeserializeOwned,
    {
        let request: T = self.encoding.decode(self.body)?;
        grant(&request).check(self.video)?;
        Ok(request)
    }

    fn answer<T, R>(
        &self,
        outcome: Result<T, RoomServiceError>,
        message: impl Fn(T) -> R,
    ) -> Result<HttpResponse, TwirpError>
    where
        R: Message + Serialize + Shaped,
    {
        self.encoding.encode(&message(outcome?))
    }

    /// Decodes the request, checks the grant, and does what is asked for.
    pub(super) async fn run(self, method: Method) -> Result<HttpResponse, TwirpError> {
        let rooms = self.rooms;
        match method {
            Method::CreateRoom => {
                let request = self.request(|_| Grant::Create)?;
                self.answer(rooms.create_room(request).await, |room| room)
            }
            Method::ListRooms => {
                let proto::ListRoomsRequest { names } = self.request(|_| Grant::List)?;
                let rooms = rooms.list_rooms(&names);
                self.answer(Ok(rooms), |rooms| proto::ListRoomsResponse { rooms })
            }
            Method::DeleteRoom => {
                let proto::DeleteRoomRequest { room } = self.request(|_| Grant::Create)?;
                self.answer(rooms.delete_room(room).await, |()| {
                    proto::DeleteRoomResponse {}
                })
            }
            Method::ListParticipants => {
                let request = self.request(|request: &proto::ListParticipantsRequest| {
                    Grant::Admin(&request.room)
                })?;
                let participants = rooms.list_participants(&request.room);
                self.answer(Ok(participants), |participants| {
                    proto::ListParticipantsResponse { participants }
                })
            }
            Method::GetParticipant => {
                let request = self.participant()?;
                let found = rooms.get_participant(&request.room, &request.identity);
                self.answer(found, |participant| participant)
            }
            Method::RemoveParticipant => {
                let proto::RoomParticipantIdentity { room, identity, .. } = self.participant()?;
                self.answer(rooms.remove_participant(room, identity).await, |()| {
                    proto::RemoveParticipantResponse {}
                })
            }
            Method::MutePublishedTrack => {
                let request = self
                    .request(|request: &proto::MuteRoomTrackRequest| Grant::Admin(&request.room))?;
                self.answer(rooms.mute_published_track(request).await, |track| {
                    proto::MuteRoomTrackResponse { track: Some(track) }
                })
            }
            Method::UpdateParticipant => {
                let request = self.request(|request: &proto::UpdateParticipantRequest| {
                    Grant::Admin(&request.room)
                })?;
                self.answer(rooms.update_participant(request).await, |who| who)
            }
            Method::UpdateSubscriptions => {
                let request = self.request(|request: &proto::UpdateSubscriptionsRequest| {
                    Grant::Admin(&request.room)
                })?;
                self.answer(rooms.update_subscriptions(request).await, |()| {
                    proto::UpdateSubscriptionsResponse {}
                })
            }
            Method::SendData => {
                let request =
                    self.request(|request: &proto::SendDataRequest| Grant::Admin(&request.room))?;
                self.answer(rooms.send_data(request).await, |()| {
                    proto::SendDataResponse {}
                })
            }
            Method::UpdateRoomMetadata => {
                let request = self.request(|request: &proto::UpdateRoomMetadataRequest| {
                    Grant::Admin(&request.room)
                })?;
                let proto::UpdateRoomMetadataRequest { room, metadata } = request;
                self.answer(rooms.update_room_metadata(room, metadata).await, |room| {
                    room
                })
            }
        }
    }

    fn participant(&self) -> Result<proto::RoomParticipantIdentity, TwirpError> {
        self.request(|request: &proto::RoomParticipantIdentity| Grant::Admin(&request.room))
    }
}
