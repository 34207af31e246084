//! One bounded broadcast per room: a slow subscriber misses events and is told so; it never holds
//! up anybody else.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use tokio::sync::broadcast;

use super::schema::{EventBody, RoomEvent, SCHEMA_VERSION};
use crate::telemetry;

/// Events kept for a subscriber that is behind.
const CAPACITY: usize = 1024;

/// The bus of one room. It outlives the room's actors.
#[derive(Debug)]
pub(crate) struct EventBus {
    room: Arc<str>,
    sender: broadcast::Sender<Arc<RoomEvent>>,
    last_seq: Mutex<u64>,
}

/// What a receiver gets.
#[derive(Clone, Debug)]
pub(crate) enum Received {
    /// The next event.
    Event(Arc<RoomEvent>),
    /// So many events were overwritten before they were read.
    Lagged(u64),
    /// The room is gone.
    Closed,
}

impl EventBus {
    /// The bus of the room of this name.
    pub(crate) fn new(room: Arc<str>) -> Self {
        let (sender, _) = broadcast::channel(CAPACITY);
        EventBus {
            room,
            sender,
            last_seq: Mutex::new(0),
        }
    }

    /// Sends an event to whoever is subscribed; never waits.
    pub(crate) fn emit(&self, body: EventBody) {
        if let EventBody::Caption(caption) = &body {
            telemetry::caption(caption.kind, caption.translated);
        }
        let mut last_seq = self.last_seq.lock();
        *last_seq += 1;
        let event = self.event(*last_seq, body);
        // Without subscribers there is nobody to tell.
        let _ = self.sender.send(Arc::new(event));
    }

    /// An event for one subscriber alone, numbered as the last one sent to all.
    pub(crate) fn private(&self, body: EventBody) -> Arc<RoomEvent> {
        let seq = *self.last_seq.lock();
        Arc::new(self.event(seq, body))
    }

    /// Receives the events sent from now on.
    pub(crate) fn receiver(&self) -> broadcast::Receiver<Arc<RoomEvent>> {
        self.sender.subscribe()
    }

    fn event(&self, seq: u64, body: EventBody) -> RoomEvent {
        RoomEvent {
            v: SCHEMA_VERSION,
            room: self.room.clone(),
            seq,
            at_ms: unix_ms(SystemTime::now()),
            body,
        }
    }
}

/// Receives the next event, or says what became of it.
pub(crate) async fn receive(receiver: &mut broadcast::Receiver<Arc<RoomEvent>>) -> Received {
    match receiver.recv().await {
        Ok(event) => Received::Event(event),
        Err(broadcast::error::RecvError::Lagged(missed)) => Received::Lagged(missed),
        Err(broadcast::error::RecvError::Closed) => Received::Closed,
    }
}

/// Milliseconds of the Unix epoch.
pub(crate) fn unix_ms(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::schema::Speakers;

    fn nobody() -> EventBody {
        EventBody::Speakers(Speakers { active: Vec::new() })
    }

    #[tokio::test]
    async fn events_are_numbered_in_the_order_in_which_they_arrive() {
        let bus = EventBus::new("r".into());
        let mut receiver = bus.receiver();
        bus.emit(nobody());
        bus.emit(nobody());
        for seq in 1..=2 {
            match receive(&mut receiver).await {
                Received::Event(event) => assert_eq!(event.seq, seq),
                other => panic!("{other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn a_slow_subscriber_is_told_how_many_events_it_missed() {
        let bus = EventBus::new("r".into());
        let mut receiver = bus.receiver();
        for _ in 0..CAPACITY + 10 {
            bus.emit(nobody());
        }
        assert!(matches!(receive(&mut receiver).await, Received::Lagged(10)));
    }
}
