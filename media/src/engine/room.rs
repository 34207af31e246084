//! Rooms: who hears whom.

use super::accept::Subscription;
use super::peer::Peer;
use super::playing::Playing;
use super::slot::Stream;
use super::track::{Origin, Subscriber, Track};
use super::{Engine, MediaEvent};
use crate::ids::{RoomId, TrackId};
use crate::rtp::speakers::Speakers;
use slab::Slab;

/// The members of one room.
#[derive(Default)]
pub(super) struct Room {
    /// Published tracks (not language channels), by slab key.
    pub(super) tracks: Vec<usize>,
    /// Peers that listen to the floor, by slab key.
    pub(super) listeners: Vec<usize>,
    /// Members of any kind, language channels included; the room goes with the last.
    pub(super) members: usize,
    pub(super) speakers: Speakers,
}

/// Has a track sent to clients, or not.
fn set_prominent(track: &mut Track, peers: &mut Slab<Box<Peer>>, prominent: bool) {
    if std::mem::replace(&mut track.prominent, prominent) || !prominent {
        return;
    }
    for subscriber in &track.subscribers {
        if let Some(listening) = peers[subscriber.peer].listening.as_deref_mut()
            && listening.subscription == Subscription::Tracks
        {
            // What was left out meanwhile must not look like loss.
            listening.slots[subscriber.slot].restart_audio();
        }
    }
}

impl Engine {
    /// Drops the room if nobody is left.
    pub(super) fn leave_room(&mut self, id: RoomId) {
        if let Some(room) = self.rooms.get_mut(&id) {
            room.members -= 1;
            if room.members == 0 {
                self.rooms.remove(&id);
            }
        }
    }

    /// Puts the right tracks behind the slots of all floor listeners of a room.
    pub(super) fn assign_room(&mut self, id: RoomId) {
        let Some(room) = self.rooms.get(&id) else {
            return;
        };
        for listener in room.listeners.clone() {
            self.assign_listener(listener);
        }
    }

    /// Puts the right tracks behind the slots of one floor listener.
    ///
    /// With a slot for every track each keeps its slot. With fewer the dominant speakers have them;
    /// a track that stays among those keeps its slot too, so that nobody else's voice is cut.
    pub(super) fn assign_listener(&mut self, listener: usize) {
        let peer = &self.peers[listener];
        let Some(listening) = peer.listening.as_deref() else {
            return;
        };
        if listening.subscription != Subscription::Floor {
            return;
        }
        let Some(room) = self.rooms.get(&peer.room) else {
            return;
        };
        let wanted: Vec<usize> = room
            .speakers
            .ranking()
            .filter_map(|track| self.track_by_id.get(&track).copied())
            .filter(|&track| match self.tracks[track].origin {
                Origin::Peer { key, .. } => {
                    let publisher = self.peers[key].id;
                    key != listener && !listening.excluded.contains(&publisher)
                }
                Origin::Source { .. } => false,
            })
            .take(listening.slots.len())
            .collect();
        let held: Vec<Option<usize>> = listening.slots.iter().map(|slot| slot.track).collect();
        for (slot, track) in held.iter().enumerate() {
            if track.is_some_and(|track| !wanted.contains(&track)) {
                self.detach(Subscriber {
                    peer: listener,
                    slot,
                });
            }
        }
        let mut free: Vec<usize> = (0..held.len())
            .filter(|&slot| held[slot].is_none_or(|track| !wanted.contains(&track)))
            .collect();
        for track in wanted {
            if !held.contains(&Some(track)) {
                // As many free slots as wanted tracks without one: `wanted` is no longer than `held`.
                let slot = free.remove(0);
                self.attach(
                    Subscriber {
                        peer: listener,
                        slot,
                    },
                    track,
                );
            }
        }
    }

    /// Puts a track behind a slot that has none.
    pub(super) fn attach(&mut self, subscriber: Subscriber, track: usize) {
        let Some(listening) = self.peers[subscriber.peer].listening.as_deref_mut() else {
            return;
        };
        let slot = &mut listening.slots[subscriber.slot];
        let entry = &mut self.tracks[track];
        slot.track = Some(track);
        slot.reported = false;
        slot.playing = Playing::FULL;
        if slot.nack {
            entry.keep_packets();
        }
        entry.subscribers.push(subscriber);
        entry.listeners += usize::from(listening.subscription != Subscription::Tracks);
        match &mut slot.stream {
            Stream::Audio(forwarder) => forwarder.attach(&entry.extensions),
            Stream::Video(video) => {
                video.playing = Playing::FULL;
                video.paused = false;
                // Once there is a keyframe, it is known what there is room for.
                self.next_allocation = None;
                self.attach_video(subscriber, track);
            }
        }
    }

    /// Takes the track away from a slot.
    pub(super) fn detach(&mut self, subscriber: Subscriber) {
        let Some(listening) = self.peers[subscriber.peer].listening.as_deref_mut() else {
            return;
        };
        if let Some(track) = listening.slots[subscriber.slot].track.take() {
            let entry = &mut self.tracks[track];
            entry.subscribers.retain(|other| *other != subscriber);
            entry.listeners -= usize::from(listening.subscription != Subscription::Tracks);
        }
    }

    /// Removes a track everywhere.
    pub(super) fn remove_track(&mut self, track: usize) {
        for subscriber in std::mem::take(&mut self.tracks[track].subscribers) {
            if let Some(listening) = self.peers[subscriber.peer].listening.as_deref_mut() {
                listening.slots[subscriber.slot].track = None;
            }
        }
        let removed = self.tracks.remove(track);
        self.track_by_id.remove(&removed.id);
        if let Some(room) = self.rooms.get_mut(&removed.room) {
            room.tracks.retain(|&other| other != track);
            room.speakers.remove(removed.id);
        }
    }

    /// Ends a tick of all rooms: ranks speakers, tells of changes and moves slots.
    pub(super) fn tick_rooms(&mut self) {
        let mut reranked = Vec::new();
        for (&id, room) in &mut self.rooms {
            if room.tracks.is_empty() {
                continue;
            }
            let before: Vec<TrackId> = room.speakers.ranking().collect();
            if room.speakers.tick() {
                let speakers = room
                    .speakers
                    .active()
                    .filter_map(|(track, level)| {
                        let track = &self.tracks[*self.track_by_id.get(&track)?];
                        match track.origin {
                            Origin::Peer { key, .. } if !track.always => {
                                Some((self.peers[key].id, level))
                            }
                            _ => None,
                        }
                    })
                    .collect();
                self.events
                    .push_back(MediaEvent::Levels { room: id, speakers });
            }
            let mut places = self.config.prominent_speakers;
            for track in room.speakers.ranking() {
                let Some(track) = self.track_by_id.get(&track) else {
                    continue;
                };
                let track = &mut self.tracks[*track];
                let prominent = track.always || places > 0;
                places -= usize::from(prominent && !track.always);
                set_prominent(track, &mut self.peers, prominent);
            }
            if !room.speakers.ranking().eq(before) {
                reranked.push(id);
            }
        }
        for room in reranked {
            self.assign_room(room);
        }
    }
}
