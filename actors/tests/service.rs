//! The front door with the real engines: sessions, limits, demand and clear refusals. No media flows.

mod start;

use std::time::Duration;

use actix::System;
use futures_util::StreamExt;
use hive_actors::events::schema::{EventBody, ParticipantsKind};
use hive_actors::supervision::{ChildPath, Tree};
use hive_actors::{
    EventSubscription, KillError, ListenRequest, PublishRequest, Service, Session, SessionError,
    StartServiceError, Wants,
};
use hive_models::Lang;
use start::{offer, publish, settings, with_service};

async fn listen(
    service: &Service,
    identity: &str,
    lang: Option<&str>,
) -> Result<Session, SessionError> {
    let request = ListenRequest {
        room: "demo".into(),
        identity: identity.into(),
        name: None,
        lang: lang.map(|tag| tag.parse().expect("a language")),
        offer: offer("recvonly"),
    };
    service.listen(request).await
}

/// Lets the actors get on before the tree is looked at again.
async fn look_again() {
    tokio::time::sleep(Duration::from_millis(5)).await;
}

fn node(service: &Service, path: &str) -> Option<Tree> {
    service.supervision().find(&ChildPath::parse(path)).cloned()
}

/// The ids below a path, once they are as expected; the actors get there by themselves.
async fn await_children(service: &Service, path: &str, expected: &[&str]) {
    let there = async {
        loop {
            let children = node(service, path).map_or_else(Vec::new, |node| node.children);
            if children
                .iter()
                .map(|child| &*child.id)
                .eq(expected.iter().copied())
            {
                return;
            }
            look_again().await;
        }
    };
    let timeout = tokio::time::timeout(Duration::from_secs(30), there).await;
    assert!(
        timeout.is_ok(),
        "{path} never had {expected:?}: {:#?}",
        node(service, path)
    );
}

async fn next_participants(events: &mut EventSubscription) -> (ParticipantsKind, Vec<String>) {
    loop {
        let event = tokio::time::timeout(Duration::from_secs(30), events.next()).await;
        let event = event.expect("an event comes").expect("the room is open");
        if let EventBody::Participants(told) = &event.body {
            let identities = told.participants.iter().map(|who| who.identity.to_string());
            return (told.kind, identities.collect());
        }
    }
}

#[test]
fn only_what_somebody_wants_runs_and_it_ends_when_nobody_does() {
    with_service(async |service| {
        let pipeline = "hive/rooms/demo/participants/ann/pipeline";
        publish(&service, "demo", "ann").await.expect("ann speaks");
        await_children(&service, pipeline, &[]).await;

        let wants = Wants {
            captions: true,
            ..Wants::default()
        };
        let reader = service.subscribe("demo", wants).await.expect("a reader");
        await_children(&service, pipeline, &["ingest", "vad", "stt"]).await;

        let listener = listen(&service, "bob", Some("es"))
            .await
            .expect("bob listens");
        await_children(
            &service,
            pipeline,
            &["ingest", "vad", "stt", "mt:es", "tts:es"],
        )
        .await;
        await_children(&service, "hive/rooms/demo/channels", &["es"]).await;

        drop(reader);
        assert!(service.close(&listener.id));
        await_children(&service, pipeline, &[]).await;
        await_children(&service, "hive/rooms/demo/channels", &[]).await;
        assert!(!service.close(&listener.id), "it was closed before");
    });
}

#[test]
fn killed_actors_come_back_with_what_is_wanted() {
    with_service(async |service| {
        publish(&service, "demo", "ann").await.expect("ann speaks");
        listen(&service, "bob", Some("es"))
            .await
            .expect("bob listens");
        let stages = ["ingest", "vad", "stt", "mt:es", "tts:es"];
        let pipeline = "hive/rooms/demo/participants/ann/pipeline";
        await_children(&service, pipeline, &stages).await;
        for path in [
            format!("{pipeline}/stt"),
            pipeline.to_owned(),
            "hive/rooms/demo/participants".to_owned(),
            "hive/rooms/demo/room".to_owned(),
            "hive/rooms/demo/channels/es".to_owned(),
            "hive/rooms".to_owned(),
            "hive/devices/cpu".to_owned(),
        ] {
            let before = node(&service, &path).map_or(0, |node| node.incarnation);
            service.kill(&path).expect("it runs");
            let back = async {
                while node(&service, &path).is_none_or(|node| node.incarnation == before) {
                    look_again().await;
                }
            };
            let back = tokio::time::timeout(Duration::from_secs(30), back).await;
            assert!(back.is_ok(), "{path} did not come back");
            await_children(&service, pipeline, &stages).await;
            await_children(&service, "hive/rooms/demo/channels", &["es"]).await;
        }
        let unknown = service.kill("hive/nobody");
        assert!(
            matches!(unknown, Err(KillError::UnknownPath { .. })),
            "{unknown:?}"
        );
    });
}

