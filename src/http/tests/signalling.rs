//! WHIP and WHEP.

use super::*;
use crate::config::ExternalTurn;

#[actix_web::test]
async fn whip_opens_a_session_and_says_where() {
    let world = World::new();
    let answer = world
        .ask(offer(
            "/whip/demo?lang=en",
            &token("demo", "ann", true, false),
        ))
        .await;
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/sdp");
    assert_eq!(answer.header("etag"), "\"first\"");
    assert_eq!(
        answer.header("accept-patch"),
        "application/trickle-ice-sdpfrag"
    );
    let id = answer
        .header("location")
        .strip_prefix("/whip/demo/")
        .expect("a session of the room");
    assert_eq!(id.len(), 32, "128 bits");
}

#[actix_web::test]
async fn a_room_of_any_name_has_addresses() {
    let world = World::new();
    for (room, segment) in [("Sala 1", "Sala%201"), ("100 %+é", "100%20%25%2B%C3%A9")] {
        let ann = token(room, "ann", true, true);
        let address = format!("/whip/{segment}");
        let answer = world.ask(offer(&address, &ann)).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        let session = answer.header("location").to_owned();
        assert!(session.starts_with(&format!("{address}/")), "{session}");
        let end = TestRequest::delete()
            .uri(&session)
            .insert_header(bearer(&ann));
        assert_eq!(world.ask(end).await.status, StatusCode::OK);
    }
}

#[actix_web::test]
async fn an_answer_tells_of_the_turn_servers_with_credentials_for_the_caller() {
    let turn = ExternalTurn {
        urls: ["udp", "tcp"]
            .map(|transport| format!("turn:turn.example.org?transport={transport}"))
            .into(),
        shared_secret: Secret::new("north"),
    };
    let turn = IceServers::external(&turn, std::time::Duration::from_secs(3600));
    let world = World::with_turn(&config(), turn);
    let before = unix_seconds();
    for address in ["/whip/demo", "/whep/demo"] {
        let answer = world
            .ask(offer(address, &token("demo", "ann", true, true)))
            .await;
        let links: Vec<&str> = answer
            .headers
            .get_all(header::LINK)
            .filter_map(|link| link.to_str().ok())
            .collect();
        assert_eq!(links.len(), 2, "{answer:?}");
        assert!(
            links[0].starts_with(
                "<turn:turn.example.org?transport=udp>; rel=\"ice-server\"; username=\""
            ),
            "{links:?}"
        );
        assert!(links[1].contains(":ann\"; credential=\""), "{links:?}");
        let expires_at: u64 = links[0]
            .split(['"', ':'])
            .find_map(|part| part.parse().ok())
            .expect("an expiry");
        assert!((before + 3600..=unix_seconds() + 3600).contains(&expires_at));
    }
}

#[actix_web::test]
async fn a_session_is_patched_restarted_and_deleted_by_its_owner() {
    let (world, ann) = (World::new(), token("demo", "ann", true, true));
    let session = world
        .ask(offer("/whep/demo?lang=es", &ann))
        .await
        .header("location")
        .to_owned();
    let trickled = world
        .ask(fragment(&session, &ann, Some("\"first\""), "a=candidate"))
        .await;
    assert_eq!(trickled.status, StatusCode::NO_CONTENT);
    let restarted = world
        .ask(fragment(&session, &ann, Some("*"), "new-ufrag"))
        .await;
    assert_eq!(
        (restarted.status, restarted.header("etag")),
        (StatusCode::OK, "\"second\"")
    );
    assert_eq!(
        restarted.header("content-type"),
        "application/trickle-ice-sdpfrag"
    );
    let late = world
        .ask(fragment(&session, &ann, Some("\"first\""), "a=candidate"))
        .await;
    assert_eq!(
        (late.status.as_u16(), late.problem().as_str()),
        (412, "etag-mismatch")
    );
    let weak = world
        .ask(fragment(
            &session,
            &ann,
            Some("W/\"second\""),
            "a=candidate",
        ))
        .await;
    assert_eq!(
        weak.status,
        StatusCode::PRECONDITION_FAILED,
        "weak tags never match"
    );
    let listed = world
        .ask(fragment(
            &session,
            &ann,
            Some("\"first\", \"second\""),
            "a=candidate",
        ))
        .await;
    assert_eq!(listed.status, StatusCode::NO_CONTENT);
    let bare = world
        .ask(fragment(&session, &ann, None, "a=candidate"))
        .await;
    assert_eq!(
        (bare.status.as_u16(), bare.problem().as_str()),
        (428, "precondition-required")
    );
    let delete = || {
        TestRequest::delete()
            .uri(&session)
            .insert_header(bearer(&ann))
    };
    assert_eq!(world.ask(delete()).await.status, StatusCode::OK);
    let again = world.ask(delete()).await;
    assert_eq!(
        (again.status.as_u16(), again.problem().as_str()),
        (404, "unknown-session")
    );
}

