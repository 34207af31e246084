//! A room service made of a table: what was asked for is kept, what to answer is in the names.

use hive_actors::{
    LinkFigures, RoomFigures,
    livekit::{RoomServiceError, proto},
};

use super::backend::{Answer, RoomService};
use crate::http::{Figures, test_double::TableOfSessions};

fn room(name: &str) -> proto::Room {
    proto::Room {
        sid: "RM_1".to_owned(),
        name: name.to_owned(),
        creation_time: 1_800_000_000,
        num_participants: 2,
        ..proto::Room::default()
    }
}

fn participant(identity: &str) -> proto::ParticipantInfo {
    proto::ParticipantInfo {
        sid: "PA_1".to_owned(),
        identity: identity.to_owned(),
        ..proto::ParticipantInfo::default()
    }
}

/// Rooms by their names: `none` does not exist, `full` has no place, `odd` has a name that cannot be used,
/// `closing` is on a server that goes down, and `stuck` never answers.
async fn known(name: &str) -> Result<(), RoomServiceError> {
    match name {
        "none" => Err(RoomServiceError::NotFound("the room none".to_owned())),
        "full" => Err(RoomServiceError::ResourceExhausted("too many".to_owned())),
        "odd" => Err(RoomServiceError::InvalidArgument("odd name".to_owned())),
        "closing" => Err(RoomServiceError::Unavailable),
        "stuck" => std::future::pending().await,
        _ => Ok(()),
    }
}

impl TableOfSessions {
    fn ask<T: Send + 'static>(&self, said: String, room: String, answer: T) -> Answer<'_, T> {
        self.asked.lock().push(said);
        Box::pin(async move { known(&room).await.map(|()| answer) })
    }
}

impl RoomService for TableOfSessions {
    fn create_room(&self, request: proto::CreateRoomRequest) -> Answer<'_, proto::Room> {
        let answer = proto::Room {
            empty_timeout: request.empty_timeout,
            ..room(&request.name)
        };
        self.ask(format!("create {}", request.name), request.name, answer)
    }

    fn list_rooms(&self, names: &[String]) -> Vec<proto::Room> {
        let rooms = ["demo", "other"].into_iter();
        rooms
            .filter(|name| names.is_empty() || names.iter().any(|asked| asked == name))
            .map(room)
            .collect()
    }

    fn delete_room(&self, room: String) -> Answer<'_, ()> {
        self.ask(format!("delete {room}"), room, ())
    }

    fn list_participants(&self, room: &str) -> Vec<proto::ParticipantInfo> {
        match room {
            "none" => Vec::new(),
            _ => vec![participant("ann"), participant("bob")],
        }
    }

    fn get_participant(
        &self,
        _: &str,
        identity: &str,
    ) -> Result<proto::ParticipantInfo, RoomServiceError> {
        match identity {
            "nobody" => Err(RoomServiceError::NotFound("nobody".to_owned())),
            _ => Ok(participant(identity)),
        }
    }

    fn remove_participant(&self, room: String, identity: String) -> Answer<'_, ()> {
        self.ask(format!("remove {identity} of {room}"), room, ())
    }

    fn mute_published_track(
        &self,
        request: proto::MuteRoomTrackRequest,
    ) -> Answer<'_, proto::TrackInfo> {
        let proto::MuteRoomTrackRequest {
            room,
            identity,
            track_sid: sid,
            muted,
        } = request;
        let said = format!("mute {sid} of {identity}: {muted}");
        let track = proto::TrackInfo {
            sid,
            muted,
            ..proto::TrackInfo::default()
        };
        self.ask(said, room, track)
    }

    fn update_participant(
        &self,
        request: proto::UpdateParticipantRequest,
    ) -> Answer<'_, proto::ParticipantInfo> {
        let mut answer = participant(&request.identity);
        answer.metadata = request.metadata;
        answer.attributes = request.attributes;
        self.ask(format!("update {}", answer.identity), request.room, answer)
    }

    fn update_subscriptions(&self, request: proto::UpdateSubscriptionsRequest) -> Answer<'_, ()> {
        let said = format!("subscribe {}: {:?}", request.identity, request.track_sids);
        self.ask(said, request.room, ())
    }

    fn send_data(&self, request: proto::SendDataRequest) -> Answer<'_, ()> {
        let said = format!(
            "send {:?} to {:?}",
            request.data, request.destination_identities
        );
        self.ask(said, request.room, ())
    }

    fn update_room_metadata(&self, name: String, metadata: String) -> Answer<'_, proto::Room> {
        let answer = proto::Room {
            metadata,
            ..room(&name)
        };
        self.ask(format!("metadata of {name}"), name, answer)
    }
}

impl Figures for TableOfSessions {
    fn room_figures(&self) -> futures_util::future::LocalBoxFuture<'_, Vec<RoomFigures>> {
        let figures = |room: &str, participants, lost_in| RoomFigures {
            room: room.to_owned(),
            participants,
            publishers: 1,
            links: LinkFigures {
                connected: participants,
                packets_in: 100 - lost_in,
                lost_in,
                jitter_ms_sum: 6.0,
                jitters: 2,
                jitter_ms_max: 4.0,
                ..LinkFigures::default()
            },
        };
        let rooms = vec![figures("demo", 3, 2), figures("other", 2, 0)];
        Box::pin(std::future::ready(rooms))
    }
}
