//! Whatever a LiveKit client names, lists or repeats, the server keeps little of it, and a client that is
//! large without being hostile is served.

mod server;
mod signal;

use livekit_protocol::{
    AddTrackRequest, RequestResponse, SimulcastCodec, SubscriptionPermission, SyncState,
    TrackPermission, TrackType, UpdateLocalAudioTrack, UpdateParticipantMetadata,
    UpdateSubscription, UpdateTrackSettings, request_response::Reason, signal_request,
    signal_response,
};
use server::{Server, token};
use signal::{Signal, watching};

/// The most tracks that a message may name.
const MAX_NAMED: usize = 2048;

/// More than anything here may make the server keep, in bytes.
const MUCH: u64 = 64 << 20;

/// Sids of tracks that do not exist, each of `len` bytes.
fn sids(from: usize, count: usize, len: usize) -> Vec<String> {
    let sid = |at: usize| format!("TR_{at:0>width$}", width = len - 3);
    (from..from + count).map(sid).collect()
}

fn refusal(client: &mut Signal) -> RequestResponse {
    client.wait(|message| match message {
        signal_response::Message::RequestResponse(refusal) => Some(refusal),
        _ => None,
    })
}

fn settings(track_sids: Vec<String>) -> signal_request::Message {
    signal_request::Message::TrackSetting(UpdateTrackSettings {
        track_sids,
        ..Default::default()
    })
}

#[test]
fn settings_for_many_tracks_are_not_kept_many_times() {
    let server = Server::start("");
    let mut client = Signal::join(&server, &token("demo", "ann", &[]));
    assert!(client.is_through());
    let before = server.peak_memory();
    for round in 0..10 {
        client.say(settings(sids(round * MAX_NAMED, MAX_NAMED, 120)));
        let sync = SyncState {
            track_sids_disabled: sids(round * MAX_NAMED, MAX_NAMED, 60),
            ..Default::default()
        };
        client.say(signal_request::Message::SyncState(sync));
        assert!(client.is_through());
    }
    let grown = server.peak_memory() - before;
    assert!(grown < MUCH, "{grown}");
}

#[test]
fn messages_that_name_too_much_are_refused_whole() {
    let server = Server::start("");
    let mut client = Signal::join(&server, &token("demo", "ann", &[]));
    let many = sids(0, MAX_NAMED + 1, 15);
    let permission = TrackPermission {
        participant_identity: "bob".to_owned(),
        ..Default::default()
    };
    for message in [
        settings(many.clone()),
        signal_request::Message::SyncState(SyncState {
            track_sids_disabled: many.clone(),
            ..Default::default()
        }),
        signal_request::Message::Subscription(UpdateSubscription {
            track_sids: many,
            subscribe: true,
            ..Default::default()
        }),
        signal_request::Message::SubscriptionPermission(SubscriptionPermission {
            track_permissions: vec![permission; MAX_NAMED + 1],
            ..Default::default()
        }),
        signal_request::Message::UpdateAudioTrack(UpdateLocalAudioTrack {
            track_sid: "TR_none".to_owned(),
            features: vec![0; 17],
        }),
    ] {
        client.say(message);
        assert_eq!(refusal(&mut client).reason(), Reason::LimitExceeded);
    }
    assert!(client.is_served());
}

#[test]
fn a_subscription_to_nothing_but_unknown_tracks_does_not_fill_the_clients_own_queue() {
    let server = Server::start("");
    let mut client = Signal::join(&server, &token("demo", "ann", &[]));
    client.say(signal_request::Message::Subscription(UpdateSubscription {
        track_sids: sids(0, MAX_NAMED, 15),
        subscribe: true,
        ..Default::default()
    }));
    client.wait(|message| match message {
        signal_response::Message::SubscriptionResponse(response) => Some(response),
        _ => None,
    });
    assert!(client.is_served());
}

#[test]
fn what_everybody_would_be_told_of_a_track_is_bounded() {
    let server = Server::start("");
    let mut bystander = Signal::join(&server, &token("demo", "bob", &[]));
    let mut client = Signal::join(&server, &token("demo", "ann", &[]));
    let camera = AddTrackRequest {
        cid: "camera".to_owned(),
        r#type: TrackType::Video.into(),
        ..Default::default()
    };
    let long = AddTrackRequest {
        simulcast_codecs: vec![SimulcastCodec {
            codec: "x".repeat(100_000),
            ..Default::default()
        }],
        ..camera.clone()
    };
    let many = AddTrackRequest {
        simulcast_codecs: vec![SimulcastCodec::default(); 4],
        ..camera.clone()
    };
    let featured = AddTrackRequest {
        audio_features: vec![0; 100_000],
        ..camera
    };
    for request in [long, many, featured] {
        client.say(signal_request::Message::AddTrack(request));
        assert_eq!(refusal(&mut client).reason(), Reason::InvalidRequest);
    }
    assert!(client.is_served() && bystander.is_served());
}

#[test]
fn a_name_is_as_bounded_later_as_it_is_when_joining() {
    let server = Server::start("");
    let mut client = Signal::join(&server, &token("demo", "ann", &["--update-own-metadata"]));
    for (request_id, name, expected) in [
        (1, "x".repeat(257), Reason::InvalidRequest),
        (2, "a\nb".to_owned(), Reason::InvalidRequest),
        (3, "Ann".to_owned(), Reason::Ok),
    ] {
        let update = UpdateParticipantMetadata {
            name,
            request_id,
            ..Default::default()
        };
        client.say(signal_request::Message::UpdateMetadata(update));
        assert_eq!(refusal(&mut client).reason(), expected);
    }
}

#[test]
fn an_offer_of_a_hundred_cameras_is_answered() {
    let server = Server::start("");
    let mut client = Signal::join(&server, &token("demo", "ann", &[]));
    let offer = watching(100);
    assert!(offer.len() > 300_000, "{}", offer.len());
    client.offer(1, &offer);
    let answer = client.wait(|message| match message {
        signal_response::Message::Answer(answer) => Some(answer),
        _ => None,
    });
    assert_eq!(answer.sdp.matches("m=video").count(), 100);
    assert!(client.is_served());
}
