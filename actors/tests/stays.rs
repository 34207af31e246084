//! A client speaks for its own stay in a room, over its present connection, and for no other.

use std::collections::HashMap;
use std::time::Duration;

use actix::System;
use hive_actors::livekit::proto::{
    self, DisconnectReason, ParticipantPermission, SessionDescription, participant_info,
    signal_request, signal_response,
};
use hive_actors::livekit::{Client, JoinRequest, Outbox, ResumeRequest, Topology};
use hive_actors::{Service, ServiceSettings};

fn with_service(test: impl AsyncFnOnce(Service)) {
    let mut settings = ServiceSettings::default();
    settings.media.bind = "127.0.0.1:0".parse().expect("an address");
    settings.engines.assets = concat!(env!("CARGO_MANIFEST_DIR"), "/../.deps").into();
    settings.engines.decoders = 1;
    settings.engines.apertium_children = 1;
    settings.engines.espeak_children = 1;
    settings.device.threads = 1;
    System::new().block_on(async {
        let service = Service::start(settings)
            .await
            .expect("the engines are installed");
        test(service.clone()).await;
        service
            .shutdown(Duration::from_secs(10))
            .await
            .expect("the actors stop in time");
    });
}

fn request(identity: &str) -> JoinRequest {
    JoinRequest {
        room: "demo".to_owned(),
        identity: identity.to_owned(),
        name: String::new(),
        metadata: String::new(),
        attributes: HashMap::new(),
        permission: ParticipantPermission {
            can_subscribe: true,
            can_publish: true,
            can_update_metadata: true,
            ..Default::default()
        },
        kind: participant_info::Kind::Standard,
        topology: Topology::Single,
        offer: None,
        add_tracks: Vec::new(),
        auto_subscribe: true,
        client: proto::ClientInfo::default(),
        room_config: None,
    }
}

async fn join(service: &Service, identity: &str) -> (Client, Outbox) {
    service.join(request(identity)).await.expect("let in")
}

fn named(name: &str) -> signal_request::Message {
    signal_request::Message::UpdateMetadata(proto::UpdateParticipantMetadata {
        name: name.to_owned(),
        ..Default::default()
    })
}

/// The names and states of all in the room.
fn names(service: &Service) -> Vec<(String, String)> {
    let all = service.list_participants("demo");
    all.into_iter()
        .map(|who| (who.identity, who.name))
        .collect()
}

fn offer() -> SessionDescription {
    let sdp = format!(
        "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
         m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=ice-ufrag:Yc0k\r\n\
         a=ice-pwd:2mWnQ2zVw9rJ0qkT8bXcLd5f\r\na=fingerprint:sha-256 {}\r\na=setup:actpass\r\n\
         a=sendonly\r\na=msid:- mic\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n",
        ["AB"; 32].join(":")
    );
    SessionDescription {
        r#type: "offer".to_owned(),
        sdp,
        id: 1,
        ..Default::default()
    }
}

fn microphone() -> proto::AddTrackRequest {
    proto::AddTrackRequest {
        cid: "mic".to_owned(),
        r#type: proto::TrackType::Audio.into(),
        source: proto::TrackSource::Microphone.into(),
        ..Default::default()
    }
}

/// The end of what a client is told.
async fn farewell(outbox: &mut Outbox) -> Option<proto::LeaveRequest> {
    while let Some(message) = outbox.next().await {
        if let signal_response::Message::Leave(leave) = message {
            return Some(leave);
        }
    }
    None
}

#[test]
fn a_connection_that_was_resumed_elsewhere_does_nothing_more() {
    with_service(async |service| {
        let (former, mut told) = join(&service, "ann").await;
        let resumed = service
            .resume(ResumeRequest {
                room: "demo".to_owned(),
                identity: "ann".to_owned(),
                participant_sid: former.sid().to_owned(),
                sync_state: None,
                offer: None,
            })
            .await;
        let (present, _outbox) = resumed.expect("resumed");
        former.handle(named("Former")).await;
        // The front door found that the former one was stuck.
        former.leave(DisconnectReason::StateMismatch);
        assert!(farewell(&mut told).await.is_none());
        present.handle(named("Present")).await;
        assert_eq!(names(&service), [("ann".to_owned(), "Present".to_owned())]);
    });
}

#[test]
fn a_client_whose_place_was_taken_does_nothing_more() {
    with_service(async |service| {
        let (former, mut told) = join(&service, "ann").await;
        let (_present, _outbox) = join(&service, "ann").await;
        let leave = farewell(&mut told).await.expect("a goodbye");
        assert_eq!(leave.reason(), DisconnectReason::DuplicateIdentity);
        former.handle(named("Former")).await;
        former
            .handle(signal_request::Message::AddTrack(microphone()))
            .await;
        former.handle(signal_request::Message::Offer(offer())).await;
        former.leave(DisconnectReason::ClientInitiated);
        assert_eq!(names(&service), [("ann".to_owned(), String::new())]);
        let tracks = service.get_participant("demo", "ann").expect("ann").tracks;
        assert!(tracks.is_empty(), "{tracks:?}");
    });
}

#[test]
fn an_update_that_changes_nothing_is_no_news() {
    with_service(async |service| {
        let (client, _outbox) = join(&service, "ann").await;
        let version = || service.get_participant("demo", "ann").expect("ann").version;
        let before = version();
        client.handle(named("Ann")).await;
        assert_eq!(version(), before + 1);
        client.handle(named("Ann")).await;
        client.handle(named("")).await;
        assert_eq!(version(), before + 1);
    });
}

#[test]
fn of_clients_that_come_at_once_one_stays_with_its_tracks() {
    with_service(async |service| {
        let joining = (0..8).map(|_| {
            let mut request = request("ann");
            request.add_tracks = vec![microphone()];
            request.offer = Some(offer());
            service.join(request)
        });
        let joined = futures_util::future::join_all(joining).await;
        let joined: Vec<_> = joined.into_iter().map(|it| it.expect("let in")).collect();
        let ann = service.get_participant("demo", "ann").expect("ann");
        assert_eq!(ann.tracks.len(), 1, "{:?}", ann.tracks);
        let stays = joined.iter().filter(|(it, _)| it.sid() == ann.sid);
        assert_eq!(stays.count(), 1);
        // Once the last has left nobody is here.
        for (client, _) in &joined {
            client.leave(DisconnectReason::ClientInitiated);
        }
        assert!(names(&service).is_empty());
    });
}
