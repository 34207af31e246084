//! Members in a room, which describe what they have and want.

use std::time::Duration;

use super::Offering;
use super::client::Client;
use super::description::{self, Kind, Section};
use super::link::Link;
use super::member::Member;
use super::net::{Net, ROOM};
use crate::engine::{AcceptError, MediaEvent, Negotiated, Plan, Play, ServerChannel};
use crate::ids::{PeerId, TrackId};
use crate::sdp::offer::Offer;

/// A room with its members; peer ids are their indices.
pub(crate) struct Call {
    pub(crate) net: Net,
    pub(crate) members: Vec<Member>,
}

pub(crate) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A track under ids that name it.
pub(crate) fn play(track: TrackId) -> Play {
    Play {
        track,
        msid: (format!("stream-{track}"), format!("track-{track}")),
    }
}

impl Call {
    pub(crate) fn new() -> Call {
        Call {
            net: Net::new(),
            members: Vec::new(),
        }
    }

    /// Adds a member that is to receive `plays`, and connects it.
    pub(crate) fn join(&mut self, member: Member, plays: &[TrackId]) -> (usize, Negotiated) {
        let who = self.add(member);
        let negotiated = self.negotiate(who, plays);
        self.connect(who);
        (who, negotiated)
    }

    /// Adds a member without describing anything.
    pub(crate) fn add(&mut self, member: Member) -> usize {
        let who = self.members.len();
        let address = format!("198.51.100.1:{}", 1000 + who);
        self.net
            .clients
            .push(Client::new(&address, Offering::PUBLISH));
        self.members.push(member);
        who
    }

    /// The offer that a member makes now.
    pub(crate) fn offer(&self, who: usize) -> String {
        let (member, client) = (&self.members[who], &self.net.clients[who]);
        let transport = (client.ufrag.as_str(), client.fingerprint());
        description::write(&member.sections, &member.codecs, transport, "actpass")
    }

    /// Offers, to receive `plays`; all that the member sends may be published.
    pub(crate) fn negotiate(&mut self, who: usize, plays: &[TrackId]) -> Negotiated {
        self.try_negotiate(who, plays).unwrap()
    }

    pub(crate) fn try_negotiate(
        &mut self,
        who: usize,
        plays: &[TrackId],
    ) -> Result<Negotiated, AcceptError> {
        let offer = Offer::parse(&self.offer(who))?;
        let plan = Plan {
            plays: plays.iter().copied().map(play).collect(),
            receives: self.members[who]
                .sections
                .iter()
                .filter(|section| section.direction == "sendonly")
                .map(|section| (section.mid.clone(), self.members[who].preference))
                .collect(),
        };
        let now = self.net.now;
        let peer = PeerId(who as u64);
        let negotiated = self.net.engine.negotiate(&now, ROOM, peer, &offer, &plan)?;
        self.take(who, &negotiated.sdp);
        Ok(negotiated)
    }

    /// Has the server offer `plays`, which the member answers.
    pub(crate) fn subscribe(
        &mut self,
        who: usize,
        plays: &[TrackId],
        channels: &[ServerChannel],
        restart: bool,
    ) -> Negotiated {
        let now = self.net.now;
        let plays: Vec<Play> = plays.iter().copied().map(play).collect();
        let peer = PeerId(who as u64);
        let engine = &mut self.net.engine;
        let offered = engine
            .offer(&now, ROOM, peer, &plays, channels, restart)
            .unwrap();
        self.take(who, &offered.sdp);
        if restart {
            self.net.clients[who].ufrag += "again";
        }
        let answer = Offer::parse(&self.answer(who)).unwrap();
        self.net.engine.answered(peer, &answer).unwrap();
        offered
    }

    /// The answer to what the server has offered.
    pub(crate) fn answer(&mut self, who: usize) -> String {
        let (member, client) = (&mut self.members[who], &self.net.clients[who]);
        member.sections = member
            .told
            .iter()
            .map(|told| {
                let kind = match told.media.as_str() {
                    "audio" => Kind::Audio,
                    "video" => Kind::Video,
                    _ => Kind::Data,
                };
                let direction = if told.sends() { "recvonly" } else { "inactive" };
                Section {
                    mid: told.mid.clone(),
                    ..Section::new(0, kind, direction)
                }
            })
            .collect();
        let transport = (client.ufrag.as_str(), client.fingerprint());
        description::write(&member.sections, &member.codecs, transport, "active")
    }

    fn take(&mut self, who: usize, sdp: &str) {
        self.members[who].take_description(sdp);
        self.net.clients[who].take_answer(sdp);
    }

    pub(crate) fn connect(&mut self, who: usize) {
        self.net.clients[who].check(true);
        self.run(ms(100));
        let now = self.net.now.mono;
        self.net.clients[who].start_dtls(now);
        self.run(ms(500));
        assert!(self.net.clients[who].is_connected(), "member {who}");
    }

    /// Restarts ICE by a further offer, and checks the way anew.
    pub(crate) fn restart_ice(&mut self, who: usize, plays: &[TrackId]) {
        self.net.clients[who].ufrag += "again";
        self.negotiate(who, plays);
        self.net.clients[who].check(true);
    }

    /// Lets `time` pass.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.net.now.mono + time;
        while self.net.now.mono < end {
            self.net.run(ms(1));
            let now = self.net.now;
            for (member, client) in self.members.iter_mut().zip(&mut self.net.clients) {
                client.handle_timeout(now.mono);
                member.poll(&now, client);
            }
        }
        self.net.exchange();
    }

    /// Gives a member a way with the round trip `rtt` and loss both ways.
    pub(crate) fn link(&mut self, who: usize, rtt: Duration, loss: f64, seed: u64) {
        self.net.links.insert(who, Link::pair(rtt, loss, seed));
    }

    /// Events that `wanted` picks.
    pub(crate) fn events<T>(&self, wanted: impl Fn(&MediaEvent) -> Option<T>) -> Vec<T> {
        self.net.events.iter().filter_map(wanted).collect()
    }
}