#[actix_web::test]
async fn a_session_is_closed_to_everybody_else() {
    let (world, ann) = (World::new(), token("demo", "ann", true, true));
    let session = world
        .ask(offer("/whip/demo", &ann))
        .await
        .header("location")
        .to_owned();
    let delete = |token: &str| {
        TestRequest::delete()
            .uri(&session)
            .insert_header(bearer(token))
    };
    let nobody = world.ask(TestRequest::delete().uri(&session)).await;
    assert_eq!(
        (nobody.status.as_u16(), nobody.problem().as_str()),
        (401, "unauthenticated")
    );
    let bob = world.ask(delete(&token("demo", "bob", true, true))).await;
    assert_eq!(
        (bob.status.as_u16(), bob.problem().as_str()),
        (403, "wrong-identity")
    );
    let elsewhere = world.ask(delete(&token("other", "ann", true, true))).await;
    assert_eq!(
        (elsewhere.status.as_u16(), elsewhere.problem().as_str()),
        (403, "wrong-room")
    );
    let whep = session.replace("/whip/", "/whep/");
    let confused = world
        .ask(TestRequest::delete().uri(&whep).insert_header(bearer(&ann)))
        .await;
    assert_eq!(confused.problem(), "unknown-session");
    let old = token_at("demo", "ann", (true, true), unix_seconds() - 7 * 86_400);
    assert_eq!(
        world.ask(delete(&old)).await.status,
        StatusCode::OK,
        "who joined may leave, however late"
    );
}

#[actix_web::test]
async fn bodies_of_the_wrong_type_or_size_are_refused() {
    let (world, ann) = (World::new(), token("demo", "ann", true, true));
    let json = offer("/whip/demo", &ann).insert_header((header::CONTENT_TYPE, "application/json"));
    let answer = world.ask(json).await;
    assert_eq!(
        (answer.status.as_u16(), answer.problem().as_str()),
        (415, "unsupported-media-type")
    );
    assert_eq!(answer.header("accept-post"), "application/sdp");
    let with_parameter = offer("/whip/demo", &ann)
        .insert_header((header::CONTENT_TYPE, "Application/SDP; charset=utf-8"));
    assert_eq!(world.ask(with_parameter).await.status, StatusCode::CREATED);
    let huge = world
        .ask(offer("/whip/demo", &ann).set_payload(vec![b'v'; 65_537]))
        .await;
    assert_eq!(
        (huge.status.as_u16(), huge.problem().as_str()),
        (413, "payload-too-large")
    );
    let binary = world
        .ask(offer("/whip/demo", &ann).set_payload(vec![0xff; 10]))
        .await;
    assert_eq!(
        (binary.status.as_u16(), binary.problem().as_str()),
        (400, "bad-request")
    );
}

#[actix_web::test]
async fn a_language_without_engine_is_answered_with_those_there_are() {
    let (world, ann) = (World::new(), token("demo", "ann", true, true));
    let answer = world.ask(offer("/whep/demo?lang=tlh", &ann)).await;
    assert_eq!(
        (answer.status.as_u16(), answer.problem().as_str()),
        (422, "unsupported-language")
    );
    assert_eq!(answer.json()["asked"], "tlh");
    assert_eq!(
        answer.json()["available"],
        json!([{ "from": "en", "to": "es" }])
    );
    let answer = world.ask(offer("/whep/demo?lang=klingon", &ann)).await;
    assert_eq!(
        (answer.status.as_u16(), answer.problem().as_str()),
        (400, "invalid-language")
    );
}

#[actix_web::test]
async fn full_restarting_and_closing_are_503_and_say_when_to_come_back() {
    let world = World::new();
    for (room, problem) in [("full", "at-capacity"), ("restarting", "not-ready")] {
        let answer = world
            .ask(offer(
                &format!("/whip/{room}"),
                &token(room, "ann", true, true),
            ))
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.problem().as_str()),
            (503, problem)
        );
        assert!(
            answer
                .header("retry-after")
                .parse::<u32>()
                .is_ok_and(|seconds| seconds > 0),
            "{answer:?}"
        );
    }
    world.doorway.send_replace(Doorway::Closing);
    let answer = world
        .ask(offer("/whip/demo", &token("demo", "ann", true, true)))
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.problem().as_str()),
        (503, "not-ready")
    );
}

#[actix_web::test]
async fn a_service_that_hangs_is_a_503_not_a_hanging_client() {
    let mut config = config();
    config.http.request_timeout = std::time::Duration::from_millis(1);
    let answer = World::with(&config)
        .ask(offer("/whip/stuck", &token("stuck", "ann", true, true)))
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.problem().as_str()),
        (503, "overloaded")
    );
}
