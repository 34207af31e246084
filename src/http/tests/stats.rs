//! `/rooms` and `/stats`, and who may read them.

use super::*;
use crate::auth::VideoGrant;

fn ask(address: &str, credentials: &str) -> TestRequest {
    TestRequest::get()
        .uri(address)
        .insert_header(bearer(credentials))
}

fn server_token(video: VideoGrant) -> String {
    let claims = Claims {
        video,
        ..Claims::default()
    };
    let keyring = Keyring::new(&config().auth);
    keyring
        .issue(claims, None, unix_seconds())
        .expect("a token")
        .0
}

#[actix_web::test]
async fn scripts_find_the_fields_that_they_look_for() {
    let world = World::new();
    let stats = world.ask(ask("/stats", SERVICE_KEY)).await.json();
    assert_eq!(stats["total_rooms"], 2);
    assert_eq!(stats["total_participants"], 5);
    let room = &stats["rooms"][0];
    assert_eq!(
        (&room["name"], &room["num_participants"]),
        (&json!("demo"), &json!(3))
    );
    assert_eq!(room["quality_stats"]["packet_loss_rate"], 0.02);
    assert_eq!(room["quality_stats"]["jitter_ms"], 3.0);
    assert_eq!(room["quality_stats"]["rtt_ms"], Value::Null);
    assert_eq!(stats["quality_stats"]["packet_loss_rate"], 0.01);
    let same = world.ask(ask("/api/stats", SERVICE_KEY)).await.json();
    assert_eq!(same["rooms"], stats["rooms"]);
    let rooms = world.ask(ask("/rooms", SERVICE_KEY)).await.json();
    assert_eq!(rooms, json!({ "rooms": stats["rooms"] }));
}

#[actix_web::test]
async fn who_may_list_sees_all_rooms_and_an_admin_their_own() {
    let world = World::new();
    let list = server_token(VideoGrant {
        room_list: true,
        ..VideoGrant::default()
    });
    assert_eq!(
        world.ask(ask("/stats", &list)).await.json()["total_rooms"],
        2
    );
    let admin = server_token(VideoGrant {
        room_admin: true,
        room: Some("other".to_owned()),
        ..VideoGrant::default()
    });
    let seen = world.ask(ask("/stats", &admin)).await.json();
    assert_eq!(
        (&seen["total_rooms"], &seen["rooms"][0]["name"]),
        (&json!(1), &json!("other"))
    );
    assert_eq!(seen["total_participants"], 2);
    for address in ["/rooms", "/stats", "/api/stats"] {
        let participant = token("demo", "ann", true, true);
        assert_eq!(
            world.ask(ask(address, &participant)).await.problem(),
            "not-permitted"
        );
        assert_eq!(
            world.ask(ask(address, "wrong")).await.problem(),
            "invalid-token"
        );
        let nobody = world.ask(TestRequest::get().uri(address)).await;
        assert_eq!(nobody.problem(), "unauthenticated");
    }
}

#[actix_web::test]
async fn on_this_machine_nobody_needs_a_token_unless_for_somebody_else() {
    let world = World::new();
    for (peer, header, seen) in [
        ("127.0.0.1:5000", None, true),
        ("[::1]:5000", None, true),
        ("[::ffff:127.0.0.1]:5000", None, true),
        ("192.0.2.1:5000", None, false),
        (
            "127.0.0.1:5000",
            Some(("x-forwarded-for", "192.0.2.9")),
            false,
        ),
        (
            "127.0.0.1:5000",
            Some(("forwarded", "for=192.0.2.9")),
            false,
        ),
        (
            "127.0.0.1:5000",
            Some(("origin", "https://evil.example")),
            false,
        ),
        (
            "127.0.0.1:5000",
            Some(("authorization", "Bearer wrong")),
            false,
        ),
    ] {
        let mut request = TestRequest::get().uri("/stats");
        if let Some(header) = header {
            request = request.insert_header(header);
        }
        let answer = world.ask_from(peer, request).await;
        assert_eq!(answer.status == StatusCode::OK, seen, "{peer} {header:?}");
    }
}
