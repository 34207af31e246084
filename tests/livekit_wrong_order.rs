//! A LiveKit client's messages that come out of order, or are about what is not there, are ignored and counted, or
//! refused by name; nobody else is affected.

mod bystanders;
mod figures;
mod server;
mod signal;

use bystanders::Bystanders;
use figures::counted;
use livekit_protocol::{
    GetDataBlobRequest, MuteTrackRequest, SessionDescription, SyncState, TrickleRequest,
    UnpublishDataTrackRequest, UpdateDataSubscription, UpdateLocalAudioTrack,
    UpdateLocalVideoTrack, UpdateTrackSettings, request_response::Reason, signal_request::Message,
    signal_response,
};
use server::{Server, token};
use signal::{Signal, receiving};

#[test]
fn what_refers_to_nothing_is_ignored_and_counted() {
    let server = Server::start("");
    let bystanders = Bystanders::join(&server, "demo");
    assert_eq!(counted(&server, "hive_signal_ignored_total"), 0.0);
    let mut client = Signal::join(&server, &token("demo", "ann", &[]));
    let answer = SessionDescription {
        r#type: "answer".to_owned(),
        sdp: receiving(1),
        id: 9,
        ..Default::default()
    };
    let track = || "TR_none".to_owned();
    let mute = MuteTrackRequest {
        sid: track(),
        muted: true,
    };
    let audio = UpdateLocalAudioTrack {
        track_sid: track(),
        features: Vec::new(),
    };
    let video = UpdateLocalVideoTrack {
        track_sid: track(),
        width: 1,
        height: 1,
    };
    for message in [
        Message::Answer(answer),
        Message::Mute(mute),
        Message::UpdateAudioTrack(audio),
        Message::UpdateVideoTrack(video),
        Message::UpdateDataSubscription(UpdateDataSubscription::default()),
    ] {
        client.say(message);
    }
    assert!(client.is_through());
    for (kind, count) in [
        ("answer", 1.0),
        ("track_change", 3.0),
        ("update_data_subscription", 1.0),
    ] {
        let name = format!("hive_signal_ignored_total{{kind=\"{kind}\"}}");
        assert_eq!(counted(&server, &name), count, "{kind}");
    }
    bystanders.are_unharmed();
}

#[test]
fn what_may_come_early_or_late_is_no_fault() {
    let server = Server::start("");
    let bystanders = Bystanders::join(&server, "demo");
    let mut client = Signal::join(&server, &token("demo", "ann", &[]));
    client.say(Message::TrackSetting(UpdateTrackSettings {
        track_sids: vec!["TR_none".to_owned()],
        ..Default::default()
    }));
    client.say(Message::SyncState(SyncState::default()));
    client.say(Message::Trickle(TrickleRequest::default()));
    assert!(client.is_through());
    assert_eq!(counted(&server, "hive_signal_ignored_total"), 0.0);
    bystanders.are_unharmed();
}

#[test]
fn what_the_server_does_not_have_is_refused_by_name() {
    let server = Server::start("");
    let unsupported = "hive_signal_requests_refused_total{reason=\"UNSUPPORTED_TYPE\"}";
    assert_eq!(counted(&server, unsupported), 0.0);
    let mut client = Signal::join(&server, &token("demo", "ann", &[]));
    for (request_id, message) in [
        (
            0,
            Message::UnpublishDataTrackRequest(UnpublishDataTrackRequest::default()),
        ),
        (
            7,
            Message::GetDataBlobRequest(GetDataBlobRequest {
                request_id: 7,
                ..Default::default()
            }),
        ),
    ] {
        client.say(message);
        let refusal = client.wait(|message| match message {
            signal_response::Message::RequestResponse(refusal) => Some(refusal),
            _ => None,
        });
        assert_eq!(refusal.reason(), Reason::UnsupportedType);
        assert_eq!(refusal.request_id, request_id);
    }
    assert_eq!(counted(&server, unsupported), 2.0);
    assert!(client.is_served());
}
