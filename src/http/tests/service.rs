//! Health and supervision.

use std::sync::atomic::Ordering;

use super::*;

#[actix_web::test]
async fn the_tree_is_for_services_and_shots_at_it_for_chaos() {
    let world = World::new();
    let tree = |key: &str| {
        TestRequest::get()
            .uri("/supervision")
            .insert_header(bearer(key))
    };
    assert_eq!(world.ask(tree(SERVICE_KEY)).await.json()["id"], "hive");
    assert_eq!(
        world.ask(tree("wrong")).await.problem(),
        "invalid-service-key"
    );
    assert_eq!(
        world
            .ask(TestRequest::get().uri("/supervision"))
            .await
            .problem(),
        "invalid-service-key"
    );
    let kill = |path: &str| {
        TestRequest::post()
            .uri("/supervision/kill")
            .insert_header(bearer(SERVICE_KEY))
            .set_json(json!({ "path": path }))
    };
    assert_eq!(
        world.ask(kill("hive/room")).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        world.ask(kill("hive/nobody")).await.problem(),
        "unknown-path"
    );
    assert_eq!(
        world.ask(kill("hive/restarting")).await.problem(),
        "conflict"
    );
    let mut calm = config();
    calm.chaos.enabled = false;
    assert_eq!(
        World::with(&calm).ask(kill("hive/room")).await.problem(),
        "chaos-disabled"
    );
}

#[actix_web::test]
async fn ready_fails_with_what_is_missing_while_live_goes_on() {
    let world = World::new();
    let get = |address: &str| TestRequest::get().uri(address);
    let ready = world.ask(get("/ready")).await;
    assert_eq!(
        (ready.status.as_u16(), &ready.json()["status"]),
        (200, &json!("ready"))
    );
    assert_eq!(
        world.ask(get("/health")).await.json()["language_pairs"],
        json!([{ "from": "en", "to": "es" }])
    );
    world.table.broken.store(true, Ordering::Relaxed);
    let broken = world.ask(get("/ready")).await;
    assert_eq!(
        (broken.status.as_u16(), broken.problem().as_str()),
        (503, "not-ready")
    );
    assert_eq!(
        broken.json()["checks"][0],
        json!({ "name": "stt:en", "ok": false })
    );
    assert_eq!(world.ask(get("/live")).await.status, StatusCode::OK);
    world.table.broken.store(false, Ordering::Relaxed);
    world.doorway.send_replace(Doorway::Closing);
    assert_eq!(
        world.ask(get("/ready")).await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );
}
