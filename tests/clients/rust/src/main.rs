//! LiveKit's `livekit-api` crate against a running server. A test in JavaScript starts it, and looks at
//! what comes of it:
//!
//! ```text
//! hive-client-tests token ROOM IDENTITY       prints a token
//! hive-client-tests govern ROOM IDENTITY SID  changes, mutes, tells and removes a participant
//! hive-client-tests webhook AUTHORIZATION     verifies a webhook from standard input, prints its event
//! ```
//!
//! `LIVEKIT_URL`, `LIVEKIT_API_KEY` and `LIVEKIT_API_SECRET` say where the server is. What is not as it
//! should be is a panic.

use std::collections::HashMap;

use livekit_api::access_token::{AccessToken, TokenVerifier, VideoGrants};
use livekit_api::services::room::{
    CreateRoomOptions, RoomClient, SendDataOptions, UpdateParticipantOptions,
};
use livekit_api::services::{ServerError, ServiceError, ServiceResult};
use livekit_api::webhooks::WebhookReceiver;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["token", room, identity] => println!("{}", token(room, identity)),
        ["govern", room, identity, track] => govern(room, identity, track).await,
        ["webhook", authorization] => {
            let body = std::io::read_to_string(std::io::stdin()).expect("a body");
            let verifier = TokenVerifier::new().expect("keys in the environment");
            let receiver = WebhookReceiver::new(verifier);
            let event = receiver
                .receive(&body, authorization)
                .expect("a signed webhook");
            println!("{}", event.event);
        }
        _ => panic!("usage: see the head of main.rs"),
    }
}

fn token(room: &str, identity: &str) -> String {
    let grants = VideoGrants {
        room_join: true,
        room: room.to_owned(),
        ..Default::default()
    };
    let token = AccessToken::new().expect("keys in the environment");
    let jwt = token.with_identity(identity).with_grants(grants).to_jwt();
    let jwt = jwt.expect("a token");
    let verifier = TokenVerifier::new().expect("keys in the environment");
    assert_eq!(verifier.verify(&jwt).expect("a good token").sub, identity);
    jwt
}

async fn govern(room: &str, identity: &str, track: &str) {
    let url = std::env::var("LIVEKIT_URL").expect("an address");
    let client = RoomClient::new(&url).expect("keys in the environment");

    let options = CreateRoomOptions {
        metadata: "of Rust".to_owned(),
        max_participants: 7,
        ..Default::default()
    };
    let made = client
        .create_room("made-by-rust", options)
        .await
        .expect("a room");
    assert_eq!(made.metadata, "of Rust");
    assert_eq!(made.max_participants, 7);
    let rooms = client.list_rooms(vec!["made-by-rust".to_owned()]).await;
    assert_eq!(rooms.expect("rooms")[0].sid, made.sid);
    client.delete_room("made-by-rust").await.expect("deleted");
    assert_eq!(code(client.delete_room("made-by-rust").await), "not_found");

    let everybody = client.list_participants(room).await.expect("participants");
    assert!(everybody.iter().any(|it| it.identity == identity));
    let who = client.get_participant(room, identity).await.expect("one");
    assert!(who.tracks.iter().any(|it| it.sid == track));

    let options = UpdateParticipantOptions {
        name: "Renamed".to_owned(),
        attributes: HashMap::from([("by".to_owned(), "rust".to_owned())]),
        ..Default::default()
    };
    let who = client.update_participant(room, identity, options).await;
    assert_eq!(who.expect("updated").name, "Renamed");
    let muted = client.mute_published_track(room, identity, track, true);
    assert!(muted.await.expect("muted").muted);
    let changed = client.update_room_metadata(room, "changed by Rust").await;
    assert_eq!(changed.expect("changed").metadata, "changed by Rust");
    let options = SendDataOptions {
        topic: Some("rust".to_owned()),
        ..Default::default()
    };
    let sent = client.send_data(room, b"from Rust".to_vec(), options).await;
    sent.expect("sent");
    client
        .remove_participant(room, identity)
        .await
        .expect("removed");
    let again = client.get_participant(room, identity).await;
    assert_eq!(code(again), "not_found");

    let moved = client.move_participant(room, identity, "elsewhere").await;
    assert_eq!(code(moved), "unimplemented");
    let key = std::env::var("LIVEKIT_API_KEY").expect("a key");
    let stranger = RoomClient::with_api_key(&url, &key, &"wrong".repeat(8));
    assert_eq!(
        code(stranger.list_rooms(Vec::new()).await),
        "unauthenticated"
    );
}

/// The code of Twirp's error.
fn code<T>(answer: ServiceResult<T>) -> String {
    match answer {
        Err(ServiceError::Twirp(ServerError::Twirp(error))) => error.code,
        Err(error) => panic!("not an answer of the server: {error}"),
        Ok(_) => panic!("this should have been refused"),
    }
}
