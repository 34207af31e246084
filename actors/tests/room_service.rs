//! LiveKit's room service with the real engines, and what webhooks are told. No media flows.

mod start;

use std::collections::HashMap;

use hive_actors::livekit::{
    JoinRequest, Lifecycle, LifecycleEvent, LifecycleKind, RoomServiceError, Topology, proto,
};
use hive_actors::{ListenRequest, Service};
use proto::participant_info::{Kind, State};
use proto::{CreateRoomRequest, DisconnectReason};
use start::{offer, publish, with_service};

fn join(identity: &str) -> JoinRequest {
    JoinRequest {
        room: "demo".into(),
        identity: identity.into(),
        name: String::new(),
        metadata: String::new(),
        attributes: HashMap::new(),
        permission: proto::ParticipantPermission {
            can_subscribe: true,
            can_publish: true,
            can_update_metadata: true,
            ..Default::default()
        },
        kind: Kind::Standard,
        topology: Topology::Single,
        offer: None,
        add_tracks: Vec::new(),
        auto_subscribe: true,
        client: proto::ClientInfo::default(),
        room_config: Some(proto::RoomConfiguration {
            metadata: "by a token".into(),
            ..Default::default()
        }),
    }
}

async fn next(events: &mut Lifecycle) -> LifecycleEvent {
    let event = events.next().await.expect("the service runs");
    event.expect("the reader keeps up")
}

/// What comes next: its kind, and the reason and state of who it is about.
async fn next_leaving(events: &mut Lifecycle) -> (LifecycleKind, DisconnectReason, State) {
    let event = next(events).await;
    let who = event.participant.expect("somebody");
    (event.kind, who.disconnect_reason(), who.state())
}

async fn create(service: &Service, request: CreateRoomRequest) -> proto::Room {
    service.create_room(request).await.expect("a room")
}

#[test]
fn creating_a_room_again_changes_what_is_given() {
    with_service(async |service| {
        let mut events = service.lifecycle();
        let made = create(
            &service,
            CreateRoomRequest {
                name: "demo".into(),
                metadata: "first".into(),
                ..Default::default()
            },
        )
        .await;
        let defaults = (made.empty_timeout, made.departure_timeout);
        assert_eq!(defaults, (300, 20), "LiveKit's");
        let started = next(&mut events).await;
        assert_eq!(started.kind, LifecycleKind::RoomStarted);
        assert_eq!(started.room.metadata, "first", "it is configured by then");

        let again = create(
            &service,
            CreateRoomRequest {
                name: "demo".into(),
                departure_timeout: 7,
                max_participants: 2,
                ..Default::default()
            },
        )
        .await;
        assert_eq!(again.sid, made.sid);
        assert_eq!(
            (again.empty_timeout, again.departure_timeout),
            (300, 7),
            "zero changes nothing"
        );
        assert_eq!(
            (again.max_participants, &*again.metadata),
            (2, "first"),
            "nor does an empty text"
        );
        let recorded = service
            .create_room(CreateRoomRequest {
                name: "demo".into(),
                egress: Some(proto::RoomEgress::default()),
                ..Default::default()
            })
            .await;
        assert!(
            matches!(recorded, Err(RoomServiceError::Unimplemented(_))),
            "{recorded:?}"
        );
    });
}

#[test]
fn a_changed_rooms_clients_are_told() {
    with_service(async |service| {
        let (_ann, mut told) = service.join(join("ann")).await.expect("ann joins");
        create(
            &service,
            CreateRoomRequest {
                name: "demo".into(),
                metadata: "changed".into(),
                ..Default::default()
            },
        )
        .await;
        loop {
            let message = told.next().await.expect("ann is here");
            if let proto::signal_response::Message::RoomUpdate(update) = message {
                assert_eq!(
                    update.room.map(|room| room.metadata),
                    Some("changed".into())
                );
                return;
            }
        }
    });
}

#[test]
fn webhooks_are_told_of_whip_and_whep_and_why_somebody_left() {
    with_service(async |service| {
        let mut events = service.lifecycle();
        let speaking = publish(&service, "demo", "ann").await.expect("ann speaks");
        for kind in [
            LifecycleKind::RoomStarted,
            LifecycleKind::ParticipantJoined,
            LifecycleKind::TrackPublished,
        ] {
            assert_eq!(next(&mut events).await.kind, kind);
        }
        let listening = service
            .listen(ListenRequest {
                room: "demo".into(),
                identity: "bob".into(),
                name: None,
                lang: None,
                offer: offer("recvonly"),
            })
            .await
            .expect("bob listens");
        let joined = next(&mut events).await;
        assert_eq!(joined.kind, LifecycleKind::ParticipantJoined);
        assert_eq!(joined.participant.expect("bob").identity, "bob");

        service.close(&speaking.id);
        let unpublished = next(&mut events).await;
        assert_eq!(unpublished.kind, LifecycleKind::TrackUnpublished);
        assert_eq!(unpublished.track.expect("a track").name, "microphone");
        let left = LifecycleKind::ParticipantLeft;
        assert_eq!(
            next_leaving(&mut events).await,
            (left, DisconnectReason::ClientInitiated, State::Disconnected)
        );
        service
            .remove_participant("demo", "bob")
            .await
            .expect("bob is here");
        assert_eq!(
            next_leaving(&mut events).await,
            (
                left,
                DisconnectReason::ParticipantRemoved,
                State::Disconnected
            )
        );
        assert!(service.session(&listening.id).is_none());

        let mut garbage = ListenRequest {
            room: "demo".into(),
            identity: "eve".into(),
            name: None,
            lang: None,
            offer: "garbage".into(),
        };
        service.listen(garbage.clone()).await.expect_err("garbage");
        garbage.offer = offer("recvonly");
        service.listen(garbage).await.expect("eve listens");
        assert_eq!(
            next(&mut events).await.kind,
            LifecycleKind::ParticipantJoined,
            "nothing is told of who did not get in"
        );
        service.delete_room("demo").await.expect("it is there");
        assert_eq!(
            next_leaving(&mut events).await,
            (left, DisconnectReason::RoomDeleted, State::Disconnected)
        );
        assert_eq!(next(&mut events).await.kind, LifecycleKind::RoomFinished);
    });
}

