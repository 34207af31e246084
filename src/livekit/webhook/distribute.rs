//! From the rooms to the receivers' queues.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use actix_web::http::Uri;
use futures_util::{Stream, StreamExt};
use hive_actors::livekit::{LifecycleEvent, proto::WebhookEvent};
use tokio::sync::{mpsc, oneshot};

use super::event::Ids;

/// Events that a receiver is to be told the number of, because it was not told of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Missed(Arc<AtomicU32>);

impl Missed {
    pub(super) fn add(&self, events: u32) {
        let add = |missed: u32| Some(missed.saturating_add(events));
        // It never fails: the function always has a value.
        let _ = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    pub(super) fn take(&self) -> u32 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

/// What waits for one receiver.
pub(super) struct Queue {
    /// Its origin: the rest of its URL may be known to nobody else.
    pub(super) receiver: Arc<str>,
    pub(super) missed: Missed,
    events: mpsc::Sender<Arc<WebhookEvent>>,
}

impl Queue {
    pub(super) fn new(events: mpsc::Sender<Arc<WebhookEvent>>, url: &Uri) -> Self {
        let scheme = url.scheme_str().unwrap_or_default();
        let authority = url.authority().map_or("", |authority| authority.as_str());
        Self {
            receiver: format!("{scheme}://{authority}").into(),
            missed: Missed::default(),
            events,
        }
    }

    fn miss(&self, events: u64) {
        metrics::counter!("hive_webhooks_total", "outcome" => "dropped").increment(events);
        self.missed.add(u32::try_from(events).unwrap_or(u32::MAX));
    }

    /// The newest is dropped if there is no place: what waits longer is what the receiver needs first to make
    /// sense of the rest.
    fn push(&self, event: Arc<WebhookEvent>) {
        if let Err(mpsc::error::TrySendError::Full(event)) = self.events.try_send(event) {
            tracing::warn!(
                receiver = %self.receiver, event = event.event, id = event.id,
                "a webhook is dropped, because too many wait for its receiver (webhook.queue)"
            );
            self.miss(1);
        }
    }
}

/// Puts every event into every queue, until there are no more or `closing` is dropped and nothing more is there
/// at once. The queues end with it.
pub(super) async fn distribute(
    mut events: impl Stream<Item = Result<LifecycleEvent, u64>> + Unpin,
    queues: Vec<Queue>,
    mut ids: Ids,
    mut closing: oneshot::Receiver<()>,
) {
    loop {
        let next = tokio::select! {
            biased;
            next = events.next() => next,
            _ = &mut closing => None,
        };
        match next {
            Some(Ok(event)) => {
                let event = Arc::new(ids.name(event));
                queues.iter().for_each(|queue| queue.push(event.clone()));
            }
            Some(Err(lost)) => {
                tracing::warn!(
                    lost,
                    "webhooks were lost before they were made: the server is busy"
                );
                queues.iter().for_each(|queue| queue.miss(lost));
            }
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use hive_actors::livekit::{LifecycleKind, proto};
    use rand::{SeedableRng, rngs::StdRng};

    fn event(room: &str) -> Result<LifecycleEvent, u64> {
        Ok(LifecycleEvent {
            kind: LifecycleKind::RoomStarted,
            room: proto::Room {
                name: room.to_owned(),
                ..proto::Room::default()
            },
            participant: None,
            track: None,
            created_at: 1,
        })
    }

    fn queue(length: usize) -> (Queue, mpsc::Receiver<Arc<WebhookEvent>>, Missed) {
        let (events, waiting) = mpsc::channel(length);
        let url = "https://app.example.org:1/hook?token=swordfish".parse();
        let queue = Queue::new(events, &url.expect("a URL"));
        let missed = queue.missed.clone();
        (queue, waiting, missed)
    }

    fn ids() -> Ids {
        Ids::new(StdRng::seed_from_u64(1))
    }

    async fn rooms(mut waiting: mpsc::Receiver<Arc<WebhookEvent>>) -> Vec<String> {
        let mut rooms = Vec::new();
        while let Some(event) = waiting.recv().await {
            rooms.extend(event.room.as_ref().map(|room| room.name.clone()));
        }
        rooms
    }

    #[tokio::test]
    async fn a_full_queue_costs_the_others_nothing() {
        let (short, few, missed_few) = queue(1);
        let (long, all, missed_none) = queue(9);
        let (_open, closing) = oneshot::channel();
        let events = stream::iter([event("a"), event("b"), Err(4), event("c")]);
        distribute(events, vec![short, long], ids(), closing).await;
        assert_eq!(rooms(few).await, ["a"]);
        assert_eq!(rooms(all).await, ["a", "b", "c"]);
        assert_eq!((missed_few.take(), missed_none.take()), (2 + 4, 4));
        assert_eq!(missed_few.take(), 0, "told once");
    }

    #[tokio::test]
    async fn closing_takes_along_what_is_there() {
        let (queue, waiting, _) = queue(9);
        let (open, closing) = oneshot::channel();
        drop(open);
        let events = stream::iter([event("a"), event("b")]).chain(stream::pending());
        distribute(events, vec![queue], ids(), closing).await;
        assert_eq!(rooms(waiting).await, ["a", "b"]);
    }

    #[test]
    fn logs_are_told_the_origin_only() {
        assert_eq!(&*queue(1).0.receiver, "https://app.example.org:1");
    }
}
