//! What the server asks of an engine besides accepting and closing peers.

use bytes::Bytes;

use super::accept::{AcceptError, Subscription};
use super::track::{Origin, Subscriber, Track};
use super::{Engine, Transmit};
use crate::audio::frame::EncodedFrame;
use crate::clock::Now;
use crate::ids::{PeerId, RoomId, TrackId};
use crate::rtp::OPUS_CLOCK;
use crate::rtp::extension::{Extension, ExtensionIds};
use crate::rtp::forward::TrackPacket;
use crate::rtp::header::Header;
use crate::sdp::fragment::TrickleFragment;

/// A consumer of a track's packets. Called on the worker's thread: it must not block.
pub type TapFn = Box<dyn FnMut(EncodedFrame) + Send>;

/// The id under which language channels carry their level.
const SOURCE_LEVEL_ID: u8 = 1;

/// The answer to an ICE restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IceRestartAnswer {
    /// The SDP fragment to send back.
    pub fragment: String,
    /// The server's new ICE user name fragment.
    pub ice_ufrag: String,
}

/// Why a fragment was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrickleError {
    /// The peer is gone.
    #[error("{0} is not connected (any more)")]
    UnknownPeer(PeerId),
    /// The worker stopped.
    #[error("the media worker has stopped")]
    WorkerStopped,
}

impl Engine {
    /// Takes a trickled fragment. Candidates need no action, since checks tell where a peer is; new
    /// credentials restart ICE, and the old ones stay good until the first check with the new.
    ///
    /// # Errors
    ///
    /// [`TrickleError::UnknownPeer`].
    pub fn trickle(
        &mut self,
        peer: PeerId,
        fragment: &TrickleFragment,
    ) -> Result<Option<IceRestartAnswer>, TrickleError> {
        let key = *self
            .by_id
            .get(&peer)
            .ok_or(TrickleError::UnknownPeer(peer))?;
        if self.peers[key].ice.remote_ufrag == fragment.ice_ufrag {
            return Ok(None);
        }
        self.restart_ice(key, &fragment.ice_ufrag);
        let local = &self.peers[key].ice.local;
        Ok(Some(IceRestartAnswer {
            fragment: fragment.write_restart(local, &self.config.candidates),
            ice_ufrag: local.ufrag.clone(),
        }))
    }

    /// Gives a peer new credentials, for a remote user name fragment that may be new too. The old ones
    /// stay good until the first check with the new.
    pub(super) fn restart_ice(&mut self, key: usize, remote_ufrag: &str) {
        let local = self.new_credentials();
        let ice = &mut self.peers[key].ice;
        self.by_ufrag.insert(local.ufrag.as_str().into(), key);
        let remote = std::mem::replace(&mut ice.remote_ufrag, remote_ufrag.to_owned());
        let replaced = std::mem::replace(&mut ice.local, local);
        if let Some((oldest, _)) = ice.former.replace((replaced, remote)) {
            self.by_ufrag.remove(oldest.ufrag.as_str());
        }
    }

    /// Hands every packet of a track to `tap` from now on, or to nobody.
    pub fn tap(&mut self, track: TrackId, tap: Option<TapFn>) {
        if let Some(&key) = self.track_by_id.get(&track) {
            self.tracks[key].tap = tap;
        }
    }

    /// Lets `listener` hear or not hear `publisher` on the floor; everybody is heard at first.
    pub fn exclude(&mut self, listener: PeerId, publisher: PeerId, excluded: bool) {
        let Some(&key) = self.by_id.get(&listener) else {
            return;
        };
        if let Some(listening) = self.peers[key].listening.as_deref_mut() {
            listening.excluded.retain(|other| *other != publisher);
            if excluded {
                listening.excluded.push(publisher);
            }
            self.assign_listener(key);
        }
    }

