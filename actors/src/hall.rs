//! What the whole service shares: engines, media workers, rooms and sessions.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use hive_media::{CloseReason, MediaWorker, PeerId, RoomId};
use parking_lot::Mutex;

use crate::engines::Engines;
use crate::events::schema::ParticipantsKind;
use crate::livekit::lifecycle::{LifecycleKind, Lifecycles, gone};
use crate::livekit::member::{Member, leave};
use crate::livekit::proto::{DisconnectReason, RoomConfiguration, TrackInfo, leave_request};
use crate::pipeline::stage;
use crate::room::{self, Room};
use crate::service::{SessionError, SessionId, SessionInfo, SessionKind};
use crate::settings::ServiceSettings;
use crate::supervision::{StartChildError, SupervisorHandle};

/// Everything that outlives the actors.
pub(crate) struct Hall {
    pub(crate) settings: ServiceSettings,
    pub(crate) engines: Engines,
    pub(crate) workers: Vec<MediaWorker>,
    rooms: Mutex<HashMap<Arc<str>, Arc<Room>>>,
    sessions: Mutex<HashMap<SessionId, Held>>,
    /// Clients of LiveKit's, by their peers.
    members: Mutex<HashMap<PeerId, Seated>>,
    pub(crate) lifecycles: Lifecycles,
    /// The supervisor of the rooms, once the tree stands.
    supervisor: Mutex<Option<SupervisorHandle>>,
    next: AtomicU64,
    closing: AtomicBool,
}

/// A client of LiveKit's, and where it is.
type Seated = (Arc<Room>, Arc<Member>);

/// A session.
#[derive(Clone)]
pub(crate) struct Held {
    pub(crate) room: Arc<Room>,
    pub(crate) identity: Arc<str>,
    pub(crate) kind: SessionKind,
    pub(crate) peer: PeerId,
    pub(crate) etag: String,
}

impl Hall {
    pub(crate) fn new(
        settings: ServiceSettings,
        engines: Engines,
        workers: Vec<MediaWorker>,
    ) -> Self {
        Hall {
            settings,
            engines,
            workers,
            rooms: Mutex::default(),
            sessions: Mutex::default(),
            members: Mutex::default(),
            lifecycles: Lifecycles::default(),
            supervisor: Mutex::new(None),
            next: AtomicU64::new(1),
            closing: AtomicBool::new(false),
        }
    }

    /// A number that nothing else of this process has.
    pub(crate) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Tells where rooms are to be started.
    pub(crate) fn set_supervisor(&self, rooms: SupervisorHandle) {
        *self.supervisor.lock() = Some(rooms);
    }

    /// Takes nobody in any more.
    pub(crate) fn close_doors(&self) {
        self.closing.store(true, Ordering::Release);
    }

    /// The media worker of a room.
    pub(crate) fn worker(&self, room: &Room) -> &MediaWorker {
        &self.workers[room.worker]
    }

    /// The rooms there are.
    pub(crate) fn rooms(&self) -> Vec<Arc<Room>> {
        self.rooms.lock().values().cloned().collect()
    }

    /// The room of a name, if it is there.
    pub(crate) fn room_named(&self, name: &str) -> Option<Arc<Room>> {
        self.rooms.lock().get(name).cloned()
    }

    /// The room of an id.
    pub(crate) fn room_of(&self, id: RoomId) -> Option<Arc<Room>> {
        let rooms = self.rooms.lock();
        rooms.values().find(|room| room.id == id).cloned()
    }

    /// Notes whose a member's peers are.
    pub(crate) fn add_member(&self, room: &Arc<Room>, member: &Arc<Member>) {
        let mut members = self.members.lock();
        for peer in member.peers() {
            members.insert(peer, (room.clone(), member.clone()));
        }
    }

    /// Forgets a member's peers.
    pub(crate) fn remove_member(&self, member: &Member) {
        let mut members = self.members.lock();
        for peer in member.peers() {
            members.remove(&peer);
        }
    }

    /// The member that a peer belongs to, and its room.
    pub(crate) fn member_of(&self, peer: PeerId) -> Option<Seated> {
        self.members.lock().get(&peer).cloned()
    }

    /// The room of a name, made if it is not there.
    pub(crate) async fn room(self: &Arc<Self>, name: &str) -> Result<Arc<Room>, SessionError> {
        self.room_configured(name, None).await
    }

