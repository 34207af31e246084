//! A participant's connection as a client of LiveKit's. It outlives its actor and its WebSocket.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use hive_media::video::codec::VideoCodec;
use hive_media::{PeerId, TrackId};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Topology;
use super::bucket::Bucket;
use super::permission::Allowed;
use super::proto::{self, leave_request, signal_response::Message};
use super::remembered::{Remembered, TrackSettings};
use crate::pipeline::bell::{Bell, Ears};

/// Messages that may wait for a client. One that is told of 500 participants at once gets them in one
/// message, so more than this is a client that does not read.
const MAX_QUEUE: usize = 1024;

/// Bytes that may wait for a client. One message may have more: it is taken if nothing else waits.
const MAX_QUEUED_BYTES: usize = 4 << 20;

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
    /// Held while an offer of ours is made and sent: they are sent in the order of their numbers.
    pub(crate) offering: tokio::sync::Mutex<()>,
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
    queue: Queue,
    /// The descriptions that the client sent lately.
    pub(crate) descriptions: Bucket,
    /// The data that it had sent to others lately.
    pub(crate) data: Bucket,
    /// What the client was told of others, by their sids.
    pub(crate) told: HashMap<Arc<str>, Told>,
    /// The version of the room that it was told of.
    pub(crate) told_room: u32,
    /// Whether it was told how well others are connected.
    pub(crate) told_quality: bool,
    /// Tracks that were announced and have no media section yet.
    pub(crate) pending: Vec<Pending>,
    /// The publication of each media section that the client sends in.
    pub(crate) mids: HashMap<String, Arc<str>>,
    /// Sections whose track was taken away, and that the client still sends in.
    pub(crate) withdrawn: HashSet<String>,
    pub(crate) subscriptions: Subscriptions,
    /// The highest number of a reliable data packet that came.
    pub(crate) last_data: u32,
    /// Who may subscribe to the client's tracks; everybody, unless it says otherwise.
    pub(crate) allows: Option<Allowed>,
}

/// What waits for a client.
#[derive(Debug, Default)]
struct Queue {
    messages: VecDeque<(Message, usize)>,
    bytes: usize,
}

impl Queue {
    fn has_room(&self, len: usize) -> bool {
        let fits = self.messages.is_empty() || self.bytes + len <= MAX_QUEUED_BYTES;
        self.messages.len() < MAX_QUEUE && fits
    }

    fn push(&mut self, message: Message, len: usize) {
        self.bytes += len;
        self.messages.push_back((message, len));
    }

    fn pop(&mut self) -> Option<Message> {
        let (message, len) = self.messages.pop_front()?;
        self.bytes -= len;
        Some(message)
    }

    fn clear(&mut self) {
        *self = Queue::default();
    }
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
    /// The codec of its section, once it has one.
    pub(crate) codec: Option<VideoCodec>,
}