#[test]
fn a_room_tells_who_is_there_who_comes_and_who_goes() {
    with_service(async |service| {
        publish(&service, "demo", "ann").await.expect("ann speaks");
        let mut events = service
            .subscribe("demo", Wants::default())
            .await
            .expect("a reader");
        let snapshot = next_participants(&mut events).await;
        assert_eq!(snapshot, (ParticipantsKind::Snapshot, vec!["ann".into()]));
        let bob = listen(&service, "bob", None)
            .await
            .expect("bob listens to the floor");
        let joined = next_participants(&mut events).await;
        assert_eq!(joined, (ParticipantsKind::Joined, vec!["bob".into()]));
        service.close(&bob.id);
        let left = next_participants(&mut events).await;
        assert_eq!(left, (ParticipantsKind::Left, vec!["bob".into()]));
    });
}

#[test]
fn who_publishes_again_replaces_their_former_microphone() {
    with_service(async |service| {
        let first = publish(&service, "demo", "ann").await.expect("ann speaks");
        let again = publish(&service, "demo", "ann")
            .await
            .expect("ann speaks again");
        assert!(service.session(&first.id).is_none());
        let info = service.session(&again.id).expect("the new session is open");
        assert_eq!((info.identity.as_str(), info.etag), ("ann", again.etag));
        assert_eq!(service.stats().participants, 1);
    });
}

#[test]
fn refusals_say_what_is_wrong() {
    with_service(async |service| {
        let refused = listen(&service, "bob", Some("fr"))
            .await
            .expect_err("no engine");
        assert!(
            matches!(refused, SessionError::UnsupportedLanguage { .. }),
            "{refused}"
        );
        assert!(refused.to_string().contains("en-es"), "{refused}");
        assert_eq!(service.stats().participants, 0);

        let english = listen(&service, "bob", Some("en")).await;
        english.expect("the language that is spoken is the floor as it is");

        let mut garbage = PublishRequest {
            room: "demo".into(),
            identity: "eve".into(),
            name: None,
            lang: Lang::EN,
            offer: "garbage".into(),
        };
        let refused = service.publish(garbage.clone()).await.expect_err("garbage");
        assert!(matches!(refused, SessionError::Offer(_)), "{refused}");
        garbage.room = "a\nb".into();
        let refused = service.publish(garbage).await.expect_err("a bad name");
        assert!(
            matches!(refused, SessionError::InvalidName { what: "room", .. }),
            "{refused}"
        );

        let spoken = publish(&service, "demo", "interpreter").await;
        let heard = listen(&service, "interpreter", None).await;
        for refused in [spoken, heard] {
            let refused = refused.expect_err("the server has this identity");
            assert!(
                matches!(refused, SessionError::ReservedIdentity(_)),
                "{refused}"
            );
        }

        for identity in ["one", "two"] {
            publish(&service, "demo", identity)
                .await
                .expect("there is room");
        }
        let refused = publish(&service, "demo", "three")
            .await
            .expect_err("the room is full");
        assert!(
            matches!(refused, SessionError::RoomFull { max: 3 }),
            "{refused}"
        );
        publish(&service, "second", "one")
            .await
            .expect("a second room");
        let refused = publish(&service, "third", "one")
            .await
            .expect_err("no third room");
        assert!(
            matches!(refused, SessionError::TooManyRooms { max: 2 }),
            "{refused}"
        );
    });
}

#[test]
fn those_who_come_at_once_do_not_overfill_a_room() {
    with_service(async |service| {
        let at_once = ["ann", "bob", "eve", "joe", "kim"].map(|who| publish(&service, "demo", who));
        let came = futures_util::future::join_all(at_once).await;
        assert_eq!(came.iter().filter(|it| it.is_ok()).count(), 3, "{came:?}");
        assert_eq!(service.stats().participants, 3);
    });
}

#[test]
fn the_service_becomes_ready_and_takes_nobody_in_once_it_shuts_down() {
    with_service(async |service| {
        let ready = async {
            while !service.ready().await.ready {
                look_again().await;
            }
        };
        let ready = tokio::time::timeout(Duration::from_secs(60), ready).await;
        assert!(ready.is_ok(), "{:?}", service.ready().await);
        service
            .shutdown(Duration::from_secs(10))
            .await
            .expect("the actors stop in time");
        let refused = publish(&service, "demo", "ann")
            .await
            .expect_err("the doors are closed");
        assert!(matches!(refused, SessionError::ShuttingDown), "{refused}");
    });
}

#[test]
fn missing_assets_and_taken_ports_are_named_with_the_remedy() {
    System::new().block_on(async {
        let mut lacking = settings();
        lacking.engines.assets = "/nonexistent".into();
        let error = Service::start(lacking)
            .await
            .expect_err("there are no models");
        assert!(matches!(error, StartServiceError::Engine { .. }), "{error}");
        assert!(error.to_string().contains("scripts/setup"), "{error}");

        let taken = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
        let mut clashing = settings();
        clashing.media.bind = taken.local_addr().expect("an address");
        let error = Service::start(clashing)
            .await
            .expect_err("the port is taken");
        assert!(error.to_string().contains("media.bind"), "{error}");
    });
}