#[test]
fn a_client_that_never_connected_aborted_its_connection() {
    with_service(async |service| {
        let mut events = service.lifecycle();
        let (ann, _told) = service.join(join("ann")).await.expect("ann joins");
        let started = next(&mut events).await;
        assert_eq!(started.kind, LifecycleKind::RoomStarted);
        assert_eq!(started.room.metadata, "by a token");
        ann.leave(DisconnectReason::ClientInitiated);
        assert_eq!(
            next_leaving(&mut events).await,
            (
                LifecycleKind::ParticipantConnectionAborted,
                DisconnectReason::ClientInitiated,
                State::Disconnected
            )
        );

        // Who is here by WHIP as well has come, and stays when the client goes.
        let whip = publish(&service, "demo", "bob").await.expect("bob speaks");
        assert_eq!(
            next(&mut events).await.kind,
            LifecycleKind::ParticipantJoined
        );
        assert_eq!(next(&mut events).await.kind, LifecycleKind::TrackPublished);
        let (bob, _told) = service.join(join("bob")).await.expect("bob joins");
        let left = next(&mut events).await;
        assert_eq!(left.kind, LifecycleKind::ParticipantLeft);
        let first = left.participant.expect("bob").sid;
        bob.leave(DisconnectReason::ClientInitiated);
        let joined = next(&mut events).await;
        assert_eq!(joined.kind, LifecycleKind::ParticipantJoined);
        let second = joined.participant.expect("bob").sid;
        assert_ne!(first, second, "another stay");
        assert_eq!(next(&mut events).await.kind, LifecycleKind::TrackPublished);
        let seen = service.get_participant("demo", "bob").expect("bob is here");
        assert_eq!(seen.state(), State::Active);
        service.close(&whip.id);
        assert_eq!(
            next(&mut events).await.kind,
            LifecycleKind::TrackUnpublished
        );
        let left = next(&mut events).await;
        assert_eq!(left.kind, LifecycleKind::ParticipantLeft);
        assert_eq!(left.participant.expect("bob").sid, second);
    });
}

#[test]
fn what_makes_no_sense_is_refused_as_livekit_does() {
    with_service(async |service| {
        assert!(service.list_participants("nowhere").is_empty());
        let (_ann, _told) = service.join(join("ann")).await.expect("ann joins");
        let unmute = proto::MuteRoomTrackRequest {
            room: "demo".into(),
            identity: "ann".into(),
            track_sid: "TR_1".into(),
            muted: false,
        };
        let refused = service.mute_published_track(unmute.clone()).await;
        assert!(
            matches!(refused, Err(RoomServiceError::FailedPrecondition(_))),
            "{refused:?}"
        );
        let unknown = proto::MuteRoomTrackRequest {
            muted: true,
            ..unmute
        };
        let refused = service.mute_published_track(unknown).await;
        assert!(
            matches!(refused, Err(RoomServiceError::NotFound(_))),
            "{refused:?}"
        );
        for (len, fits) in [(0, true), (15, false), (16, true), (17, false)] {
            let sent = service
                .send_data(proto::SendDataRequest {
                    room: "demo".into(),
                    nonce: vec![0; len],
                    ..Default::default()
                })
                .await;
            assert_eq!(sent.is_ok(), fits, "{len}: {sent:?}");
        }
    });
}

#[test]
fn attributes_are_measured_as_they_will_be() {
    with_service(async |service| {
        let (_ann, _told) = service.join(join("ann")).await.expect("ann joins");
        let update = async |name: &str, value: String| {
            service
                .update_participant(proto::UpdateParticipantRequest {
                    room: "demo".into(),
                    identity: "ann".into(),
                    attributes: HashMap::from([(name.to_owned(), value)]),
                    ..Default::default()
                })
                .await
        };
        for value in ["x", "y"] {
            let set = update("long", value.repeat(60_000)).await;
            set.expect("the new value takes the place of the old one");
        }
        let refused = update("other", "z".repeat(10_000)).await;
        assert!(
            matches!(refused, Err(RoomServiceError::InvalidArgument(_))),
            "{refused:?}"
        );
        update("long", String::new()).await.expect("it goes");
        update("other", "z".repeat(10_000)).await.expect("it fits");
    });
}
