//! Offers of ours, to clients whose peer connection only receives, and the answers to them.

use super::Engine;
use super::accept::AcceptError;
use super::data::ServerChannel;
use super::negotiate::{Negotiated, Play};
use super::track::Subscriber;
use crate::clock::Now;
use crate::ids::{PeerId, RoomId};
use crate::sdp::answer::{Preference, SectionAnswer, write_offer};
use crate::sdp::offer::{MAX_SECTIONS, Offer, Section};
use crate::sdp::ours;

impl Engine {
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
}
