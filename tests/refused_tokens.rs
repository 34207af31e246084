//! Wrong, expired, other-room and unsigned tokens open nothing.

mod server;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use server::{API_KEY, API_SECRET, SERVICE_KEY, Server, offer, token, token_of};

/// A token with any header and claims and the signature of another one.
fn forged(header: &str, claims: &str, signature: &str) -> String {
    format!(
        "{}.{}.{signature}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims)
    )
}

#[test]
fn only_a_token_for_the_room_opens_it() {
    let server = Server::start("");
    let publish = |token: Option<&str>| {
        let request = server
            .request("POST", "/whip/demo")
            .body("application/sdp", offer("publish.sdp"));
        match token {
            Some(token) => request.bearer(token),
            None => request,
        }
        .send()
    };
    let good = token("demo", "ann", &[]);
    let signature = good.rsplit_once('.').expect("three parts").1;
    let claims = format!(
        r#"{{"iss":"{API_KEY}","sub":"ann","exp":9999999999,"video":{{"room":"demo","roomJoin":true}}}}"#
    );
    let expired = claims.replace("9999999999", "1000000000");
    for (token, status, problem) in [
        (None, 401, "unauthenticated"),
        (Some("garbage".to_owned()), 401, "invalid-token"),
        (
            Some(forged(r#"{"alg":"none"}"#, &claims, "")),
            401,
            "invalid-token",
        ),
        (
            Some(forged(r#"{"alg":"HS256"}"#, &claims, signature)),
            401,
            "invalid-token",
        ),
        (
            Some(forged(r#"{"alg":"HS256"}"#, &expired, signature)),
            401,
            "invalid-token",
        ),
        (
            Some(token_of(
                API_KEY,
                &API_SECRET.replace('d', "e"),
                "demo",
                "ann",
                &[],
            )),
            401,
            "invalid-token",
        ),
        (
            Some(token_of("another", API_SECRET, "demo", "ann", &[])),
            401,
            "invalid-token",
        ),
        (Some(token("other", "ann", &[])), 403, "wrong-room"),
        (
            Some(token("demo", "ann", &["--publish", "false"])),
            403,
            "not-permitted",
        ),
        (Some(SERVICE_KEY.to_owned()), 401, "invalid-token"),
    ] {
        let answer = publish(token.as_deref());
        assert_eq!(answer.problem(), (status, problem.to_owned()), "{token:?}");
        assert_eq!(
            answer.header("www-authenticate").is_empty(),
            status != 401,
            "{token:?}"
        );
    }
    assert_eq!(publish(Some(&good)).status, 201, "a good token still does");
}

#[test]
fn an_expired_token_is_told_so() {
    let server = Server::start("");
    let made = jsonwebtoken::encode(
        &jsonwebtoken::Header::default(),
        &serde_json::json!({
            "iss": API_KEY, "sub": "ann", "exp": 1_000_000_000, "video": { "room": "demo", "roomJoin": true },
        }),
        &jsonwebtoken::EncodingKey::from_secret(API_SECRET.as_bytes()),
    )
    .expect("a token");
    for path in ["/whip/demo", "/whep/demo"] {
        let answer = server
            .request("POST", path)
            .bearer(&made)
            .body("application/sdp", offer("publish.sdp"))
            .send();
        assert_eq!(answer.problem(), (401, "token-expired".to_owned()));
    }
    let events = server
        .request("GET", &format!("/rooms/demo/events?access_token={made}"))
        .send();
    assert_eq!(events.problem(), (401, "token-expired".to_owned()));
}
