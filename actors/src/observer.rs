//! Listens to the supervisors: what they do goes to the log, to the metrics and to the rooms. And sees
//! to it that every room has its actors.

use std::sync::Arc;
use std::time::Duration;

use metrics::{counter, gauge};

use crate::events::schema::{EventBody, Supervision};
use crate::hall::Hall;
use crate::pipeline::stage::{self, StageError};
use crate::supervision::{
    ChildContext, ChildPath, ChildSpec, EventStream, Happening, SupervisionEvent,
};

/// How often mailboxes are measured.
const INTERVAL: Duration = Duration::from_secs(2);

/// The actor that observes the tree.
pub(crate) fn spec(hall: Arc<Hall>) -> ChildSpec {
    stage::spec("observer".into(), move |child| run(hall.clone(), child))
}

async fn run(hall: Arc<Hall>, child: ChildContext) -> Result<(), StageError> {
    let mut events: EventStream = child.events();
    let mut measure = tokio::time::interval(INTERVAL);
    loop {
        tokio::select! {
            event = events.next() => observe(&hall, &*event.ok_or(StageError::Closed)?),
            _ = measure.tick() => {
                measure_mailboxes(&child);
                hall.put_rooms_up().await;
            }
        }
    }
}

fn observe(hall: &Hall, event: &SupervisionEvent) {
    let path = event.path.as_str();
    let (kind, reason, restarts) = match &event.what {
        Happening::Started => ("started", None, event.incarnation.saturating_sub(1)),
        Happening::Stopped { reason } => ("stopped", Some(reason.to_string()), 0),
        Happening::Restarted {
            reason, restarts, ..
        } => {
            counter!("hive_restarts_total", "actor" => kind_of(&event.path)).increment(1);
            tracing::warn!(path, %reason, restarts, "an actor was restarted");
            ("restarted", Some(reason.to_string()), *restarts)
        }
        Happening::Escalated { reason } => {
            counter!("hive_escalations_total").increment(1);
            tracing::error!(path, %reason, "a supervisor gave up and escalates");
            ("escalated", Some(reason.to_string()), 0)
        }
        Happening::Hung => {
            tracing::error!(path, "an actor hangs");
            ("hung", None, 0)
        }
        Happening::ArbiterLost { arbiter, actors } => {
            tracing::error!(path, arbiter, actors, "a blocked thread was written off");
            return;
        }
        Happening::MailboxFull {
            mailbox,
            class,
            dropped,
            ..
        } => {
            tracing::warn!(path, mailbox = %mailbox, class = class.as_str(), dropped, "a mailbox is full");
            (
                "mailbox_full",
                Some(format!("{mailbox}: {}", class.as_str())),
                0,
            )
        }
        Happening::ShutDownOverran { deadline } => {
            tracing::warn!(
                path,
                ?deadline,
                "an actor did not stop in time and was killed"
            );
            return;
        }
    };
    if let Some(room) = room_of(hall, &event.path) {
        let supervision = Supervision {
            kind,
            path: path.to_owned(),
            reason,
            restarts,
        };
        room.bus.emit(EventBody::Supervision(supervision));
    }
}

/// The room that a path leads into: `hive/rooms/<room>/…`.
fn room_of(hall: &Hall, path: &ChildPath) -> Option<Arc<crate::room::Room>> {
    let segment = path.segments().nth(2)?;
    if path.segments().nth(1) != Some("rooms") {
        return None;
    }
    let prefix = ChildPath::root("hive").join("rooms");
    hall.rooms()
        .into_iter()
        .find(|room| prefix.join(&room.name).segments().nth(2) == Some(segment))
}

/// What an actor is, without whose: names of rooms and people would make endless labels.
fn kind_of(path: &ChildPath) -> String {
    let segments: Vec<&str> = path.segments().collect();
    let last = segments.last().copied().unwrap_or_default();
    match segments.iter().rev().nth(1).copied() {
        Some("channels") => "channel".into(),
        Some("participants" | "rooms") => "supervisor".into(),
        _ => last.split(':').next().unwrap_or_default().to_owned(),
    }
}

fn measure_mailboxes(child: &ChildContext) {
    let tree = child.supervisor().whole_tree();
    let mut depth = std::collections::BTreeMap::<String, (usize, u64)>::new();
    for node in tree.walk() {
        for mailbox in &node.mailboxes {
            let sum = depth.entry(mailbox.name.to_string()).or_default();
            sum.0 += mailbox.depth;
            sum.1 += mailbox.dropped;
        }
    }
    for (name, (depth, dropped)) in depth {
        gauge!("hive_mailbox_depth", "mailbox" => name.clone()).set(depth as f64);
        gauge!("hive_mailbox_dropped", "mailbox" => name).set(dropped as f64);
    }
}
