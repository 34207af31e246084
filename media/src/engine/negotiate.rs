//! Peers that send and receive, and whose descriptions change: clients of a room.
//!
//! Whoever offers, the caller says what is to be played, and the engine finds a section for it. A
//! section that loses its track is inactive for one description before another track may have it,
//! because browsers fire `ontrack` only for sections that begin to receive (RFC 9429 §5.10 and the
//! WebRTC specification's "process the addition of a remote track").

use std::collections::HashSet;

use rand::Rng;

use super::accept::{AcceptError, TICK, table_section};
use super::data::{DataChannels, ServerChannel};
use super::peer::{Listening, Publishing};
use super::slot::Slot;
use super::track::{Origin, Subscriber, Track};
use super::{Engine, Subscription};
use crate::clock::Now;
use crate::ids::{PeerId, RoomId, TrackId};
use crate::rtp::extension::Extension;
use crate::rtp::forward::Forwarder;
use crate::sdp::answer::{
    MediaAnswer, Preference, SectionAnswer, SentStream, write_answer, write_offer,
};
use crate::sdp::offer::{MAX_SECTIONS, Offer, Section, SectionKind};
use crate::sdp::ours;
use crate::video::forward::{FirstNumbers, VideoForwarder};

/// What a client should hear and see of a track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Play {
    /// The track.
    pub track: TrackId,
    /// Stream and track ids of `a=msid`.
    pub msid: (String, String),
}

/// What the caller wants of the answer to a client's offer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What the client is to receive.
    pub plays: Vec<Play>,
    /// The sections that it may send in, by mid, and how it should encode.
    pub receives: Vec<(String, Preference)>,
}

/// Whether a track is heard or seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MediaKind {
    /// Heard.
    Audio,
    /// Seen.
    Video,
}

/// A description, and what it brings about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Negotiated {
    /// The answer, or the offer, as SDP.
    pub sdp: String,
    /// What the client publishes: its sending sections that the plan lets it use.
    pub published: Vec<Published>,
    /// Which track each mid plays.
    pub played: Vec<(String, TrackId)>,
    /// Sections of audio and of video that are wanting for all that the client should receive: it
    /// would have to offer them, or our own offer has as many as one may have.
    pub missing: (usize, usize),
}

/// What is to find sections in one description.
struct Turn {
    /// Tracks that have none yet.
    wanted: HashSet<usize>,
    /// Sections that are inactive this time.
    resting: Vec<usize>,
}

/// A section in which a client publishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The section.
    pub mid: String,
    /// The track.
    pub track: TrackId,
    /// Its kind.
    pub kind: MediaKind,
}

impl Engine {
    /// Answers the first offer of a new client, or a further offer of one that is here.
    ///
    /// # Errors
    ///
    /// See [`AcceptError`]; nothing has changed then.
    pub fn negotiate(
        &mut self,
        now: &Now,
        room: RoomId,
        peer: PeerId,
        offer: &Offer,
        plan: &Plan,
    ) -> Result<Negotiated, AcceptError> {
        let key = match self.by_id.get(&peer).copied() {
            Some(key) => {
                if self.peers[key].ice.remote_ufrag != offer.ice_ufrag {
                    self.restart_ice(key, &offer.ice_ufrag);
                }
                key
            }
            None => {
                self.check_place(peer)?;
                self.new_peer(now, room, peer, &offer.ice_ufrag, Some(&offer.fingerprint))
            }
        };
        self.open_data(now, key, &offer.sections, &[]);
        let published = self.receive_from(now, key, &offer.sections, &plan.receives);
        let (played, missing) = self.play_to(now, key, &offer.sections, &plan.plays);
        let answers: Vec<SectionAnswer> = offer
            .sections
            .iter()
            .enumerate()
            .map(|(at, section)| {
                let prefer = section.mid.as_ref().and_then(|mid| {
                    let of_mid = plan.receives.iter().find(|(of, _)| of == mid);
                    of_mid.map(|(_, prefer)| *prefer)
                });
                self.answer_section(key, at, section, prefer.unwrap_or_default())
            })
            .collect();
        self.peers[key].description.1 += 1;
        let sdp = write_answer(offer, &answers, &self.context(key));
        self.schedule(key);
        Ok(Negotiated {
            sdp,
            published,
            played,
            missing,
        })
    }

