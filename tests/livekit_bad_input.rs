//! What a LiveKit client does wrong ends in an error for it or its leave, in a counter, and in nothing for
//! anybody else.

mod bystanders;
mod figures;
mod server;
mod signal;

use bystanders::Bystanders;
use figures::counted;
use livekit_protocol::{
    AddTrackRequest, DisconnectReason, SubscriptionError, TrackType, UpdateSubscription,
    request_response::Reason, signal_request, signal_response,
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

#[test]
fn frames_that_are_no_requests_send_their_client_away_and_nobody_else() {
    let server = Server::start("");
    let bystanders = Bystanders::join(&server, "demo");
    let malformed = "hive_signal_refused_total{reason=\"malformed\"}";
    let oversized = "hive_signal_refused_total{reason=\"oversized\"}";
    assert_eq!(counted(&server, "hive_signal_refused_total"), 0.0);
    for garbage in [vec![0xFF; 64], b"hello".to_vec(), vec![0x0A, 0x7F, 1, 2]] {
        let mut client = Signal::join(&server, &token("demo", "ann", &[]));
        client.say_bytes(garbage);
        let leave = client.sent_away();
        assert_eq!(leave.reason(), DisconnectReason::StateMismatch);
    }
    let mut client = Signal::join(&server, &token("demo", "ann", &[]));
    client.say_bytes(vec![0; 2 << 20]);
    client.sent_away();
    assert_eq!(counted(&server, malformed), 3.0);
    assert_eq!(counted(&server, oversized), 1.0);
    bystanders.are_unharmed();
}

#[test]
fn descriptions_that_cannot_be_used_send_their_client_away() {
    let server = Server::start("");
    let bystanders = Bystanders::join(&server, "demo");
    let mut another = Signal::join(&server, &token("demo", "bob", &[]));
    another.offer(1, &receiving(3));
    let refused = "hive_signal_descriptions_refused_total";
    assert_eq!(counted(&server, refused), 0.0);
    for sdp in ["", "v=0\r\n", "nonsense", &receiving(200)] {
        let mut client = Signal::join(&server, &token("demo", "ann", &[]));
        client.offer(1, sdp);
        let leave = client.sent_away();
        assert_eq!(leave.reason(), DisconnectReason::StateMismatch, "{sdp:.40}");
    }
    assert_eq!(counted(&server, refused), 4.0);
    let id = another.wait(|message| match message {
        signal_response::Message::Answer(answer) => Some(answer.id),
        _ => None,
    });
    assert_eq!(id, 1);
    assert!(another.is_served());
    bystanders.are_unharmed();
}

#[test]
fn tracks_beyond_the_limit_are_refused_one_by_one() {
    let server = Server::start("");
    let bystanders = Bystanders::join(&server, "demo");
    let mut client = Signal::join(&server, &token("demo", "ann", &[]));
    let limit = "hive_signal_requests_refused_total{reason=\"LIMIT_EXCEEDED\"}";
    assert_eq!(counted(&server, limit), 0.0);
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
    assert_eq!(counted(&server, limit), 8.0);
    assert!(client.is_served());
    bystanders.are_unharmed();
}

#[test]
fn a_flood_of_requests_ends_its_client_only() {
    let server = Server::start("");
    let bystanders = Bystanders::join(&server, "demo");
    let mut client = Signal::join(&server, &token("demo", "ann", &[]));
    let flood = "hive_signal_refused_total{reason=\"flood\"}";
    assert_eq!(counted(&server, flood), 0.0);
    for track in 0..5000 {
        let request = microphone(&format!("track-{track}"));
        client.say(signal_request::Message::AddTrack(request));
    }
    let leave = client.sent_away();
    assert_eq!(leave.reason(), DisconnectReason::StateMismatch);
    assert_eq!(counted(&server, flood), 1.0);
    bystanders.are_unharmed();
}

#[test]
fn publishing_without_the_grant_is_refused_by_name() {
    let server = Server::start("");
    let bystanders = Bystanders::join(&server, "demo");
    let not_allowed = "hive_signal_requests_refused_total{reason=\"NOT_ALLOWED\"}";
    assert_eq!(counted(&server, not_allowed), 0.0);
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
    assert_eq!(counted(&server, not_allowed), 1.0);
    assert!(client.is_served());
    bystanders.are_unharmed();
}

#[test]
fn a_track_that_is_gone_cannot_be_subscribed_to() {
    let server = Server::start("");
    let bystanders = Bystanders::join(&server, "demo");
    let not_found = "hive_signal_requests_refused_total{reason=\"NOT_FOUND\"}";
    assert_eq!(counted(&server, not_found), 0.0);
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
    assert_eq!(counted(&server, not_found), 1.0);
    assert!(client.is_served());
    bystanders.are_unharmed();
}

#[test]
fn a_second_client_of_an_identity_takes_the_place_of_the_first() {
    let server = Server::start("");
    let ann = token("demo", "ann", &[]);
    let bystanders = Bystanders::join(&server, "demo");
    let mut first = Signal::join(&server, &ann);
    let mut second = Signal::join(&server, &ann);
    let leave = first.sent_away();
    assert_eq!(leave.reason(), DisconnectReason::DuplicateIdentity);
    assert!(second.is_served());
    bystanders.are_unharmed();
}
