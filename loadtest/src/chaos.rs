//! Kills a random stage every now and then, through the server's own fault injection.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use parking_lot::Mutex;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::http::{Call, HttpClient};
use crate::server::supervision;

/// Time between two kills.
pub const PERIOD: Duration = Duration::from_secs(2);

/// A task that kills.
pub struct Chaos {
    task: JoinHandle<()>,
    kills: Arc<Mutex<BTreeMap<String, usize>>>,
}

impl Chaos {
    /// Begin to kill stages of a room.
    pub fn start(http: HttpClient, service_key: String, room: String, seed: u64) -> Self {
        let kills = Arc::<Mutex<BTreeMap<String, usize>>>::default();
        let counted = kills.clone();
        let task = tokio::spawn(async move {
            let mut rng = SmallRng::seed_from_u64(seed);
            let mut ticks = tokio::time::interval(PERIOD);
            ticks.tick().await;
            loop {
                ticks.tick().await;
                // A server too busy to answer is spared this time.
                let Ok(tree) = supervision(&http, &service_key).await else {
                    continue;
                };
                let stages = stages(&tree, &room);
                let Some(path) = stages.choose(&mut rng) else {
                    continue;
                };
                let body = serde_json::json!({ "path": path }).to_string();
                let call = Call::new(Method::POST, "/supervision/kill")
                    .bearer(&service_key)
                    .body("application/json", body);
                match http.expect(call).await {
                    Ok(_) => *counted.lock().entry(stage_name(path)).or_default() += 1,
                    Err(error) => tracing::debug!(%error, path, "a stage escaped"),
                }
            }
        });
        Self { task, kills }
    }

    /// Stop and tell how often each stage was killed.
    pub fn stop(self) -> BTreeMap<String, usize> {
        self.task.abort();
        std::mem::take(&mut *self.kills.lock())
    }
}

/// Paths of the running pipeline stages and language channels of a room.
fn stages(tree: &Value, room: &str) -> Vec<String> {
    let mut found = Vec::new();
    walk(tree, &mut |node| {
        let text = |key: &str| node.get(key).and_then(Value::as_str).unwrap_or_default();
        let path = text("path");
        let has = |wanted: &str| path.split('/').any(|part| part == wanted);
        let in_room = path
            .split('/')
            .any(|part| part == room || part.ends_with(&format!(":{room}")));
        if text("kind") == "worker"
            && text("state") == "running"
            && in_room
            && (has("pipeline") || has("channels"))
        {
            found.push(path.to_owned());
        }
    });
    found
}

/// Restarts counted in the text of `/metrics`. The supervision tree would not do: it forgets a
/// participant's stages when the participant leaves.
pub fn restarts(metrics: &str) -> u64 {
    metrics
        .lines()
        .filter(|line| line.starts_with("hive_restarts_total"))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}

fn walk(node: &Value, visit: &mut impl FnMut(&Value)) {
    visit(node);
    for child in node
        .get("children")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        walk(child, visit);
    }
}

/// The last part of a path.
fn stage_name(path: &str) -> String {
    path.rsplit('/').next().unwrap_or(path).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_running_stages_of_the_room_are_targets() {
        let worker = |path: &str, state: &str| {
            serde_json::json!({"path": path, "kind": "worker", "state": state, "restarts": 1,
                "children": []})
        };
        let tree = serde_json::json!({"path": "root", "kind": "supervisor", "state": "running",
        "restarts": 0, "children": [
            worker("root/devices/cpu", "running"),
            worker("root/rooms/demo/participants/a/pipeline/stt", "running"),
            worker("root/rooms/demo/participants/a/pipeline/vad", "restarting"),
            worker("root/rooms/demo/channels/es", "running"),
            worker("root/rooms/other/participants/b/pipeline/stt", "running"),
        ]});
        assert_eq!(
            stages(&tree, "demo"),
            [
                "root/rooms/demo/participants/a/pipeline/stt",
                "root/rooms/demo/channels/es"
            ]
        );
        assert_eq!(stage_name("root/rooms/demo/channels/es"), "es");
    }

    #[test]
    fn restarts_are_summed_over_actors() {
        let metrics = "# TYPE hive_restarts_total counter\n\
            hive_restarts_total{actor=\"vad\"} 3\n\
            hive_restarts_total{actor=\"stt\"} 4\n\
            hive_events_total 9\n";
        assert_eq!(restarts(metrics), 7);
        assert_eq!(restarts(""), 0);
    }
}
