//! New peers.

use std::collections::HashMap;
use std::time::Duration;

use rand::Rng;

use super::Engine;
use super::peer::{Ice, Inbound, Listening, Peer, PeerCounters, Publishing, RoundTrip};
use super::publisher_clock::PublisherClock;
use super::slot::Slot;
use super::track::{Origin, Subscriber};
use crate::clock::Now;
use crate::dtls::Dtls;
use crate::ids::{PeerId, RoomId, TrackId};
use crate::rtp::forward::Forwarder;
use crate::rtp::ssrc_table::{self, SsrcTable};
use crate::sdp::answer::{AnswerContext, SectionAnswer, SentStream, write_answer};
use crate::sdp::offer::{Direction, Fingerprint, Offer, OfferError, SectionKind};
use crate::stun::ice_lite::IceCredentials;

/// What a listener hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subscription {
    /// Every published track of the room except the listener's own. Each receiving audio section of
    /// the offer is a slot; if there are fewer slots than tracks, the dominant speakers have them.
    Floor,
    /// One language channel.
    Source(TrackId),
    /// The tracks that were negotiated, each in a section of its own.
    Tracks,
}

/// What a peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The client sends audio (WHIP).
    Publish,
    /// The client receives audio (WHEP).
    Listen(Subscription),
}

/// A request to answer an offer.
#[derive(Clone, Debug)]
pub struct AcceptPeer {
    /// The room to join.
    pub room: RoomId,
    /// The new peer's name.
    pub peer: PeerId,
    /// The SDP offer.
    pub offer: String,
    /// What the peer is.
    pub role: Role,
}

/// An accepted peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The SDP answer.
    pub answer: String,
    /// Tracks the peer publishes, in the order of its sending audio sections.
    pub tracks: Vec<TrackId>,
    /// The server's ICE user name fragment, which makes a good entity tag.
    pub ice_ufrag: String,
}

/// Why a peer was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AcceptError {
    /// The offer cannot be answered.
    #[error(transparent)]
    Offer(#[from] OfferError),
    /// The name is taken.
    #[error("{0} is connected already; close it first")]
    PeerExists(PeerId),
    /// The worker is full.
    #[error("this media worker serves its {0} peers already; raise media.max_peers or add workers")]
    TooManyPeers(usize),
    /// The peer is gone.
    #[error("{0} is not connected (any more)")]
    UnknownPeer(PeerId),
    /// The language channel to listen to is gone.
    #[error("{0} does not exist (any more)")]
    UnknownTrack(TrackId),
    /// The worker stopped.
    #[error("the media worker has stopped")]
    WorkerStopped,
}

impl Engine {
    /// Answers an offer that [`Offer::parse`] has read. `wake` the engine afterwards as
    /// [`Engine::poll_timeout`] says.
    ///
    /// # Errors
    ///
    /// See [`AcceptError`]; nothing has changed then.
    pub fn accept(
        &mut self,
        now: &Now,
        room: RoomId,
        peer: PeerId,
        offer: &Offer,
        role: Role,
    ) -> Result<Accepted, AcceptError> {
        let sections = match role {
            Role::Publish => offer.audio_sections(Direction::sends, "sendonly or sendrecv")?,
            Role::Listen(_) => offer.audio_sections(Direction::receives, "recvonly or sendrecv")?,
        };
        self.check_place(peer)?;
        let source = match role {
            Role::Listen(Subscription::Source(track)) => Some(self.source(track, room)?),
            _ => None,
        };

        let key = self.new_peer(now, room, peer, &offer.ice_ufrag, Some(&offer.fingerprint));
        let mut answers = vec![SectionAnswer::Refuse; offer.sections.len()];
        let mut tracks = Vec::new();
        match role {
            Role::Publish => tracks = self.publish(now, key, offer, &sections, &mut answers),
            Role::Listen(subscription) => {
                self.listen(now, key, offer, &sections, subscription, &mut answers);
                match source {
                    Some(track) => self.attach(Subscriber { peer: key, slot: 0 }, track),
                    None => {
                        self.rooms.entry(room).or_default().listeners.push(key);
                        self.assign_listener(key);
                    }
                }
            }
        }
        self.peers[key].description.1 += 1;
        let answer = write_answer(offer, &answers, &self.context(key));
        self.schedule(key);
        Ok(Accepted {
            answer,
            tracks,
            ice_ufrag: self.peers[key].ice.local.ufrag.clone(),
        })
    }

    /// Whether `peer` may be added.
    pub(super) fn check_place(&self, peer: PeerId) -> Result<(), AcceptError> {
        if self.by_id.contains_key(&peer) {
            return Err(AcceptError::PeerExists(peer));
        }
        if self.peers.len() >= self.config.max_peers {
            return Err(AcceptError::TooManyPeers(self.config.max_peers));
        }
        Ok(())
    }

