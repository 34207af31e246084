//! What a LiveKit client does wrong ends in an error for it or its leave, in a counter, and in nothing for
//! anybody else.

mod server;
mod signal;

use livekit_protocol::{
    AddTrackRequest, DisconnectReason, MuteTrackRequest, SessionDescription, SubscriptionError,
    TrackType, UpdateSubscription, UpdateTrackSettings, request_response::Reason, signal_request,
    signal_response,
};
use server::{Server, token};
use signal::{Signal, receiving};

fn microphone(cid: &str) -> AddTrackRequest {
    AddTrackRequest {
        cid: cid.to_owned(),
        name: "microphone".to_owned(),
        r#type: TrackType::Audio.into(),
        ..Default::default()
    }
}

/// The value of a counter, over all its labels.
fn counted(server: &Server, name: &str) -> f64 {
    let metrics = server.request("GET", "/metrics").send().body;
    metrics
        .lines()
        .filter(|line| line.starts_with(name))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

#[test]
fn frames_that_are_no_requests_send_their_client_away_and_nobody_else() {
    let server = Server::start("");
    let mut bystander = Signal::join(&server, &token("demo", "bob", &[]));
    for garbage in [vec![0xFF; 64], b"hello".to_vec(), vec![0x0A, 0x7F, 1, 2]] {
        let mut client = Signal::join(&server, &token("demo", "ann", &[]));
        client.say_bytes(garbage);
        let leave = client.sent_away();
        assert_eq!(leave.reason(), DisconnectReason::StateMismatch);
    }
    let mut client = Signal::join(&server, &token("demo", "ann", &[]));
    client.say_bytes(vec![0; 2 << 20]);
    client.sent_away();
    assert!(counted(&server, "hive_signal_refused_total") >= 4.0);
    assert!(bystander.is_served());
}

#[test]
fn descriptions_that_cannot_be_used_send_their_client_away() {
    let server = Server::start("");
    let mut bystander = Signal::join(&server, &token("demo", "bob", &[]));
    bystander.offer(1, &receiving(3));
    for sdp in ["", "v=0\r\n", "nonsense", &receiving(200)] {
        let mut client = Signal::join(&server, &token("demo", "ann", &[]));
        client.offer(1, sdp);
        let leave = client.sent_away();
        assert_eq!(leave.reason(), DisconnectReason::StateMismatch, "{sdp:.40}");
    }
    assert_eq!(
        counted(&server, "hive_signal_descriptions_refused_total"),
        4.0
    );
    let id = bystander.wait(|message| match message {
        signal_response::Message::Answer(answer) => Some(answer.id),
        _ => None,
    });
    assert_eq!(id, 1);
    assert!(bystander.is_served());
}

#[test]
fn messages_out_of_order_are_ignored() {
    let server = Server::start("");
    let mut client = Signal::join(&server, &token("demo", "ann", &[]));
    let answer = SessionDescription {
        r#type: "answer".to_owned(),
        sdp: receiving(1),
        id: 9,
        ..Default::default()
    };
    for message in [
        signal_request::Message::Answer(answer),
        signal_request::Message::Mute(MuteTrackRequest {
            sid: "TR_none".to_owned(),
            muted: true,
        }),
        signal_request::Message::TrackSetting(UpdateTrackSettings {
            track_sids: vec!["TR_none".to_owned()],
            ..Default::default()
        }),
        signal_request::Message::SyncState(livekit_protocol::SyncState::default()),
        signal_request::Message::Trickle(livekit_protocol::TrickleRequest::default()),
    ] {
        client.say(message);
    }
    assert!(client.is_served());
}

#[test]
fn tracks_beyond_the_limit_are_refused_one_by_one() {
    let server = Server::start("");
    let mut bystander = Signal::join(&server, &token("demo", "bob", &[]));
    let mut client = Signal::join(&server, &token("demo", "ann", &[]));
    for track in 0..40 {
        let request = microphone(&format!("track-{track}"));
        client.say(signal_request::Message::AddTrack(request));
    }
    let (mut published, mut refused) = (0, 0);
    while published + refused < 40 {
        let reason = client.wait(|message| match message {
            signal_response::Message::TrackPublished(_) => Some(None),
            signal_response::Message::RequestResponse(refusal) => Some(Some(refusal.reason())),
            _ => None,
        });
        match reason {
            None => published += 1,
            Some(reason) => {
                assert_eq!(reason, Reason::LimitExceeded);
                refused += 1;
            }
        }
    }
    assert_eq!((published, refused), (32, 8));
    assert!(bystander.is_served());
}

#[test]
fn a_flood_of_requests_ends_its_client_only() {
    let server = Server::start("");
    let mut bystander = Signal::join(&server, &token("demo", "bob", &[]));
    let mut client = Signal::join(&server, &token("demo", "ann", &[]));
    for track in 0..5000 {
        let request = microphone(&format!("track-{track}"));
        client.say(signal_request::Message::AddTrack(request));
    }
    client.sent_away();
    assert!(bystander.is_served());
}

#[test]
fn publishing_without_the_grant_is_refused_by_name() {
    let server = Server::start("");
    let listener = token("demo", "ann", &["--publish", "false"]);
    let mut client = Signal::join(&server, &listener);
    let own = client.join.participant.clone().expect("a participant");
    assert!(!own.permission.expect("a permission").can_publish);
    client.say(signal_request::Message::AddTrack(microphone("mic")));
    let refusal = client.wait(|message| match message {
        signal_response::Message::RequestResponse(refusal) => Some(refusal),
        _ => None,
    });
    assert_eq!(refusal.reason(), Reason::NotAllowed);
    assert!(refusal.message.contains("canPublish"), "{refusal:?}");
    assert!(client.is_served());
}

#[test]
fn a_track_that_is_gone_cannot_be_subscribed_to() {
    let server = Server::start("");
    let mut client = Signal::join(&server, &token("demo", "ann", &[]));
    client.say(signal_request::Message::Subscription(UpdateSubscription {
        track_sids: vec!["TR_gone".to_owned()],
        subscribe: true,
        ..Default::default()
    }));
    let response = client.wait(|message| match message {
        signal_response::Message::SubscriptionResponse(response) => Some(response),
        _ => None,
    });
    assert_eq!(response.track_sid, "TR_gone");
    assert_eq!(response.err(), SubscriptionError::SeTrackNotfound);
    assert!(client.is_served());
}

#[test]
fn a_second_client_of_an_identity_takes_the_place_of_the_first() {
    let server = Server::start("");
    let ann = token("demo", "ann", &[]);
    let mut bystander = Signal::join(&server, &token("demo", "bob", &[]));
    let mut first = Signal::join(&server, &ann);
    let mut second = Signal::join(&server, &ann);
    let leave = first.sent_away();
    assert_eq!(leave.reason(), DisconnectReason::DuplicateIdentity);
    assert!(second.is_served() && bystander.is_served());
}
