//! Peers that send and receive, and whose descriptions change: clients of a room.
//!
//! Whoever offers, the caller says what is to be played, and the engine finds a section for it. A
//! section that loses its track is inactive for one description before another track may have it,
//! because browsers fire `ontrack` only for sections that begin to receive (RFC 9429 §5.10 and the
//! WebRTC specification's "process the addition of a remote track").

use std::collections::HashMap;

use rand::Rng;

use super::accept::{AcceptError, TICK, table_section};
use super::data::{DataChannels, ServerChannel};
use super::peer::Listening;
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
use crate::sdp::offer::{Offer, Section, SectionKind};
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
    /// Sections of audio and of video that the client would have to offer for all that it should
    /// receive.
    pub missing: (usize, usize),
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
        let (mut played, (audios, videos)) = self.play_to(now, key, &sections, plays);
        if audios + videos > 0 {
            for _ in 0..audios {
                sections.push(ours::audio_section(sections.len()));
            }
            for _ in 0..videos {
                sections.push(ours::video_section(sections.len()));
            }
            played = self.play_to(now, key, &sections, plays).0;
        }
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
            missing: (0, 0),
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
        // The client's choice of formats and extensions is a subset of ours under our numbers.
        let sections = &mut entry.sections;
        for (ours, theirs) in sections.iter_mut().zip(&answer.sections) {
            if theirs.kind != SectionKind::Refused {
                ours.extensions = theirs.extensions;
                ours.kind.clone_from(&theirs.kind);
            }
        }
        Ok(())
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
        publishing
            .table
            .apply(sections.iter().map(table_section).collect());
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
        let mut wanted: HashMap<usize, &Play> = plays
            .iter()
            .filter_map(|play| Some((*self.track_by_id.get(&play.track)?, play)))
            .collect();
        let listening = self.peers[key]
            .listening
            .get_or_insert_with(|| Box::new(Listening::new(now.mono, Subscription::Tracks)));
        let count = listening.slots.len();
        let mut resting = Vec::new();
        for slot in 0..count {
            let Some(listening) = self.peers[key].listening.as_deref() else {
                break;
            };
            let held = &listening.slots[slot];
            let kept = held.track.is_some_and(|track| {
                let receives = sections
                    .get(held.section)
                    .is_some_and(|section| section.direction.receives());
                receives && wanted.remove(&track).is_some()
            });
            if !kept && (held.track.is_some() || held.described) {
                resting.push(held.section);
                self.detach(Subscriber { peer: key, slot });
            }
        }
        let mut missing = (0, 0);
        // In the caller's order, so that what matters most gets a section first.
        for play in plays {
            let Some(&track) = self.track_by_id.get(&play.track) else {
                continue;
            };
            if wanted.remove(&track).is_none() {
                continue;
            }
            let audio = self.tracks[track].is_audio();
            match self.free_slot(key, sections, audio, &resting) {
                Some(slot) => {
                    if let Some(listening) = self.peers[key].listening.as_deref_mut() {
                        listening.slots[slot].msid = play.msid.clone();
                    }
                    self.attach(Subscriber { peer: key, slot }, track);
                }
                None if audio => missing.0 += 1,
                None => missing.1 += 1,
            }
        }
        let mut played = Vec::new();
        let listening = self.peers[key].listening.iter_mut();
        for slot in listening.flat_map(|listening| &mut listening.slots) {
            slot.described = slot.track.is_some();
            if let (Some(track), Some(mid)) = (
                slot.track,
                sections
                    .get(slot.section)
                    .and_then(|section| section.mid.clone()),
            ) {
                played.push((mid, self.tracks[track].id));
            }
        }
        (played, missing)
    }

    /// A slot without a track, in a section of the kind that the client receives in and that does not
    /// have to rest; made if the section has none yet.
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
            let listening = self.peers[key].listening.as_deref()?;
            match listening.slots.iter().position(|slot| slot.section == at) {
                Some(slot) if listening.slots[slot].track.is_none() => return Some(slot),
                Some(_) => {}
                None => {
                    let slot = self.new_slot(at, section)?;
                    let listening = self.peers[key].listening.as_deref_mut()?;
                    listening.slots.push(slot);
                    return Some(listening.slots.len() - 1);
                }
            }
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