    /// Lets a listener hear something else from now on, over the same streams.
    ///
    /// # Errors
    ///
    /// [`AcceptError::UnknownTrack`] if the language channel does not exist in the listener's room.
    pub fn subscribe(
        &mut self,
        listener: PeerId,
        subscription: Subscription,
    ) -> Result<(), AcceptError> {
        let Some(&key) = self.by_id.get(&listener) else {
            return Ok(());
        };
        let room = self.peers[key].room;
        let source = match subscription {
            Subscription::Source(track) => Some(self.source(track, room)?),
            Subscription::Floor => None,
            // What a client receives is negotiated.
            Subscription::Tracks => return Ok(()),
        };
        let Some(listening) = self.peers[key].listening.as_deref() else {
            return Ok(());
        };
        let slots = listening.slots.len();
        for slot in 0..slots {
            self.detach(Subscriber { peer: key, slot });
        }
        if let Some(listening) = self.peers[key].listening.as_deref_mut() {
            listening.subscription = subscription;
        }
        let listeners = &mut self.rooms.entry(room).or_default().listeners;
        listeners.retain(|&other| other != key);
        match source {
            Some(track) => self.attach(Subscriber { peer: key, slot: 0 }, track),
            None => {
                listeners.push(key);
                self.assign_listener(key);
            }
        }
        Ok(())
    }

    /// Adds a language channel to a room.
    pub fn add_source(&mut self, now: &Now, room: RoomId) -> TrackId {
        let track = Self::new_source(now, room);
        self.insert_source(track)
    }

    pub(crate) fn add_named_source(&mut self, now: &Now, room: RoomId, id: TrackId) {
        let mut track = Self::new_source(now, room);
        track.id = id;
        self.insert_source(track);
    }

    fn new_source(now: &Now, room: RoomId) -> Track {
        let mut extensions = ExtensionIds::default();
        extensions.set(Extension::AudioLevel, u16::from(SOURCE_LEVEL_ID));
        Track::new(
            room,
            Origin::Source {
                next_seq: 0x1_0000,
                last_timestamp: None,
            },
            extensions,
            now.mono,
        )
    }

    fn insert_source(&mut self, track: Track) -> TrackId {
        let id = track.id;
        self.rooms.entry(track.room).or_default().members += 1;
        let key = self.tracks.insert(track);
        self.track_by_id.insert(id, key);
        id
    }

    /// Removes a language channel; its listeners hear nothing until they subscribe to another.
    pub fn remove_source(&mut self, id: TrackId) {
        let Some(&key) = self.track_by_id.get(&id) else {
            return;
        };
        if matches!(self.tracks[key].origin, Origin::Source { .. }) {
            let room = self.tracks[key].room;
            self.remove_track(key);
            self.leave_room(room);
        }
    }

    /// Sends one Opus packet of a language channel to its listeners.
    ///
    /// `timestamp` is in units of 1/48000 s, `level` in −dBov (127 is silence). A packet that does not
    /// follow the one before without a gap starts a talk spurt.
    pub fn write_source(
        &mut self,
        now: &Now,
        track: TrackId,
        payload: &Bytes,
        timestamp: u32,
        level: u8,
        out: &mut dyn Transmit,
    ) {
        let Some(&key) = self.track_by_id.get(&track) else {
            return;
        };
        let entry = &mut self.tracks[key];
        let Origin::Source {
            next_seq,
            last_timestamp,
        } = &mut entry.origin
        else {
            return;
        };
        let seq = *next_seq;
        *next_seq += 1;
        // RFC 3551 §4.1; Opus packets are 120 ms long at most.
        let before = last_timestamp.replace(timestamp);
        let starts = before.is_none_or(|before| timestamp.wrapping_sub(before) > OPUS_CLOCK / 8);
        let mut packet = std::mem::take(&mut self.scratch);
        packet.clear();
        packet.extend([0x90, u8::from(starts) << 7]);
        packet.extend((seq as u16).to_be_bytes());
        packet.extend(timestamp.to_be_bytes());
        packet.extend([0; 4]);
        packet.extend([0xBE, 0xDE, 0, 1]);
        packet.extend([SOURCE_LEVEL_ID << 4, level.min(127), 0, 0]);
        packet.extend_from_slice(payload);
        if let Ok(header) = Header::parse(&packet) {
            let packet = TrackPacket {
                bytes: &packet,
                header: &header,
                payload,
                primary: None,
                seq,
            };
            self.publish_packet(now, key, &packet, false, out);
        }
        self.scratch = packet;
    }
}