    /// Offers a client what it is to receive, over a peer connection that serves nothing else. What
    /// the client answers goes to [`Engine::answered`]. The first offer opens data `channels`; `restart`
    /// asks for an ICE restart.
    ///
    /// # Errors
    ///
    /// See [`AcceptError`]; nothing has changed then.
    pub fn offer(
        &mut self,
        now: &Now,
        room: RoomId,
        peer: PeerId,
        plays: &[Play],
        channels: &[ServerChannel],
        restart: bool,
    ) -> Result<Negotiated, AcceptError> {
        let key = match self.by_id.get(&peer).copied() {
            Some(key) => {
                if restart {
                    let remote = self.peers[key].ice.remote_ufrag.clone();
                    self.restart_ice(key, &remote);
                }
                key
            }
            None => {
                self.check_place(peer)?;
                let key = self.new_peer(now, room, peer, "", None);
                let sections = vec![ours::data_section()];
                self.open_data(now, key, &sections, channels);
                self.peers[key].sections = sections;
                key
            }
        };
        let mut sections = std::mem::take(&mut self.peers[key].sections);
        let mut turn = self.release(now, key, &sections, plays);
        let mut missing = self.assign(key, &sections, plays, &mut turn);
        if missing != (0, 0) {
            let room = MAX_SECTIONS.saturating_sub(sections.len());
            let audios = missing.0.min(room);
            for _ in 0..audios {
                sections.push(ours::audio_section(sections.len()));
            }
            for _ in 0..missing.1.min(room - audios) {
                sections.push(ours::video_section(sections.len()));
            }
            missing = self.assign(key, &sections, plays, &mut turn);
        }
        let played = self.played(key, &sections);
        let described: Vec<(Section, SectionAnswer)> = sections
            .iter()
            .enumerate()
            .map(|(at, section)| {
                let answer = self.answer_section(key, at, section, Preference::default());
                (section.clone(), answer)
            })
            .collect();
        self.peers[key].sections = sections;
        self.peers[key].description.1 += 1;
        let sdp = write_offer(&described, &self.context(key));
        self.schedule(key);
        Ok(Negotiated {
            sdp,
            published: Vec::new(),
            played,
            missing,
        })
    }

    /// Takes a client's answer to what [`Engine::offer`] gave.
    ///
    /// # Errors
    ///
    /// [`AcceptError::UnknownPeer`] if there was no offer.
    pub fn answered(&mut self, peer: PeerId, answer: &Offer) -> Result<(), AcceptError> {
        let key = *self
            .by_id
            .get(&peer)
            .ok_or(AcceptError::UnknownPeer(peer))?;
        let entry = &mut *self.peers[key];
        entry.ice.remote_ufrag.clone_from(&answer.ice_ufrag);
        entry.dtls.expect(&answer.fingerprint);
        let mut sections = std::mem::take(&mut entry.sections);
        for (at, (ours, theirs)) in sections.iter_mut().zip(&answer.sections).enumerate() {
            if ours.narrow(theirs) {
                self.narrow_slot(key, at, ours);
            }
        }
        self.peers[key].sections = sections;
        Ok(())
    }

    /// Has the slot of a section send what the client's answer left of our offer.
    fn narrow_slot(&mut self, key: usize, at: usize, section: &Section) {
        let listening = self.peers[key].listening.as_deref_mut();
        let slots = listening.map_or(&mut [][..], |listening| &mut listening.slots);
        let found = slots.iter_mut().enumerate();
        let Some((slot, found)) = found.into_iter().find(|(_, slot)| slot.section == at) else {
            return;
        };
        found.narrow(section);
        let Some(track) = found.track else { return };
        match found.audio_mut() {
            Some(forwarder) => forwarder.attach(&self.tracks[track].extensions),
            None => self.attach_video(Subscriber { peer: key, slot }, track),
        }
    }

    /// Has data channels for the first description with a section for them.
    fn open_data(
        &mut self,
        now: &Now,
        key: usize,
        sections: &[Section],
        channels: &[ServerChannel],
    ) {
        let offered = sections.iter().find_map(|section| match section.kind {
            SectionKind::Data(format) => Some(format.max_message_size),
            _ => None,
        });
        let peer = &mut *self.peers[key];
        if let (Some(max_message_size), None) = (offered, &peer.data) {
            let mut data = Box::new(DataChannels::new(now.mono, max_message_size));
            data.open(now.mono, channels);
            peer.data = Some(data);
        }
    }

