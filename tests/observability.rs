//! Health, metrics and the supervision tree of a running server.

mod server;

use serde_json::{Value, json};
use server::{SERVICE_KEY, Server, token};

fn paths(tree: &Value) -> Vec<String> {
    let mut found = vec![tree["path"].as_str().unwrap_or_default().to_owned()];
    for child in tree["children"].as_array().into_iter().flatten() {
        found.extend(paths(child));
    }
    found
}

#[test]
fn health_tells_what_works() {
    let server = Server::start("");
    server.logged("hive is ready");
    assert_eq!(
        server.request("GET", "/live").send().json()["status"],
        "live"
    );
    assert_eq!(
        server.request("GET", "/ready").send().json()["status"],
        "ready"
    );
    let health = server.request("GET", "/health").send().json();
    assert!(
        health["language_pairs"]
            .as_array()
            .is_some_and(|pairs| pairs.contains(&json!({ "from": "en", "to": "es" })))
    );
    assert!(
        health["checks"]
            .as_array()
            .is_some_and(|checks| checks.iter().all(|check| check["ok"] == true)),
        "{health}"
    );
}

#[test]
fn every_metric_is_documented() {
    let server = Server::start("");
    let ann = token("demo", "ann", &[]);
    server.publish("demo", &ann);
    let answer = server.request("GET", "/metrics").send();
    assert!(
        answer
            .header("content-type")
            .starts_with("text/plain; version=0.0.4"),
        "{answer:?}"
    );
    let documented = include_str!("../docs/metrics.md");
    let mut names: Vec<&str> = answer
        .body
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .filter_map(|line| line.split(' ').next())
        .collect();
    names.sort_unstable();
    assert!(names.contains(&"hive_http_requests_total"), "{names:?}");
    for name in &names {
        assert!(
            documented.contains(&format!("| `{name}` |")),
            "docs/metrics.md lacks {name}"
        );
    }
}

#[test]
fn the_tree_shows_the_room_and_a_killed_actor_comes_back() {
    let server = Server::start("chaos: {enabled: true}\n");
    let ann = token("demo", "ann", &[]);
    let mut events = server.events("demo", &ann, "");
    server.publish("demo", &ann);
    let tree = server
        .request("GET", "/supervision")
        .bearer(SERVICE_KEY)
        .send()
        .json();
    let paths = paths(&tree);
    let victim = paths
        .iter()
        .filter(|path| path.contains("demo"))
        .max_by_key(|path| path.len())
        .expect("the room's");
    let killed = server
        .request("POST", "/supervision/kill")
        .bearer(SERVICE_KEY)
        .json(&json!({ "path": victim }))
        .send();
    assert_eq!(killed.status, 204, "{killed:?} of {paths:?}");
    let told =
        events.find(|event| event["path"] == victim.as_str() && event["kind"] == "restarted");
    assert_eq!(
        (&told["type"], &told["restarts"]),
        (&"supervision".into(), &1.into()),
        "{told}"
    );
    let nobody = json!({ "path": "hive/nobody" });
    let unknown = server
        .request("POST", "/supervision/kill")
        .bearer(SERVICE_KEY)
        .json(&nobody)
        .send();
    assert_eq!(unknown.problem(), (404, "unknown-path".to_owned()));
}

#[test]
fn nobody_is_killed_where_chaos_is_off() {
    let server = Server::start("");
    let kill = server
        .request("POST", "/supervision/kill")
        .bearer(SERVICE_KEY)
        .json(&json!({ "path": "hive" }))
        .send();
    assert_eq!(kill.problem(), (403, "chaos-disabled".to_owned()));
    let token = server
        .request("GET", "/supervision")
        .bearer(&token("demo", "ann", &[]))
        .send();
    assert_eq!(token.problem(), (401, "invalid-service-key".to_owned()));
}
