//! Peers that go.

use super::track::Subscriber;
use super::{CloseReason, Engine, MediaEvent, Path, Transmit};
use crate::clock::Now;
use crate::ids::PeerId;

impl Engine {
    /// Closes a peer: it is told, its tracks go, and [`MediaEvent::Closed`] follows.
    pub fn close(&mut self, now: &Now, peer: PeerId, reason: CloseReason, out: &mut dyn Transmit) {
        if let Some(&key) = self.by_id.get(&peer) {
            self.close_key(now, key, reason, out);
        }
    }

    /// Closes every peer.
    pub fn close_all(&mut self, now: &Now, reason: CloseReason, out: &mut dyn Transmit) {
        let keys: Vec<usize> = self.peers.iter().map(|(key, _)| key).collect();
        for key in keys {
            self.close_key(now, key, reason, out);
        }
    }

    pub(super) fn close_key(
        &mut self,
        now: &Now,
        key: usize,
        reason: CloseReason,
        out: &mut dyn Transmit,
    ) {
        self.send_goodbyes(now, key, out);
        if let Some(publishing) = self.peers[key].publishing.take() {
            for &track in publishing.tracks.values() {
                self.remove_track(track);
            }
        }
        let slots = self.peers[key]
            .listening
            .as_ref()
            .map_or(0, |listening| listening.slots.len());
        for slot in 0..slots {
            self.detach(Subscriber { peer: key, slot });
        }
        let peer = self.peers.remove(key);
        self.by_id.remove(&peer.id);
        self.by_ufrag.remove(peer.ice.local.ufrag.as_str());
        if let Some((former, _)) = &peer.ice.former {
            self.by_ufrag.remove(former.ufrag.as_str());
        }
        for path in &peer.ice.paths {
            self.forget_path(*path, out);
        }
        if let Some(room) = self.rooms.get_mut(&peer.room) {
            room.listeners.retain(|&other| other != key);
        }
        self.assign_room(peer.room);
        self.leave_room(peer.room);
        if reason == CloseReason::Vanished {
            self.totals.peers_vanished += 1;
        }
        tracing::info!(peer = %peer.id, room = %peer.room, ?reason, "peer is gone");
        self.events.push_back(MediaEvent::Closed {
            peer: peer.id,
            reason,
        });
    }

    /// Whether checks made this a path of a peer.
    pub fn is_path(&self, path: Path) -> bool {
        self.by_path.contains_key(&path)
    }

    /// Takes note that a connection has ended. Its peer is reached by another path if it has one, and
    /// else not until it makes its next check; what it nominates then counts.
    pub fn path_closed(&mut self, path: Path) {
        let Some(key) = self.by_path.remove(&path) else {
            return;
        };
        let ice = &mut self.peers[key].ice;
        ice.paths.retain(|other| *other != path);
        if ice.selected == Some(path) {
            ice.selected = ice.paths.last().copied();
            ice.nominated = false;
        }
    }

    /// Takes a path from the index, and ends it if it is a connection.
    pub(super) fn forget_path(&mut self, path: Path, out: &mut dyn Transmit) {
        self.by_path.remove(&path);
        if let Path::Tcp(connection) = path {
            out.hang_up(connection);
        }
    }
}
