//! Every error is a problem, and what is around them: methods, origins, rates.

use super::*;

#[actix_web::test]
async fn methods_that_an_address_does_not_take_are_405_with_allow() {
    let world = World::new();
    for (method, address, allow) in [
        (Method::GET, "/whip/demo", "POST, OPTIONS"),
        (Method::PUT, "/whep/demo", "POST, OPTIONS"),
        (Method::GET, "/whip/demo/0", "PATCH, DELETE, OPTIONS"),
        (Method::POST, "/whep/demo/0", "PATCH, DELETE, OPTIONS"),
        (Method::POST, "/health", "GET, OPTIONS"),
        (Method::DELETE, "/auth/token/room", "POST, OPTIONS"),
        (Method::POST, "/rooms/demo/events", "GET, OPTIONS"),
    ] {
        let answer = world
            .ask(TestRequest::default().method(method.clone()).uri(address))
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.problem().as_str()),
            (405, "method-not-allowed"),
            "{address}"
        );
        assert_eq!(answer.header("allow"), allow, "{method} {address}");
        let answer = world
            .ask(TestRequest::default().method(Method::OPTIONS).uri(address))
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("allow")),
            (204, allow),
            "{address}"
        );
    }
}

#[actix_web::test]
async fn a_preflight_is_answered_with_what_whip_needs() {
    let preflight = TestRequest::default()
        .method(Method::OPTIONS)
        .uri("/whip/demo")
        .insert_header((header::ORIGIN, "https://app.example.org"))
        .insert_header((header::ACCESS_CONTROL_REQUEST_METHOD, "POST"))
        .insert_header((
            header::ACCESS_CONTROL_REQUEST_HEADERS,
            "authorization, content-type",
        ));
    let answer = World::new().ask(preflight).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert_eq!(
        answer.header("access-control-allow-methods"),
        "POST, OPTIONS"
    );
    assert_eq!(answer.header("accept-post"), "application/sdp");
    let ann = token("demo", "ann", true, true);
    let answer = World::new()
        .ask(offer("/whip/demo", &ann).insert_header((header::ORIGIN, "https://x.example")))
        .await;
    assert!(
        answer
            .header("access-control-expose-headers")
            .starts_with("Location, ETag, Link"),
        "{answer:?}"
    );
    let refused = World::new()
        .ask(offer("/whip/demo", "x").insert_header((header::ORIGIN, "https://x.example")))
        .await;
    assert_eq!(
        refused.header("access-control-allow-origin"),
        "*",
        "scripts have to see errors, too"
    );
}

#[actix_web::test]
async fn every_error_is_a_problem_even_those_of_the_framework() {
    let world = World::new();
    for (request, status) in [
        (TestRequest::get().uri("/nothing/here"), 404),
        (TestRequest::get().uri("/whip"), 404),
        (TestRequest::get().uri("/problems/none"), 404),
        (
            TestRequest::post()
                .uri("/whip/a%2Fb")
                .insert_header(bearer("x")),
            400,
        ),
        (
            TestRequest::get().uri("/rooms/demo/events?captions=perhaps"),
            400,
        ),
    ] {
        let answer = world.ask(request).await;
        assert_eq!(answer.status.as_u16(), status, "{answer:?}");
        answer.problem();
    }
}

#[actix_web::test]
async fn a_client_that_asks_too_often_is_told_to_wait_and_others_are_not() {
    let mut config = config();
    config.http.rate.burst = 2;
    config.http.rate.per_second = 1;
    config.http.trusted_proxies = vec!["192.0.2.1/32".parse().expect("a net")];
    let world = World::with(&config);
    let ask = async |address: &str, client: &'static str| {
        let request = TestRequest::get()
            .uri(address)
            .insert_header(("x-forwarded-for", client));
        let answer = world.ask(request).await;
        (
            answer.status.as_u16(),
            answer.headers.contains_key("retry-after"),
        )
    };
    assert_eq!(ask("/problems", "198.51.100.1").await, (200, false));
    assert_eq!(ask("/problems", "198.51.100.1").await, (200, false));
    assert_eq!(ask("/problems", "198.51.100.1").await, (429, true));
    assert_eq!(ask("/problems", "198.51.100.2").await, (200, false));
    for _ in 0..5 {
        assert_eq!(
            ask("/live", "198.51.100.1").await.0,
            200,
            "probes are not counted"
        );
    }
}

#[actix_web::test]
async fn problems_explain_themselves() {
    let world = World::new();
    let all = world.ask(TestRequest::get().uri("/problems")).await.json();
    for problem in all.as_array().expect("a list") {
        let address = problem["type"].as_str().expect("an address");
        assert_eq!(
            &world.ask(TestRequest::get().uri(address)).await.json(),
            problem
        );
    }
}