    /// The room of a name; if it is not there it is made, as `config` says.
    pub(crate) async fn room_configured(
        self: &Arc<Self>,
        name: &str,
        config: Option<&RoomConfiguration>,
    ) -> Result<Arc<Room>, SessionError> {
        if self.closing.load(Ordering::Acquire) {
            return Err(SessionError::ShuttingDown);
        }
        let room = {
            let mut rooms = self.rooms.lock();
            match rooms.get(name) {
                Some(room) => return Ok(room.clone()),
                None if rooms.len() >= self.settings.rooms.max_rooms => {
                    return Err(SessionError::TooManyRooms {
                        max: self.settings.rooms.max_rooms,
                    });
                }
                None => {
                    let id = self.number();
                    let worker = id as usize % self.workers.len().max(1);
                    let room = Arc::new(Room::new(name.into(), RoomId(id), worker, Instant::now()));
                    {
                        let mut state = room.state.lock();
                        state.profile.empty_timeout = self.settings.rooms.empty_timeout;
                        state.profile.departure_timeout = self.settings.rooms.departure_timeout;
                        if let Some(config) = config {
                            state.configure(config);
                        }
                    }
                    rooms.insert(room.name.clone(), room.clone());
                    // Before anybody else finds the room and has something told of it.
                    self.happened(&room, LifecycleKind::RoomStarted);
                    room
                }
            }
        };
        metrics::gauge!("hive_rooms").set(self.rooms.lock().len() as f64);
        tracing::info!(room = name, "a room was opened");
        let supervisor = self
            .supervisor
            .lock()
            .clone()
            .ok_or(SessionError::ShuttingDown)?;
        match supervisor
            .start_child(room::spec(self.clone(), room.clone()))
            .await
        {
            Ok(_) | Err(StartChildError::AlreadyPresent(_)) => Ok(room),
            Err(error) => {
                tracing::error!(room = name, %error, "a room could not be started");
                room.state.lock().closed = true;
                self.happened(&room, LifecycleKind::RoomFinished);
                self.forget(&room);
                Err(SessionError::RoomRestarted)
            }
        }
    }

    /// Starts the actors of every room that has none: of all rooms, after their supervisor had to be
    /// started anew.
    pub(crate) async fn put_rooms_up(self: &Arc<Self>) {
        let Some(supervisor) = self.supervisor.lock().clone() else {
            return;
        };
        let running = stage::children(&supervisor);
        for room in self.rooms() {
            if !running.contains(&room.name) && !room.state.lock().closed {
                // One that has just been closed is not missed; one that failed is tried again.
                let _ = supervisor.start_child(room::spec(self.clone(), room)).await;
            }
        }
    }

    /// Lets go of who left, and closes a room that has been empty for long.
    pub(crate) fn collect(&self, room: &Arc<Room>) {
        {
            let mut state = room.state.lock();
            state.let_go(Instant::now());
            let timeout = state.timeout();
            if state.closed
                || state
                    .empty_since
                    .is_none_or(|since| since.elapsed() < timeout)
            {
                return;
            }
            state.closed = true;
        }
        tracing::info!(room = %room.name, "an empty room was closed");
        // While nobody can make another room of this name.
        self.happened(room, LifecycleKind::RoomFinished);
        self.forget(room);
        self.take_down(room);
    }

    /// Takes a room off the list.
    pub(crate) fn forget(&self, room: &Room) {
        let mut rooms = self.rooms.lock();
        rooms.remove(&room.name);
        metrics::gauge!("hive_rooms").set(rooms.len() as f64);
    }

    /// Ends a room's actors.
    pub(crate) fn take_down(&self, room: &Room) {
        if let Some(supervisor) = self.supervisor.lock().clone() {
            let name = room.name.clone();
            // The room's actor asks for this and ends by it, so it cannot wait for it.
            actix::spawn(async move {
                let _ = supervisor.terminate_child(&name).await;
            });
        }
    }

    /// Notes a session.
    pub(crate) fn hold(&self, id: SessionId, session: Held) {
        self.sessions.lock().insert(id, session);
    }

    /// A session.
    pub(crate) fn held(&self, id: &SessionId) -> Option<Held> {
        self.sessions.lock().get(id).cloned()
    }

    /// Notes the entity tag of a session's new ICE session.
    pub(crate) fn retag(&self, id: &SessionId, etag: &str) {
        if let Some(session) = self.sessions.lock().get_mut(id) {
            session.etag = etag.into();
        }
    }

    /// What is known of a session.
    pub(crate) fn info(&self, id: &SessionId) -> Option<SessionInfo> {
        self.held(id).map(|held| SessionInfo {
            room: held.room.name.to_string(),
            identity: held.identity.to_string(),
            kind: held.kind,
            etag: held.etag,
        })
    }

    /// Ends a session: its peer, its part in the room, and what ran only for it. Gives whether it was
    /// there.
    pub(crate) fn end(&self, id: &SessionId, reason: DisconnectReason) -> bool {
        let Some(held) = self.sessions.lock().remove(id) else {
            return false;
        };
        self.worker(&held.room).close(held.peer);
        self.take_out(&held, reason);
        true
    }

    /// Ends all sessions of a room.
    pub(crate) fn end_all(&self, room: &Arc<Room>, reason: DisconnectReason) {
        self.end_where(reason, |held| Arc::ptr_eq(&held.room, room));
    }

