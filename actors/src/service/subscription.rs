//! Subscriptions to a room's events.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::Stream;
use futures_util::stream::{self, BoxStream};
use hive_models::Lang;
use tokio::sync::broadcast;

use crate::events::schema::{
    CaptionKind, ErrorNotice, EventBody, Participants, ParticipantsKind, RoomEvent,
};
use crate::events::{Received, receive};
use crate::room::Room;

/// What a subscriber wants besides the room's comings and goings. It is made only while somebody
/// wants it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// What is said, as it is said.
    pub captions: bool,
    /// Translations into these languages.
    pub langs: BTreeSet<Lang>,
}

/// The events of a room from now on, after a snapshot of who is there and of what is being said.
/// While it is held it counts as demand for what it [`Wants`]. A subscriber that is too slow
/// misses events and gets an `error` event that says how many.
pub struct EventSubscription {
    events: BoxStream<'static, Arc<RoomEvent>>,
    room: Arc<Room>,
    number: u64,
}

impl EventSubscription {
    /// None if the room is being closed.
    pub(crate) fn new(room: Arc<Room>, wants: Wants) -> Option<Self> {
        // What is said until now comes with the snapshot, what is said from now on through the
        // receiver, and `known` says which is which.
        let receiver = room.bus.receiver();
        let mut first = VecDeque::new();
        let mut known = HashMap::new();
        let (infos, journals) = {
            let state = room.state.lock();
            let publishing = state
                .participants
                .values()
                .filter_map(|p| p.publishing.as_ref());
            let journals: Vec<_> = publishing
                .map(|publishing| publishing.journal.clone())
                .collect();
            (state.infos(), journals)
        };
        first.push_back(room.bus.private(EventBody::Participants(Participants {
            kind: ParticipantsKind::Snapshot,
            participants: infos,
        })));
        for journal in journals {
            if let Some(event) = journal.snapshot() {
                if let EventBody::Caption(caption) = &event.body {
                    known.insert(caption.utterance.clone(), event.seq);
                }
                first.push_back(event);
            }
        }
        let number = room.subscribe(wants)?;
        let state = State {
            receiver,
            first,
            known,
            room: room.clone(),
        };
        Some(EventSubscription {
            events: Box::pin(stream::unfold(state, State::next)),
            room,
            number,
        })
    }
}

impl Stream for EventSubscription {
    type Item = Arc<RoomEvent>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.events.as_mut().poll_next(context)
    }
}

impl Drop for EventSubscription {
    fn drop(&mut self) {
        self.room.unsubscribe(self.number);
    }
}

impl fmt::Debug for EventSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventSubscription({}#{})", self.room.name, self.number)
    }
}

struct State {
    receiver: broadcast::Receiver<Arc<RoomEvent>>,
    first: VecDeque<Arc<RoomEvent>>,
    /// Utterances of which the snapshot had words, and the event number up to which it did.
    known: HashMap<Arc<str>, u64>,
    room: Arc<Room>,
}

impl State {
    async fn next(mut self) -> Option<(Arc<RoomEvent>, Self)> {
        if let Some(event) = self.first.pop_front() {
            return Some((event, self));
        }
        loop {
            match receive(&mut self.receiver).await {
                Received::Event(event) => {
                    if !self.is_known(&event) {
                        return Some((event, self));
                    }
                }
                Received::Lagged(missed) => {
                    let notice = self.room.bus.private(EventBody::Error(ErrorNotice {
                        code: "lagged",
                        message: format!("{missed} events were missed; read faster"),
                        missed: Some(missed),
                    }));
                    return Some((notice, self));
                }
                Received::Closed => return None,
            }
        }
    }

    /// Whether the snapshot had this already.
    fn is_known(&mut self, event: &RoomEvent) -> bool {
        let EventBody::Caption(caption) = &event.body else {
            return false;
        };
        if caption.translated || caption.kind == CaptionKind::Partial {
            return false;
        }
        match self.known.get(&caption.utterance) {
            Some(seq) if event.seq <= *seq => true,
            Some(_) => {
                self.known.remove(&caption.utterance);
                false
            }
            None => false,
        }
    }
}
