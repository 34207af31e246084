//! The queue behind a mailbox.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Waker;

use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::super::event::{EventBus, Happening};
use super::super::exit::ExitReason;
use super::super::incarnation::Incarnation;
use super::{
    ClassFigures, Classified, Gauge, MailboxFigures, MailboxSpec, MessageClass, Overflow,
    SendError, deadline,
};

/// One class: its messages, each with its place in the order over all classes.
struct Lane<M> {
    messages: VecDeque<(u64, M)>,
    accepted: u64,
    dropped: u64,
    refused: u64,
    expired: u64,
    /// Whether it was reported full and has not been half empty since.
    reported_full: bool,
}

struct State<M> {
    lanes: [Lane<M>; 3],
    next: u64,
    lease: u64,
    reader: Option<Waker>,
    home: Option<Home>,
}

/// Whoever is reading, or read last.
#[derive(Clone)]
struct Home {
    incarnation: Arc<Incarnation>,
    bus: EventBus,
}

pub(crate) struct Shared<M> {
    pub(crate) spec: MailboxSpec,
    pub(crate) senders: AtomicUsize,
    pub(crate) inboxes: AtomicUsize,
    closed: AtomicBool,
    /// Free places of each `Wait` class. A place is taken before a message goes in and given back
    /// when it comes out, so that waiting senders queue fairly.
    room: [Semaphore; 3],
    state: Mutex<State<M>>,
}

