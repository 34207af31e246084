//! Who is not let in, and where they learn why.

use super::*;

#[actix_web::test]
async fn a_client_that_may_join_is_told_so_across_origins() {
    World::with(config(), |world| {
        let token = token("demo");
        let newer = v1(&token, true).replace("/rtc/v1?", "/rtc/v1/validate?");
        let older = format!("/rtc/validate?access_token={token}&protocol=16");
        for address in [newer, older] {
            let headers = [("Origin", "https://app.example.org")];
            let answer = socket::get(world.server.address(), &address, &headers);
            assert_eq!(
                (answer.status, answer.body.as_str()),
                (200, "success"),
                "{answer:?}"
            );
            assert!(
                answer.head.contains("access-control-allow-origin: *"),
                "{answer:?}"
            );
        }
        assert!(world.log.joined().is_empty(), "asking is not joining");
    })
    .await;
}

#[actix_web::test]
async fn a_refusal_has_the_same_status_at_both_addresses() {
    World::with(config(), |world| {
        let expired = json!({
            "iss": "key", "sub": "ann", "exp": unix_seconds() - 3600,
            "video": { "room": "demo", "roomJoin": true },
        });
        let forged = json!({
            "iss": "key", "sub": "ann", "exp": unix_seconds() + 60,
            "video": { "room": "demo", "roomJoin": true },
        });
        let describes_itself = JoinRequest {
            metadata: "x".to_owned(),
            ..JoinRequest::default()
        };
        let good = token("demo");
        for (address, status, problem) in [
            (v1("", false), 401, "invalid-token"),
            (v1("garbage", false), 401, "invalid-token"),
            (v1(&signed(&expired, SECRET), false), 401, "token-expired"),
            (
                v1(&signed(&forged, &SECRET.to_uppercase()), false),
                401,
                "invalid-token",
            ),
            (
                v1(&token_of(json!({ "room": "demo" })), false),
                403,
                "not-permitted",
            ),
            (
                v1(&token_of(json!({ "roomJoin": true })), false),
                403,
                "wrong-room",
            ),
            (
                format!("{}&room=other", v1(&good, false)),
                403,
                "wrong-room",
            ),
            (
                v1_with(&good, &describes_itself, false),
                403,
                "not-permitted",
            ),
            (format!("/rtc/v1?access_token={good}"), 400, "bad-request"),
            (
                format!("/rtc/v1?access_token={good}&join_request=AAAA"),
                400,
                "bad-request",
            ),
            (
                format!("/rtc?access_token={good}&attributes=AAAA"),
                400,
                "bad-request",
            ),
            (v1(&token("missing"), true), 404, "not-found"),
            (v1(&token("full"), true), 503, "at-capacity"),
        ] {
            let refused = world.connect(&address).expect_err("refused");
            assert_eq!(refused.status, status, "{address}");
            let validate = address.replacen('?', "/validate?", 1);
            let answer = world.get(&validate);
            assert_eq!(
                (answer.status, answer.problem().as_str()),
                (status, problem),
                "{address}"
            );
            assert!(!answer.body.contains(&good), "tokens are not repeated");
            if status == 404 {
                // Or LiveKit's JavaScript SDK takes the address for missing.
                assert!(answer.body.contains("requested room does not exist"));
            }
        }
        let bare = socket::get(world.server.address(), "/rtc/v1/validate", &[]);
        assert_eq!(
            (bare.status, bare.problem().as_str()),
            (401, "unauthenticated")
        );
        assert!(world.log.joined().is_empty());
    })
    .await;
}

#[actix_web::test]
async fn the_addresses_speak_websocket() {
    World::with(config(), |world| {
        let answer = world.get(&v1(&token("demo"), true));
        assert_eq!(
            (answer.status, answer.problem().as_str()),
            (400, "bad-request")
        );
        assert!(
            world.log.joined().is_empty(),
            "nobody is let in for nothing"
        );
    })
    .await;
}