    /// Ends all sessions of somebody in a room.
    pub(crate) fn end_of(&self, room: &Arc<Room>, identity: &str, reason: DisconnectReason) {
        self.end_where(reason, |held| {
            Arc::ptr_eq(&held.room, room) && *held.identity == *identity
        });
    }

    fn end_where(&self, reason: DisconnectReason, fits: impl Fn(&Held) -> bool) {
        let ids: Vec<SessionId> = {
            let sessions = self.sessions.lock();
            let fitting = sessions.iter().filter(|(_, held)| fits(held));
            fitting.map(|(id, _)| *id).collect()
        };
        for id in ids {
            self.end(&id, reason);
        }
    }

    /// A peer is gone, by its own doing or because it vanished.
    pub(crate) fn peer_gone(&self, peer: PeerId, reason: CloseReason) {
        if let Some((room, member)) = self.member_of(peer) {
            return self.media_gone(&room, &member, reason_of(reason));
        }
        let held = {
            let mut sessions = self.sessions.lock();
            let id = sessions
                .iter()
                .find(|(_, held)| held.peer == peer)
                .map(|(id, _)| *id);
            id.and_then(|id| sessions.remove(&id))
        };
        if let Some(held) = held {
            tracing::info!(room = %held.room.name, identity = %held.identity, "a peer is gone");
            self.take_out(&held, reason_of(reason));
        }
    }

    /// A member's peer connection is gone without the member having left: it has to start anew.
    fn media_gone(&self, room: &Arc<Room>, member: &Arc<Member>, reason: DisconnectReason) {
        let message = leave(reason, leave_request::Action::Reconnect);
        self.dismiss(room, member, reason, Some(message));
    }

    /// Whose a peer is.
    pub(crate) fn whose(&self, peer: PeerId) -> Option<Arc<str>> {
        if let Some((_, member)) = self.member_of(peer) {
            return Some(member.identity.clone());
        }
        let sessions = self.sessions.lock();
        let held = sessions.values().find(|held| held.peer == peer)?;
        Some(held.identity.clone())
    }

    /// The peers that clients of LiveKit's on a worker have, or will have once they negotiate.
    pub(crate) fn member_peers(&self, worker: usize) -> Vec<PeerId> {
        let members = self.members.lock();
        members
            .iter()
            .filter(|(_, (room, _))| room.worker == worker)
            .map(|(peer, _)| *peer)
            .collect()
    }

    /// The peers of all sessions on a worker.
    pub(crate) fn peers(&self, worker: usize) -> Vec<PeerId> {
        let sessions = self.sessions.lock();
        sessions
            .values()
            .filter(|held| held.room.worker == worker)
            .map(|held| held.peer)
            .collect()
    }

    fn take_out(&self, held: &Held, reason: DisconnectReason) {
        let (room, identity) = (&held.room, &held.identity);
        let (left, seen, unpublished, has_left) = {
            let state = &mut *room.state.lock();
            let Some(participant) = state.participants.get_mut(identity) else {
                return;
            };
            let seen = participant.seen(identity).view();
            participant.listening.remove(&held.peer);
            let unpublished: Vec<TrackInfo> = participant
                .publications
                .extract_if(.., |_, publication| publication.peer == held.peer)
                .map(|(_, publication)| publication.info)
                .collect();
            if !unpublished.is_empty() {
                participant.profile.version += 1;
            }
            if participant
                .publishing
                .as_ref()
                .is_some_and(|publishing| publishing.peer == held.peer)
            {
                participant.hung_up = Some(Instant::now());
            }
            let is_gone = participant.is_gone();
            let seen = participant.announced.then_some(seen);
            let has_left = is_gone && std::mem::take(&mut participant.announced);
            let left = is_gone && std::mem::take(&mut participant.joined);
            let left = left.then(|| {
                state.departed.note(&participant.seen(identity), reason);
                participant.info(identity)
            });
            (left, seen, unpublished, has_left)
        };
        if let Some(seen) = seen {
            for track in unpublished {
                let kind = LifecycleKind::TrackUnpublished;
                self.happened_to(room, kind, seen.clone(), Some(track));
            }
            if has_left {
                let kind = LifecycleKind::ParticipantLeft;
                self.happened_to(room, kind, gone(seen, reason), None);
            }
        }
        if let Some(info) = left {
            metrics::gauge!("hive_participants").decrement(1.0);
            room.tell(ParticipantsKind::Left, vec![info]);
        }
        room.roster_changed();
    }
}

/// Why somebody is gone whose peer connection is.
fn reason_of(closed: CloseReason) -> DisconnectReason {
    match closed {
        CloseReason::Left | CloseReason::Requested => DisconnectReason::ClientInitiated,
        CloseReason::Vanished => DisconnectReason::ConnectionTimeout,
        CloseReason::Dtls(_) => DisconnectReason::MediaFailure,
        CloseReason::Shutdown => DisconnectReason::ServerShutdown,
    }
}
