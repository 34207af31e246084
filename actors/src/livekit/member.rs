//! A participant's connection as a client of LiveKit's. It outlives its actor and its WebSocket.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use hive_media::{PeerId, TrackId};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Topology;
use super::proto::{self, leave_request, signal_response::Message};
use crate::pipeline::bell::{Bell, Ears};

/// Messages that may wait for a client. One that is told of 500 participants at once gets them in one
/// message, so more than this is a client that does not read.
const MAX_QUEUE: usize = 1024;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) identity: Arc<str>,
    pub(crate) sid: Arc<str>,
    pub(crate) topology: Topology,
    /// The peer that publishes, and in a [`Topology::Single`] subscribes.
    pub(crate) publisher: PeerId,
    /// The peer that subscribes.
    pub(crate) subscriber: PeerId,
    pub(crate) auto_subscribe: bool,
    pub(crate) state: Mutex<MemberState>,
    outgoing: Notify,
    bell: Bell,
    pub(crate) ears: Ears,
}

/// The changing part of a member. It is locked after the room's state, never before.
#[derive(Debug, Default)]
pub(crate) struct MemberState {
    /// The number of the signalling connection; none while there is none.
    link: Option<u64>,
    links: u64,
    /// When the signalling connection was cut.
    pub(crate) cut: Option<Instant>,
    /// Whether the member has left.
    pub(crate) over: bool,
    queue: VecDeque<Message>,
    /// What the client was told of others, by their sids.
    pub(crate) told: HashMap<Arc<str>, Told>,
    /// The version of the room that it was told of.
    pub(crate) told_room: u32,
    /// Tracks that were announced and have no media section yet.
    pub(crate) pending: Vec<Pending>,
    /// The publication of each media section that the client sends in.
    pub(crate) mids: HashMap<String, Arc<str>>,
    pub(crate) subscriptions: Subscriptions,
    /// The highest number of a reliable data packet that came.
    pub(crate) last_data: u32,
    /// Who may subscribe to the client's tracks; everybody, unless it says otherwise.
    pub(crate) allows: Option<proto::SubscriptionPermission>,
}

/// What a client was told of somebody.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) identity: String,
    pub(crate) version: u32,
}

/// A track on its way to be published.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) sid: Arc<str>,
    pub(crate) request: proto::AddTrackRequest,
}

/// What a client is to receive, and how far that is negotiated.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    /// What the client asked for, track by track; the others follow the rule.
    pub(crate) wishes: HashMap<String, bool>,
    pub(crate) settings: HashMap<String, proto::UpdateTrackSettings>,
    /// Tracks that it wants and whose publishers do not let it have them, and whose they are.
    pub(crate) denied: BTreeMap<Arc<str>, Arc<str>>,
    /// Tracks that it asked for and was told that it cannot have, as it has as many as it may.
    pub(crate) left_out: Vec<Arc<str>>,
    /// Tracks of the last description.
    pub(crate) negotiated: BTreeMap<TrackId, Arc<str>>,
    /// Sections of audio and of video that the client last offered to receive in.
    pub(crate) sections: (usize, usize),
    /// Whether the client was asked for an offer, or sent one, and has not answered.
    pub(crate) asked: bool,
    /// The number of our last offer.
    pub(crate) offer: u32,
    /// What was asked for last, and how often: a client that never offers enough is not asked for
    /// ever.
    pub(crate) tried: (Vec<TrackId>, u8),
}

impl Member {
    pub(crate) fn new(
        identity: Arc<str>,
        sid: Arc<str>,
        topology: Topology,
        publisher: PeerId,
        subscriber: PeerId,
        auto_subscribe: bool,
    ) -> Self {
        let (bell, ears) = Bell::new("client");
        Member {
            identity,
            sid,
            topology,
            publisher,
            subscriber,
            auto_subscribe,
            state: Mutex::default(),
            outgoing: Notify::new(),
            bell,
            ears,
        }
    }

    /// The member's peers.
    pub(crate) fn peers(&self) -> impl Iterator<Item = PeerId> {
        let other = (self.subscriber != self.publisher).then_some(self.subscriber);
        [self.publisher].into_iter().chain(other)
    }

    /// Has the member's actor look at what changed.
    pub(crate) fn changed(&self) {
        self.bell.ring();
    }

    /// Takes a new signalling connection; a former one is over. Its number is for
    /// [`Member::next`].
    pub(crate) fn connect(&self) -> u64 {
        let mut state = self.state.lock();
        state.links += 1;
        state.link = Some(state.links);
        state.cut = None;
        state.queue.clear();
        let link = state.links;
        drop(state);
        self.outgoing.notify_waiters();
        link
    }

    /// The signalling connection of this number is gone.
    pub(crate) fn disconnect(&self, link: u64, now: Instant) {
        let mut state = self.state.lock();
        if state.link == Some(link) {
            state.link = None;
            state.cut = Some(now);
            state.queue.clear();
        }
        drop(state);
        self.changed();
    }

    /// Tells the client something, if it is there. One that does not read is sent away: it comes
    /// back and is told how things stand.
    pub(crate) fn tell(&self, message: Message) {
        let mut state = self.state.lock();
        if state.link.is_none() || state.over {
            return;
        }
        if state.queue.len() >= MAX_QUEUE {
            metrics::counter!("hive_signal_overflows_total").increment(1);
            state.queue.clear();
            state.queue.push_back(leave(
                proto::DisconnectReason::StateMismatch,
                leave_request::Action::Reconnect,
            ));
            state.link = None;
            state.cut = Some(Instant::now());
        } else {
            state.queue.push_back(message);
        }
        drop(state);
        self.outgoing.notify_waiters();
    }

    /// Ends it: what is queued is still delivered, `Leave` last.
    pub(crate) fn end(&self, message: Option<Message>) {
        let mut state = self.state.lock();
        if !std::mem::replace(&mut state.over, true) {
            state.queue.extend(message);
        }
        drop(state);
        self.outgoing.notify_waiters();
    }

    /// The next message to the signalling connection of a number.
    pub(crate) async fn next(&self, link: u64) -> Option<Message> {
        loop {
            let mut woken = std::pin::pin!(self.outgoing.notified());
            // Registered before the look, so that nothing told in between is missed.
            woken.as_mut().enable();
            {
                let mut state = self.state.lock();
                if state.links != link {
                    return None;
                }
                if let Some(message) = state.queue.pop_front() {
                    return Some(message);
                }
                if state.over || state.link != Some(link) {
                    return None;
                }
            }
            woken.await;
        }
    }
}

/// A `Leave`.
pub(crate) fn leave(reason: proto::DisconnectReason, action: leave_request::Action) -> Message {
    Message::Leave(proto::LeaveRequest {
        can_reconnect: action != leave_request::Action::Disconnect,
        reason: reason.into(),
        action: action.into(),
        regions: None,
    })
}
