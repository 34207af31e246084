//! Peers that send and receive, and whose descriptions change: clients of a room. What they offer,
//! and what is answered.

use super::Engine;
use super::accept::{AcceptError, TICK, table_section};
use super::data::{DataChannels, ServerChannel};
use super::peer::Publishing;
use super::track::{Origin, Track};
use crate::clock::Now;
use crate::ids::{PeerId, RoomId, TrackId};
use crate::rtp::extension::Extension;
use crate::sdp::answer::{MediaAnswer, Preference, SectionAnswer, SentStream, write_answer};
use crate::sdp::offer::{Offer, Section, SectionKind};

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

    /// Has data channels for the first description with a section for them.
    pub(super) fn open_data(
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
            let allowed = section.mid.as_ref().and_then(|mid| {
                let of_mid = receives.iter().find(|(of, _)| of == mid);
                of_mid.map(|(_, prefer)| (mid, prefer))
            });
            let (Some(kind), Some((mid, prefer)), true) =
                (kind, allowed, section.direction.sends())
            else {
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
                    self.tracks[track].always = prefer.always;
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

    /// What the description says of a section of a client.
    pub(super) fn answer_section(
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
