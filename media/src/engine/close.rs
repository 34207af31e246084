//! Peers that go.

use super::track::Subscriber;
use super::{CloseReason, Engine, MediaEvent, Transmit};
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
        for address in &peer.ice.addresses {
            self.by_address.remove(address);
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
}
