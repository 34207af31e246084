//! The subscribers every service wants: the log and the metrics.

use std::collections::BTreeMap;

use super::event::{EventStream, Happening};
use super::exit::ExitReason;
use super::tree::{NodeKind, NodeState, Tree};

/// Writes every event to the log until the stream ends. Spawn it once a tree.
pub async fn log_events(mut events: EventStream) {
    let mut lost = 0;
    while let Some(event) = events.next().await {
        let (path, incarnation) = (event.path.as_str(), event.incarnation);
        match &event.what {
            Happening::Started => tracing::debug!(path, incarnation, "actor started"),
            Happening::Stopped { reason } if reason.is_abnormal() => {
                tracing::warn!(path, incarnation, %reason, "actor ended");
            }
            Happening::Stopped { reason } => {
                tracing::debug!(path, incarnation, %reason, "actor ended");
            }
            Happening::Restarted {
                reason,
                delay,
                restarts,
            } => tracing::info!(
                path,
                incarnation,
                %reason,
                delay_ms = delay.as_secs_f64() * 1000.0,
                restarts,
                "actor restarts"
            ),
            Happening::Escalated { reason } => tracing::error!(
                path,
                %reason,
                "supervisor gives up after too many restarts; its own supervisor takes over"
            ),
            Happening::Hung => tracing::error!(path, incarnation, "actor made no progress"),
            Happening::ArbiterLost { arbiter, actors } => tracing::error!(
                path,
                arbiter,
                actors,
                "a blocked thread is written off and its actors move to another"
            ),
            Happening::MailboxFull {
                mailbox,
                class,
                dropped,
                deadline_passed,
            } => tracing::warn!(
                path,
                mailbox = &**mailbox,
                class = class.as_str(),
                dropped,
                deadline_passed,
                "a mailbox is full"
            ),
            Happening::ShutDownOverran { deadline } => tracing::warn!(
                path,
                incarnation,
                deadline_ms = deadline.as_secs_f64() * 1000.0,
                "actor did not stop in time and is killed"
            ),
        }
        if events.lagged() > lost {
            tracing::warn!(
                events = events.lagged() - lost,
                "the log fell behind and lost supervision events"
            );
            lost = events.lagged();
        }
    }
}

/// Counts every event until the stream ends: `hive_supervision_events_total{event}` and
/// `hive_restarts_total{reason}`. Spawn it once a tree.
pub async fn count_events(mut events: EventStream) {
    while let Some(event) = events.next().await {
        let name = match &event.what {
            Happening::Started => "started",
            Happening::Stopped { .. } => "stopped",
            Happening::Restarted { reason, .. } => {
                metrics::counter!("hive_restarts_total", "reason" => reason_name(reason))
                    .increment(1);
                "restarted"
            }
            Happening::Escalated { .. } => "escalated",
            Happening::Hung => "hung",
            Happening::ArbiterLost { .. } => "arbiter_lost",
            Happening::MailboxFull { .. } => "mailbox_full",
            Happening::ShutDownOverran { .. } => "shut_down_overran",
        };
        metrics::counter!("hive_supervision_events_total", "event" => name).increment(1);
    }
}

/// Sets the gauges that are read from the tree: `hive_actors{state}`, and by mailbox name and class
/// `hive_mailbox_depth`, `hive_mailbox_capacity` and `hive_mailbox_dropped` (since the mailboxes that
/// are there now were made). Call it when metrics are read. Mailboxes of one name are added up, so names
/// should say what reads them and not for whom.
pub fn gauge_tree(tree: &Tree) {
    let mut states: BTreeMap<&'static str, u32> = NodeState::ALL
        .into_iter()
        .map(|state| (state.as_str(), 0))
        .collect();
    let mut mailboxes: BTreeMap<(String, &'static str), (usize, usize, u64)> = BTreeMap::new();
    for node in tree.walk() {
        if node.kind == NodeKind::Worker {
            *states.entry(node.state.as_str()).or_default() += 1;
        }
        for mailbox in &node.mailboxes {
            for class in &mailbox.classes {
                let sum = mailboxes
                    .entry((mailbox.name.to_string(), class.class.as_str()))
                    .or_default();
                sum.0 += class.depth;
                sum.1 += class.capacity;
                sum.2 += class.dropped;
            }
        }
    }
    for (state, count) in states {
        metrics::gauge!("hive_actors", "state" => state).set(count);
    }
    for ((mailbox, class), (depth, capacity, dropped)) in mailboxes {
        let labels = [("mailbox", mailbox), ("class", class.to_owned())];
        metrics::gauge!("hive_mailbox_depth", &labels).set(depth as f64);
        metrics::gauge!("hive_mailbox_capacity", &labels).set(capacity as f64);
        metrics::gauge!("hive_mailbox_dropped", &labels).set(dropped as f64);
    }
}

fn reason_name(reason: &ExitReason) -> &'static str {
    match reason {
        ExitReason::Normal => "normal",
        ExitReason::Shutdown => "shutdown",
        ExitReason::Panicked(_) => "panicked",
        ExitReason::Failed(_) => "failed",
        ExitReason::Hung => "hung",
        ExitReason::Killed => "killed",
        ExitReason::ArbiterLost => "arbiter_lost",
        ExitReason::Escalated(_) => "escalated",
        ExitReason::Requested(_) => "requested",
    }
}
