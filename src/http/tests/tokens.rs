//! Who may come in.

use super::*;

#[actix_web::test]
async fn tokens_that_do_not_fit_are_told_apart() {
    let world = World::new();
    let now = unix_seconds();
    for (token, status, problem) in [
        (String::new(), 401, "unauthenticated"),
        ("garbage".to_owned(), 401, "invalid-token"),
        (
            token_at("demo", "ann", (true, true), now - 7 * 86_400),
            401,
            "token-expired",
        ),
        (
            token_at("demo", "ann", (true, true), now + 3600),
            401,
            "token-not-yet-valid",
        ),
        (token("other", "ann", true, true), 403, "wrong-room"),
        (token("demo", "ann", false, true), 403, "not-permitted"),
    ] {
        let answer = world.ask(offer("/whip/demo", &token)).await;
        assert_eq!(
            (answer.status.as_u16(), answer.problem().as_str()),
            (status, problem)
        );
        if status == 401 {
            assert!(
                answer
                    .header("www-authenticate")
                    .starts_with("Bearer realm=\"hive\""),
                "{answer:?}"
            );
        }
    }
    let answer = world
        .ask(offer("/whep/demo", &token("demo", "ann", true, false)))
        .await;
    assert_eq!(answer.problem(), "not-permitted");
}

#[actix_web::test]
async fn a_service_gets_tokens_that_open_the_room() {
    let world = World::new();
    let request = |key: &str, body: Value| {
        TestRequest::post()
            .uri("/auth/token/room")
            .insert_header(bearer(key))
            .set_json(body)
    };
    let body =
        json!({ "room_name": "demo", "participant_name": "Ann", "role": "listener", "ttl": 60 });
    let answer = world.ask(request(SERVICE_KEY, body.clone())).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("cache-control")),
        (200, "no-store"),
        "{answer:?}"
    );
    let issued = answer.json();
    assert!(
        issued["expires_at"]
            .as_u64()
            .is_some_and(|at| at.abs_diff(unix_seconds() + 60) < 10)
    );
    assert_eq!(issued["urls"]["whep"], "/whep/demo");
    assert_eq!(issued["urls"]["whip"], Value::Null);
    let listener = issued["token"].as_str().expect("a token");
    assert_eq!(
        world.ask(offer("/whep/demo", listener)).await.status,
        StatusCode::CREATED
    );
    assert_eq!(
        world.ask(offer("/whip/demo", listener)).await.problem(),
        "not-permitted"
    );

    assert_eq!(
        world.ask(request("wrong", body.clone())).await.problem(),
        "invalid-service-key"
    );
    assert_eq!(
        world.ask(request(listener, body)).await.problem(),
        "invalid-service-key"
    );
    for (body, field) in [
        (json!({}), "room_name"),
        (
            json!({ "room_name": "a/b", "participant_name": "Ann", "role": "speaker" }),
            "room_name",
        ),
        (
            json!({ "room_name": "a", "participant_name": "Ann", "role": "boss" }),
            "role",
        ),
        (
            json!({ "room_name": "a", "participant_name": "Ann", "role": "speaker", "tll": 1 }),
            "tll",
        ),
        (
            json!({ "room_name": "a", "participant_name": "", "role": "speaker" }),
            "participant_name",
        ),
        (json!(3), "invalid type"),
    ] {
        let answer = world.ask(request(SERVICE_KEY, body)).await;
        assert_eq!(
            (answer.status.as_u16(), answer.problem().as_str()),
            (400, "invalid-json")
        );
        assert!(
            answer.json()["detail"]
                .as_str()
                .is_some_and(|detail| detail.contains(field)),
            "{answer:?}"
        );
    }
    let forever = json!({ "room_name": "a", "participant_name": "Ann", "role": "speaker", "ttl": 1_000_000_000 });
    assert_eq!(
        world.ask(request(SERVICE_KEY, forever)).await.problem(),
        "bad-request"
    );
}

#[actix_web::test]
async fn the_events_need_a_token_and_a_websocket() {
    let world = World::new();
    let get = |query: &str| TestRequest::get().uri(&format!("/rooms/demo/events{query}"));
    assert_eq!(world.ask(get("")).await.problem(), "unauthenticated");
    let speaker_only = token("demo", "ann", true, false);
    assert_eq!(
        world
            .ask(get(&format!("?access_token={speaker_only}")))
            .await
            .problem(),
        "not-permitted"
    );
    let ann = token("demo", "ann", true, true);
    let answer = world.ask(get(&format!("?access_token={ann}"))).await;
    assert_eq!(answer.problem(), "bad-request");
    assert!(answer.body.contains("WebSocket"), "{answer:?}");
}