/// What a client is to receive, and how far that is negotiated.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    /// What the client asked for, track by track; the others follow the rule.
    pub(crate) wishes: Remembered<bool>,
    pub(crate) settings: Remembered<TrackSettings>,
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
            offering: tokio::sync::Mutex::default(),
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

    /// Whether a signalling connection is the member's present one, and the member has not left.
    pub(crate) fn is_current(&self, link: u64) -> bool {
        let state = self.state.lock();
        state.link == Some(link) && !state.over
    }

    /// Whether the member has left.
    pub(crate) fn is_over(&self) -> bool {
        self.state.lock().over
    }

    /// Has the member's actor look at what changed.
    pub(crate) fn changed(&self) {
        self.bell.ring();
    }

    /// Takes a new signalling connection; a former one is over. Its number is for
    /// [`Member::next`].
    pub(crate) fn connect(&self) -> u64 {
        let link = self.state.lock().new_link();
        self.outgoing.notify_waiters();
        link
    }

    /// As [`Member::connect`], for a client that resumes; none if the member has left. What the client
    /// hears of it comes first, then everything again that may have been lost on the way.
    pub(crate) fn reconnect(&self) -> Option<u64> {
        let mut state = self.state.lock();
        if state.over {
            return None;
        }
        let link = state.new_link();
        let response = proto::ReconnectResponse {
            last_message_seq: state.last_data,
            ..Default::default()
        };
        let response = Message::Reconnect(response);
        let len = response.encoded_len();
        state.queue.push(response, len);
        for told in state.told.values_mut() {
            told.version = 0;
        }
        state.told_room = 0;
        state.told_quality = false;
        state.subscriptions.asked = false;
        state.subscriptions.tried.1 = 0;
        drop(state);
        self.outgoing.notify_waiters();
        Some(link)
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
        self.outgoing.notify_waiters();
        self.changed();
    }

    /// Tells the client something, if it is there. One that does not read is sent away: it comes
    /// back and is told how things stand.
    pub(crate) fn tell(&self, message: Message) {
        let len = message.encoded_len();
        let mut state = self.state.lock();
        if state.link.is_none() || state.over {
            return;
        }
        if state.queue.has_room(len) {
            state.queue.push(message, len);
        } else {
            metrics::counter!("hive_signal_overflows_total").increment(1);
            state.queue.clear();
            let reason = proto::DisconnectReason::StateMismatch;
            let last = leave(reason, leave_request::Action::Reconnect);
            let len = last.encoded_len();
            state.queue.push(last, len);
            state.link = None;
            state.cut = Some(Instant::now());
        }
        drop(state);
        self.outgoing.notify_waiters();
    }

    /// Ends it: what is queued is still delivered, `Leave` last.
    pub(crate) fn end(&self, message: Option<Message>) {
        let mut state = self.state.lock();
        if !std::mem::replace(&mut state.over, true)
            && let Some(message) = message
        {
            let len = message.encoded_len();
            state.queue.push(message, len);
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
                if let Some(message) = state.queue.pop() {
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

impl MemberState {
    /// A new signalling connection; what waited for the former one is dropped.
    fn new_link(&mut self) -> u64 {
        self.links += 1;
        self.link = Some(self.links);
        self.cut = None;
        self.queue.clear();
        self.links
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

#[cfg(test)]
mod tests {
    use super::*;

    fn member() -> Member {
        let peer = PeerId(1);
        let identity = "ann".into();
        Member::new(
            identity,
            "PA_ann".into(),
            Topology::Single,
            peer,
            peer,
            true,
        )
    }

    fn update(len: usize) -> Message {
        Message::RoomUpdate(proto::RoomUpdate {
            room: Some(proto::Room {
                metadata: "x".repeat(len),
                ..Default::default()
            }),
        })
    }

    async fn told(member: &Member, link: u64) -> Vec<Message> {
        let mut told = Vec::new();
        while !member.state.lock().queue.messages.is_empty() {
            told.extend(member.next(link).await);
        }
        told
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_is_sent_away_before_its_queue_is_large() {
        for len in [1, 100_000, 3 << 20] {
            let member = member();
            let link = member.connect();
            let mut most = 0;
            while member.is_current(link) {
                member.tell(update(len));
                most = most.max(member.state.lock().queue.bytes);
            }
            assert!(most <= MAX_QUEUED_BYTES, "{most}");
            let told = told(&member, link).await;
            let [Message::Leave(leave)] = &told[..] else {
                panic!("{} messages", told.len());
            };
            assert_eq!(leave.action(), leave_request::Action::Reconnect);
        }
    }

    #[tokio::test]
    async fn one_message_may_be_longer_than_the_queue() {
        let member = member();
        let link = member.connect();
        for _ in 0..3 {
            member.tell(update(MAX_QUEUED_BYTES + 1));
            assert_eq!(told(&member, link).await.len(), 1);
        }
        assert_eq!(member.state.lock().queue.bytes, 0);
    }

    #[test]
    fn a_former_connection_is_not_current() {
        let member = member();
        let first = member.connect();
        assert!(member.is_current(first));
        let second = member.connect();
        assert!(!member.is_current(first) && member.is_current(second));
        member.disconnect(first, Instant::now());
        assert!(member.is_current(second));
        member.end(None);
        assert!(!member.is_current(second) && member.is_over());
    }

    #[tokio::test]
    async fn one_who_resumes_is_told_so_before_anything_else_and_the_rest_again() {
        let member = member();
        let former = member.connect();
        {
            let mut state = member.state.lock();
            state.last_data = 7;
            let told = Told {
                identity: "bob".to_owned(),
                version: 3,
            };
            state.told.insert("PA_bob".into(), told);
        }
        member.tell(Message::Pong(1));
        let link = member.reconnect().expect("the member is here");
        member.tell(Message::Pong(2));
        assert!(matches!(
            member.next(link).await,
            Some(Message::Reconnect(response)) if response.last_message_seq == 7
        ));
        assert_eq!(member.next(link).await, Some(Message::Pong(2)));
        assert_eq!(member.next(former).await, None, "it is over");
        assert_eq!(member.state.lock().told["PA_bob"].version, 0);
    }

    #[tokio::test]
    async fn one_who_has_left_cannot_resume() {
        let member = member();
        member.connect();
        member.end(None);
        assert_eq!(member.reconnect(), None);
    }
}