impl<M: Classified + Send + 'static> Shared<M> {
    pub(crate) fn new(spec: MailboxSpec) -> Self {
        let room = spec
            .classes
            .map(|class| Semaphore::new(class.capacity.min(Semaphore::MAX_PERMITS)));
        Shared {
            senders: AtomicUsize::new(0),
            inboxes: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            room,
            state: Mutex::new(State {
                lanes: std::array::from_fn(|_| Lane {
                    messages: VecDeque::new(),
                    accepted: 0,
                    dropped: 0,
                    refused: 0,
                    expired: 0,
                    reported_full: false,
                }),
                next: 0,
                lease: 0,
                reader: None,
                home: None,
            }),
            spec,
        }
    }

    pub(crate) fn offer(&self, message: M) -> Result<(), (M, SendError)> {
        if self.is_closed() {
            return Err((message, SendError::Closed));
        }
        let class = message.class();
        match self.spec.classes[class.index()].overflow {
            Overflow::DropOldest => {
                self.push_dropping(class, message);
                Ok(())
            }
            Overflow::Wait { .. } => match self.room[class.index()].try_acquire() {
                Ok(place) => {
                    place.forget();
                    self.push(class, message);
                    Ok(())
                }
                Err(tokio::sync::TryAcquireError::Closed) => Err((message, SendError::Closed)),
                Err(tokio::sync::TryAcquireError::NoPermits) => {
                    self.state.lock().lanes[class.index()].refused += 1;
                    self.report_full(class, false);
                    Err((message, SendError::Full))
                }
            },
        }
    }

    pub(crate) async fn deliver(&self, message: M) -> Result<(), SendError> {
        let class = message.class();
        let message = match self.offer(message) {
            Ok(()) => return Ok(()),
            Err((_, SendError::Closed)) => return Err(SendError::Closed),
            Err((message, _)) => message,
        };
        let Some(limit) = deadline(self.spec.classes[class.index()].overflow) else {
            return Err(SendError::Full);
        };
        match tokio::time::timeout(limit, self.room[class.index()].acquire()).await {
            Ok(Ok(place)) => {
                place.forget();
                self.push(class, message);
                Ok(())
            }
            Ok(Err(_)) => Err(SendError::Closed),
            Err(_) => {
                self.escalate(class, limit);
                Err(SendError::Deadline)
            }
        }
    }

    fn push(&self, class: MessageClass, message: M) {
        let waker = {
            let mut state = self.state.lock();
            let order = state.next;
            state.next += 1;
            let lane = &mut state.lanes[class.index()];
            lane.messages.push_back((order, message));
            lane.accepted += 1;
            state.reader.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn push_dropping(&self, class: MessageClass, message: M) {
        let capacity = self.spec.classes[class.index()].capacity;
        let (oldest, full, waker) = {
            let mut state = self.state.lock();
            let order = state.next;
            state.next += 1;
            let lane = &mut state.lanes[class.index()];
            let oldest = if lane.messages.len() >= capacity {
                lane.dropped += 1;
                lane.messages.pop_front()
            } else {
                None
            };
            lane.messages.push_back((order, message));
            lane.accepted += 1;
            let full = oldest.is_some();
            (oldest, full, state.reader.take())
        };
        // A message's own Drop runs outside the lock.
        drop(oldest);
        if full {
            self.report_full(class, false);
        }
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Tells that a class is full, once an overload.
    fn report_full(&self, class: MessageClass, deadline_passed: bool) {
        let told = {
            let mut state = self.state.lock();
            let home = state.home.clone();
            let lane = &mut state.lanes[class.index()];
            if lane.reported_full && !deadline_passed {
                None
            } else {
                lane.reported_full = home.is_some();
                home.map(|home| (home, lane.dropped))
            }
        };
        if let Some((home, dropped)) = told {
            home.bus.emit(
                home.incarnation.path(),
                home.incarnation.number(),
                Happening::MailboxFull {
                    mailbox: Arc::clone(&self.spec.name),
                    class,
                    dropped,
                    deadline_passed,
                },
            );
        }
    }

    fn escalate(&self, class: MessageClass, limit: std::time::Duration) {
        let reader = {
            let mut state = self.state.lock();
            state.lanes[class.index()].expired += 1;
            state
                .home
                .as_ref()
                .map(|home| Arc::clone(&home.incarnation))
        };
        self.report_full(class, true);
        if let Some(reader) = reader {
            reader.doom(ExitReason::Failed(format!(
                "its mailbox {} had no room for a {} message within {limit:?}",
                self.spec.name,
                class.as_str(),
            )));
        }
    }

    /// Makes `incarnation` the reader; every earlier lease reads nothing more.
    pub(crate) fn lease(&self, incarnation: &Arc<Incarnation>, bus: EventBus) -> u64 {
        let (lease, previous) = {
            let mut state = self.state.lock();
            state.lease += 1;
            state.home = Some(Home {
                incarnation: Arc::clone(incarnation),
                bus,
            });
            (state.lease, state.reader.take())
        };
        if let Some(previous) = previous {
            previous.wake();
        }
        lease
    }

    /// The next message in order, for the holder of `lease`; registers `waker` when there is none.
    pub(crate) fn take(&self, lease: u64, waker: &Waker) -> Taken<M> {
        let mut state = self.state.lock();
        let live = state
            .home
            .as_ref()
            .is_some_and(|home| home.incarnation.is_live());
        if state.lease != lease || !live {
            return Taken::Over;
        }
        let first = MessageClass::ALL
            .into_iter()
            .filter_map(|class| {
                let (order, _) = state.lanes[class.index()].messages.front()?;
                Some((*order, class))
            })
            .min_by_key(|(order, _)| *order);
        let Some((_, class)) = first else {
            if self.senders.load(Ordering::Acquire) == 0 {
                return Taken::Over;
            }
            if !state
                .reader
                .as_ref()
                .is_some_and(|old| old.will_wake(waker))
            {
                state.reader = Some(waker.clone());
            }
            return Taken::Empty;
        };
        let spec = self.spec.classes[class.index()];
        let lane = &mut state.lanes[class.index()];
        let message = lane.messages.pop_front().map(|(_, message)| message);
        if lane.messages.len() <= spec.capacity / 2 {
            lane.reported_full = false;
        }
        drop(state);
        if matches!(spec.overflow, Overflow::Wait { .. }) {
            self.room[class.index()].add_permits(1);
        }
        match message {
            Some(message) => Taken::Message(message),
            None => Taken::Empty,
        }
    }

    pub(crate) fn depth(&self) -> usize {
        let state = self.state.lock();
        state.lanes.iter().map(|lane| lane.messages.len()).sum()
    }
}

/// What a reader got.
pub(crate) enum Taken<M> {
    /// A message.
    Message(M),
    /// Nothing yet.
    Empty,
    /// Nothing ever again: another incarnation reads, this one is dead, or all senders are gone.
    Over,
}

impl<M> Shared<M> {
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(crate) fn wake_reader(&self) {
        let waker = self.state.lock().reader.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// No inbox is left: what waits is dropped and waiting senders are told.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        for room in &self.room {
            room.close();
        }
        let waiting = {
            let mut state = self.state.lock();
            state.reader = None;
            state.home = None;
            std::array::from_fn::<_, 3, _>(|lane| std::mem::take(&mut state.lanes[lane].messages))
        };
        drop(waiting);
    }

    pub(crate) fn release(&self, lease: u64) {
        let mut state = self.state.lock();
        if state.lease == lease {
            state.reader = None;
        }
    }
}

impl<M: Classified + Send + 'static> Gauge for Shared<M> {
    fn figures(&self) -> MailboxFigures {
        let state = self.state.lock();
        let classes: Vec<_> = MessageClass::ALL
            .into_iter()
            .map(|class| {
                let lane = &state.lanes[class.index()];
                ClassFigures {
                    class,
                    depth: lane.messages.len(),
                    capacity: self.spec.classes[class.index()].capacity,
                    accepted: lane.accepted,
                    dropped: lane.dropped,
                    refused: lane.refused,
                    expired: lane.expired,
                }
            })
            .collect();
        MailboxFigures {
            name: Arc::clone(&self.spec.name),
            depth: classes.iter().map(|class| class.depth).sum(),
            capacity: classes.iter().map(|class| class.capacity).sum(),
            dropped: classes.iter().map(|class| class.dropped).sum(),
            classes,
        }
    }
}