    /// Makes the tracks of a client fit the sections in which it sends and may do so.
    fn receive_from(
        &mut self,
        now: &Now,
        key: usize,
        sections: &[Section],
        receives: &[(String, Preference)],
    ) -> Vec<Published> {
        let room = self.peers[key].room;
        let mut publishing = self.peers[key].publishing.take().unwrap_or_default();
        let mut table: Vec<_> = sections.iter().map(table_section).collect();
        // The track of a section that has become another, or is left out, ends.
        let Publishing {
            tracks,
            table: before,
            ..
        } = &mut *publishing;
        let ended = tracks.extract_if(|at, _| {
            let both = table.get(*at).zip(before.section(*at));
            !both.is_some_and(|(after, before)| after.continues(before))
        });
        for (_, track) in ended {
            self.remove_track(track);
        }
        let mut published = Vec::new();
        for (at, section) in sections.iter().enumerate() {
            let kind = match section.kind {
                SectionKind::Audio(_) => Some(MediaKind::Audio),
                SectionKind::Video(_) => Some(MediaKind::Video),
                _ => None,
            };
            let allowed = section
                .mid
                .as_ref()
                .filter(|mid| receives.iter().any(|(of, _)| of == *mid));
            let (Some(kind), Some(mid), true) = (kind, allowed, section.direction.sends()) else {
                if let Some(track) = publishing.tracks.remove(&at) {
                    self.remove_track(track);
                }
                continue;
            };
            if let SectionKind::Audio(opus) = &section.kind {
                publishing.nack |= opus.nack;
                publishing.reference_time |= opus.rrtr;
            }
            let track = match publishing.tracks.get(&at) {
                Some(track) => *track,
                None => {
                    let track = self.add_track(now, room, key, section);
                    publishing.tracks.insert(at, track);
                    track
                }
            };
            published.push(Published {
                mid: mid.clone(),
                track: self.tracks[track].id,
                kind,
            });
        }
        publishing.transport_sequence = sections
            .iter()
            .find_map(|section| section.extensions.get(Extension::TransportSequence));
        for (at, section) in table.iter_mut().enumerate() {
            if !publishing.tracks.contains_key(&at) {
                section.payload_types.clear();
            }
        }
        publishing.table.apply(table);
        let Publishing { streams, table, .. } = &mut *publishing;
        streams.retain(|stream| table.knows(stream.ssrc));
        self.peers[key].publishing = Some(publishing);
        if !published.is_empty() {
            self.next_tick.get_or_insert(now.mono + TICK);
        }
        self.assign_room(room);
        published
    }

    /// Adds the track that a peer publishes in a section.
    pub(super) fn add_track(
        &mut self,
        now: &Now,
        room: RoomId,
        key: usize,
        section: &Section,
    ) -> usize {
        let origin = Origin::Peer { key, ssrc: None };
        let track = Track::of_section(room, origin, section, now.mono);
        let id = track.id;
        let audio = track.is_audio();
        let track = self.tracks.insert(track);
        self.track_by_id.insert(id, track);
        let members = self.rooms.entry(room).or_default();
        members.tracks.push(track);
        if audio {
            members.speakers.add(id);
        }
        track
    }

    /// Gives each wanted track a section in which the client receives. Gives what each mid plays, and
    /// how many sections of audio and video there are too few.
    fn play_to(
        &mut self,
        now: &Now,
        key: usize,
        sections: &[Section],
        plays: &[Play],
    ) -> (Vec<(String, TrackId)>, (usize, usize)) {
        let mut turn = self.release(now, key, sections, plays);
        let missing = self.assign(key, sections, plays, &mut turn);
        (self.played(key, sections), missing)
    }

    /// Takes the tracks that are not wanted any more out of their sections.
    fn release(&mut self, now: &Now, key: usize, sections: &[Section], plays: &[Play]) -> Turn {
        let mut turn = Turn {
            wanted: plays
                .iter()
                .filter_map(|play| self.track_by_id.get(&play.track).copied())
                .collect(),
            resting: Vec::new(),
        };
        let listening = self.peers[key]
            .listening
            .get_or_insert_with(|| Box::new(Listening::new(now.mono, Subscription::Tracks)));
        let count = listening.slots.len();
        for slot in 0..count {
            let Some(listening) = self.peers[key].listening.as_deref() else {
                break;
            };
            let held = &listening.slots[slot];
            let kept = held.track.is_some_and(|track| {
                let section = sections.get(held.section);
                let goes_on = section.is_some_and(|section| {
                    section.direction.receives() && held.fits(&section.kind)
                });
                goes_on && turn.wanted.remove(&track)
            });
            if !kept && (held.track.is_some() || held.described) {
                turn.resting.push(held.section);
                self.detach(Subscriber { peer: key, slot });
            }
        }
        turn
    }

