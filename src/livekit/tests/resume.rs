//! Coming back.

use hive_actors::livekit::proto::{
    DisconnectReason, SyncState, leave_request::Action, signal_response as told,
};
use tungstenite::protocol::frame::coding::CloseCode;

use super::*;
use crate::livekit::test_double::SID;

fn again(sid: &str) -> JoinRequest {
    JoinRequest {
        reconnect: true,
        participant_sid: sid.to_owned(),
        sync_state: Some(SyncState::default()),
        ..JoinRequest::default()
    }
}

#[actix_web::test]
async fn a_client_that_is_still_known_goes_on() {
    World::with(config(), |world| {
        let token = token("demo");
        let newer = v1_with(&token, &again(SID), true);
        let older = format!("/rtc?access_token={token}&reconnect=1&sid={SID}");
        for (address, syncs) in [(newer, true), (older, false)] {
            let mut socket = world.connect(&address).expect("connected");
            let Some(told::Message::Reconnect(reconnect)) = socket.message() else {
                panic!("the first message is the reconnect");
            };
            assert!(reconnect.server_info.is_some());
            let resumed = world.log.resumed().pop().expect("resumed");
            assert_eq!(
                (resumed.room.as_str(), resumed.identity.as_str()),
                ("demo", "ann")
            );
            assert_eq!(resumed.participant_sid, SID);
            assert_eq!(resumed.sync_state.is_some(), syncs);
        }
        assert!(world.log.joined().is_empty());
    })
    .await;
}

#[actix_web::test]
async fn a_client_that_is_forgotten_is_told_to_join_anew() {
    World::with(config(), |world| {
        let address = v1_with(&token("demo"), &again("PA_old"), true);
        let mut socket = world.connect(&address).expect("told over the WebSocket");
        let (leave, code) = socket.ended();
        let leave = leave.expect("a goodbye");
        assert_eq!(leave.reason(), DisconnectReason::StateMismatch);
        assert_eq!(leave.action(), Action::Reconnect);
        assert_eq!(code, Some(CloseCode::Normal));
    })
    .await;
}