    /// What descriptions say of the server to a peer.
    pub(super) fn context(&self, key: usize) -> AnswerContext<'_> {
        let peer = &self.peers[key];
        AnswerContext {
            ice: &peer.ice.local,
            fingerprint: &self.fingerprint,
            candidates: &self.config.candidates,
            cname: &self.cname,
            session_id: peer.description.0,
            version: peer.description.1,
        }
    }

    /// Adds a peer that neither sends nor receives yet. Without a fingerprint it is one that has not
    /// answered yet.
    pub(super) fn new_peer(
        &mut self,
        now: &Now,
        room: RoomId,
        peer: PeerId,
        remote_ufrag: &str,
        fingerprint: Option<&Fingerprint>,
    ) -> usize {
        let local = self.new_credentials();
        self.serial += 1;
        let ufrag = local.ufrag.as_str().into();
        let key = self.peers.insert(Box::new(Peer {
            id: peer,
            room,
            serial: self.serial,
            ice: Ice {
                local,
                former: None,
                remote_ufrag: remote_ufrag.to_owned(),
                paths: Vec::new(),
                selected: None,
                nominated: false,
            },
            dtls: Dtls::new(&self.handshake, fingerprint.cloned()),
            srtp: None,
            last_heard: now.mono,
            scheduled: None,
            next_report: None,
            report_ssrc: self.random.random(),
            publishing: None,
            listening: None,
            rtt: RoundTrip::default(),
            counters: PeerCounters::default(),
            reference: None,
            description: (self.random.random::<u64>() >> 2, 0),
            data: None,
            sections: Vec::new(),
        }));
        self.by_id.insert(peer, key);
        self.by_ufrag.insert(ufrag, key);
        self.rooms.entry(room).or_default().members += 1;
        self.totals.peers_accepted += 1;
        key
    }

    /// Credentials that no other peer has.
    pub(super) fn new_credentials(&mut self) -> IceCredentials {
        loop {
            let local = IceCredentials::generate(&mut self.random);
            if !self.by_ufrag.contains_key(local.ufrag.as_str()) {
                return local;
            }
        }
    }

    /// The key of a language channel of `room`.
    pub(super) fn source(&self, track: TrackId, room: RoomId) -> Result<usize, AcceptError> {
        self.track_by_id
            .get(&track)
            .copied()
            .filter(|&key| {
                let track = &self.tracks[key];
                track.room == room && matches!(track.origin, Origin::Source { .. })
            })
            .ok_or(AcceptError::UnknownTrack(track))
    }

    fn publish(
        &mut self,
        now: &Now,
        key: usize,
        offer: &Offer,
        sections: &[usize],
        answers: &mut [SectionAnswer],
    ) -> Vec<TrackId> {
        let room = self.peers[key].room;
        let mut ids = Vec::new();
        let mut by_section = HashMap::new();
        let (mut nack, mut reference_time) = (false, false);
        for &section in sections {
            if let SectionKind::Audio(opus) = &offer.sections[section].kind {
                nack |= opus.nack;
                reference_time |= opus.rrtr;
            }
            let track = self.add_track(now, room, key, &offer.sections[section]);
            by_section.insert(section, track);
            ids.push(self.tracks[track].id);
            answers[section] = SectionAnswer::receive();
        }
        let mut table = SsrcTable::default();
        table.apply(offer.sections.iter().map(table_section).collect());
        self.peers[key].publishing = Some(Box::new(Publishing {
            table,
            tracks: by_section,
            streams: Vec::<Inbound>::new(),
            nack,
            reference_time,
            clock: PublisherClock::default(),
            transport_sequence: None,
            arrivals: None,
        }));
        self.next_tick.get_or_insert(now.mono + TICK);
        self.assign_room(room);
        ids
    }

    fn listen(
        &mut self,
        now: &Now,
        key: usize,
        offer: &Offer,
        sections: &[usize],
        subscription: Subscription,
        answers: &mut [SectionAnswer],
    ) {
        let wanted = match subscription {
            Subscription::Floor => sections.len(),
            // A channel is one stream.
            Subscription::Source(_) | Subscription::Tracks => 1,
        };
        let mut slots = Vec::new();
        for &section in &sections[..wanted] {
            let SectionKind::Audio(opus) = &offer.sections[section].kind else {
                continue;
            };
            let forwarder = Forwarder::new(
                self.random.random(),
                opus.payload_type,
                offer.sections[section].extensions,
                self.random.random(),
                self.random.random(),
            );
            let slot = Slot::audio(section, forwarder, opus.nack);
            answers[section] = SectionAnswer::send(SentStream {
                ssrc: slot.ssrc(),
                rtx: None,
                msid: slot.msid.clone(),
            });
            slots.push(slot);
        }
        self.peers[key].listening = Some(Box::new(Listening {
            slots,
            ..Listening::new(now.mono, subscription)
        }));
    }
}

/// How often rooms rank their speakers.
pub(super) const TICK: Duration = Duration::from_millis(100);

pub(super) fn table_section(section: &crate::sdp::offer::Section) -> ssrc_table::Section {
    ssrc_table::Section {
        mid: section.mid.as_deref().map(Box::from),
        extensions: section.extensions,
        rids: section.layers(),
        video: section.kind.is_video(),
        payload_types: match &section.kind {
            _ if !section.direction.sends() => Vec::new(),
            SectionKind::Audio(opus) => [Some(opus.payload_type), opus.red]
                .into_iter()
                .flatten()
                .collect(),
            SectionKind::Video(formats) => formats
                .iter()
                .flat_map(|format| [Some(format.payload_type), format.rtx])
                .flatten()
                .collect(),
            SectionKind::Data(_) | SectionKind::Refused => Vec::new(),
        },
        repairs: match &section.kind {
            SectionKind::Video(formats) => formats.iter().filter_map(|it| it.rtx).collect(),
            _ => Vec::new(),
        },
        ssrcs: section.ssrcs.clone(),
    }
}