    /// Finds sections for the tracks that are wanted and have none. Gives how many of audio and video
    /// there are too few.
    fn assign(
        &mut self,
        key: usize,
        sections: &[Section],
        plays: &[Play],
        turn: &mut Turn,
    ) -> (usize, usize) {
        let mut missing = (0, 0);
        // In the caller's order, so that what matters most gets a section first.
        for play in plays {
            let Some(&track) = self.track_by_id.get(&play.track) else {
                continue;
            };
            if !turn.wanted.contains(&track) {
                continue;
            }
            let audio = self.tracks[track].is_audio();
            let short = if audio {
                &mut missing.0
            } else {
                &mut missing.1
            };
            let slot = match *short {
                0 => self.free_slot(key, sections, audio, &turn.resting),
                _ => None,
            };
            let Some(slot) = slot else {
                *short += 1;
                continue;
            };
            turn.wanted.remove(&track);
            if let Some(listening) = self.peers[key].listening.as_deref_mut() {
                listening.slots[slot].msid = play.msid.clone();
            }
            self.attach(Subscriber { peer: key, slot }, track);
        }
        missing
    }

    /// Which track each mid plays, as is described now.
    fn played(&mut self, key: usize, sections: &[Section]) -> Vec<(String, TrackId)> {
        let mut played = Vec::new();
        let listening = self.peers[key].listening.iter_mut();
        for slot in listening.flat_map(|listening| &mut listening.slots) {
            slot.described = slot.track.is_some();
            let mid = sections.get(slot.section).and_then(|it| it.mid.clone());
            if let (Some(track), Some(mid)) = (slot.track, mid) {
                played.push((mid, self.tracks[track].id));
            }
        }
        played
    }

    /// A new slot, in a section of the kind that the client receives in, that has no track and does not
    /// have to rest.
    fn free_slot(
        &mut self,
        key: usize,
        sections: &[Section],
        audio: bool,
        resting: &[usize],
    ) -> Option<usize> {
        for (at, section) in sections.iter().enumerate() {
            let fits = match section.kind {
                SectionKind::Audio(_) => audio,
                SectionKind::Video(_) => !audio,
                _ => false,
            };
            if !fits || !section.direction.receives() || resting.contains(&at) {
                continue;
            }
            let slots = &self.peers[key].listening.as_deref()?.slots;
            let found = slots.iter().position(|slot| slot.section == at);
            if found.is_some_and(|slot| slots[slot].track.is_some()) {
                continue;
            }
            // A section that is used again gets sources of its own. Browsers give a receiver that
            // begins anew with the SSRC that it had no frames: libwebrtc's `VideoRtpReceiver` takes it
            // for the stream that was removed when the section became inactive.
            let slot = self.new_slot(at, section)?;
            let listening = self.peers[key].listening.as_deref_mut()?;
            return Some(match found {
                Some(found) => {
                    listening.lost_before += listening.slots[found].lost;
                    listening.slots[found] = slot;
                    found
                }
                None => {
                    listening.slots.push(slot);
                    listening.slots.len() - 1
                }
            });
        }
        None
    }

    /// A slot for a section in which a client receives.
    fn new_slot(&mut self, at: usize, section: &Section) -> Option<Slot> {
        match &section.kind {
            SectionKind::Audio(opus) => {
                let mut forwarder = Forwarder::new(
                    self.random.random(),
                    opus.payload_type,
                    section.extensions,
                    self.random.random(),
                    self.random.random(),
                );
                forwarder.set_red(opus.red);
                Some(Slot::audio(at, forwarder, opus.nack))
            }
            SectionKind::Video(formats) => {
                let rtx = formats.iter().any(|format| format.rtx.is_some());
                let forwarder = VideoForwarder::new(
                    self.random.random(),
                    rtx.then(|| self.random.random()),
                    section.extensions,
                    FirstNumbers {
                        seq: self.random.random(),
                        timestamp: self.random.random(),
                        rtx_seq: self.random.random(),
                    },
                );
                Some(Slot::video(at, forwarder, formats))
            }
            _ => None,
        }
    }

    /// What the description says of a section of a client.
    fn answer_section(
        &self,
        key: usize,
        at: usize,
        section: &Section,
        prefer: Preference,
    ) -> SectionAnswer {
        let peer = &self.peers[key];
        match section.kind {
            SectionKind::Refused => SectionAnswer::Refuse,
            SectionKind::Data(_) => SectionAnswer::Data,
            SectionKind::Audio(_) | SectionKind::Video(_) => {
                let publishing = peer.publishing.as_deref();
                let slots = peer.listening.iter().flat_map(|listening| &listening.slots);
                SectionAnswer::Media(MediaAnswer {
                    receive: publishing.is_some_and(|it| it.tracks.contains_key(&at)),
                    send: slots
                        .filter(|slot| slot.section == at && slot.track.is_some())
                        .map(|slot| SentStream {
                            ssrc: slot.ssrc(),
                            rtx: slot.rtx_ssrc(),
                            msid: slot.msid.clone(),
                        })
                        .next(),
                    prefer,
                })
            }
        }
    }
}
