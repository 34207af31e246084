//! Offers and answers of clients.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use hive_media::sdp::offer::Offer;
use hive_media::{MediaKind, Negotiated, Plan, Play, ServerChannel, TrackId};

use super::Topology;
use super::bucket::Rate;
use super::client::{Client, ignored};
use super::data::{LOSSY, RELIABLE};
use super::member::{Member, leave};
use super::proto::{self, DisconnectReason, leave_request, signal_response};
use super::subscribe::Wanted;
use crate::hall::Hall;
use crate::room::Room;

/// What the server opens towards clients with two peer connections.
static CHANNELS: [ServerChannel; 2] = [
    ServerChannel {
        label: RELIABLE,
        reliable: true,
    },
    ServerChannel {
        label: LOSSY,
        reliable: false,
    },
];

/// Descriptions that a client may send in the long run, and at once. A room in which something changes all
/// the time needs one each round trip; one more than these says nothing new.
const DESCRIPTIONS: Rate = Rate {
    per_second: 5,
    burst: 20,
};

impl Client {
    /// A client offers: what it publishes, and with one peer connection, sections to receive in.
    pub(super) async fn offered(&self, described: proto::SessionDescription) {
        self.await_turn().await;
        if !self.is_current() {
            return;
        }
        let offer = match Offer::parse(&described.sdp) {
            Ok(offer) => offer,
            Err(error) => return self.fail("offer", &error),
        };
        let single = self.member.topology == Topology::Single;
        let wanted = if single { self.wanted() } else { Vec::new() };
        let plan = Plan {
            plays: plays(&wanted),
            receives: self.sections_to_receive(&offer, &described),
        };
        let receiving = |audio: bool| {
            let fits = |section: &&hive_media::sdp::offer::Section| {
                let kind = if audio {
                    section.kind.is_audio()
                } else {
                    section.kind.is_video()
                };
                kind && section.direction.receives()
            };
            offer.sections.iter().filter(fits).count()
        };
        let sections = (receiving(true), receiving(false));
        let worker = self.hall.worker(&self.room);
        let negotiated = worker
            .negotiate(self.room.id, self.member.publisher, offer, plan)
            .await;
        if self.member.is_over() {
            // The peer may have been made after it was closed.
            worker.close(self.member.publisher);
            return;
        }
        let negotiated = match negotiated {
            Ok(negotiated) => negotiated,
            Err(error) => return self.fail("offer", &error),
        };
        let played = sids(&negotiated, &wanted);
        if single {
            let subscriptions = &mut self.member.state.lock().subscriptions;
            subscriptions.sections = sections;
            subscriptions.asked = false;
        }
        // A client that resumed meanwhile offers again, and waits for that answer.
        if self.is_current() {
            self.member.tell(signal_response::Message::Answer(
                proto::SessionDescription {
                    r#type: "answer".to_owned(),
                    sdp: negotiated.sdp,
                    id: described.id,
                    mid_to_track_id: played,
                },
            ));
        }
        self.published(&negotiated.published);
        if single {
            receiving_now(
                &self.hall,
                &self.room,
                &self.member,
                &negotiated.played,
                &wanted,
            );
        }
        // Some of what is wanted may have found no section.
        self.member.changed();
    }

    /// A client with two peer connections answers our offer.
    pub(super) async fn answered(&self, described: proto::SessionDescription) {
        self.await_turn().await;
        if !self.is_current() {
            return;
        }
        let current = {
            let state = self.member.state.lock();
            described.id == 0 || described.id == state.subscriptions.offer
        };
        if self.member.topology == Topology::Single || !current {
            return ignored("answer");
        }
        let answer = match Offer::parse(&described.sdp) {
            Ok(answer) => answer,
            Err(error) => return self.fail("answer", &error),
        };
        let worker = self.hall.worker(&self.room);
        if let Err(error) = worker.answered(self.member.subscriber, answer).await {
            return self.fail("answer", &error);
        }
        self.member.state.lock().subscriptions.asked = false;
        self.member.changed();
    }

    /// A candidate. The server is ICE-lite and learns where a client is from its checks.
    pub(super) fn trickled(&self, trickle: &proto::TrickleRequest) {
        tracing::trace!(
            identity = %self.member.identity,
            bytes = trickle.candidate_init.len(),
            "a client told a candidate"
        );
    }

    /// Waits until the client may have another description looked at: each is much work here and for the
    /// media worker. What it sends meanwhile waits as well.
    async fn await_turn(&self) {
        let owed = {
            let now = Instant::now();
            let bucket = &mut self.member.state.lock().descriptions;
            let owed = bucket.owed(now, DESCRIPTIONS);
            bucket.take(now, 1, DESCRIPTIONS);
            owed
        };
        if !owed.is_zero() {
            metrics::counter!("hive_signal_descriptions_delayed_total").increment(1);
            tokio::time::sleep(owed).await;
        }
    }

    /// A description cannot be used: the client has to start anew.
    fn fail(&self, what: &str, error: &dyn std::fmt::Display) {
        if !self.is_current() {
            return;
        }
        metrics::counter!("hive_signal_descriptions_refused_total").increment(1);
        tracing::info!(
            room = %self.room.name, identity = %self.member.identity, %error,
            "a client's {what} was refused"
        );
        let reason = DisconnectReason::StateMismatch;
        let message = leave(reason, leave_request::Action::Disconnect);
        self.hall
            .dismiss(&self.room, &self.member, reason, Some(message));
    }
}

/// Offers a client with two peer connections what it is to receive.
pub(super) async fn offer_subscriber(
    hall: &Arc<Hall>,
    room: &Arc<Room>,
    member: &Arc<Member>,
    restart: bool,
) {
    let _turn = member.offering.lock().await;
    // From here on an answer to the offer before is too late.
    let id = {
        let subscriptions = &mut member.state.lock().subscriptions;
        subscriptions.asked = true;
        subscriptions.offer += 1;
        subscriptions.offer
    };
    let wanted = super::subscribe::wanted(room, member);
    let worker = hall.worker(room);
    let offered = worker
        .offer(
            room.id,
            member.subscriber,
            plays(&wanted),
            &CHANNELS,
            restart,
        )
        .await;
    if member.is_over() {
        // The peer may have been made after it was closed.
        worker.close(member.subscriber);
        return;
    }
    let offered = match offered {
        Ok(offered) => offered,
        Err(error) => {
            tracing::warn!(identity = %member.identity, %error, "a subscriber could not be offered anything");
            let subscriptions = &mut member.state.lock().subscriptions;
            subscriptions.asked = false;
            subscriptions.offer -= 1;
            return;
        }
    };
    let mid_to_track_id = sids(&offered, &wanted);
    receiving_now(hall, room, member, &offered.played, &wanted);
    member.tell(signal_response::Message::Offer(proto::SessionDescription {
        r#type: "offer".to_owned(),
        sdp: offered.sdp,
        id,
        mid_to_track_id,
    }));
}

/// Notes what a client receives from now on, and tells publishers of their first subscriber.
fn receiving_now(
    hall: &Arc<Hall>,
    room: &Arc<Room>,
    member: &Arc<Member>,
    played: &[(String, TrackId)],
    wanted: &[Wanted],
) {
    let negotiated: BTreeMap<TrackId, Arc<str>> = wanted
        .iter()
        .filter(|it| played.iter().any(|(_, track)| *track == it.track))
        .map(|it| (it.track, it.sid.clone()))
        .collect();
    let new: Vec<(TrackId, Arc<str>)> = {
        let subscriptions = &mut member.state.lock().subscriptions;
        let new = negotiated
            .iter()
            .filter(|(track, _)| !subscriptions.negotiated.contains_key(track))
            .map(|(track, sid)| (*track, sid.clone()))
            .collect();
        subscriptions.negotiated = negotiated;
        new
    };
    for (track, sid) in &new {
        hall.apply_settings(room, member, *track, sid);
    }
    let first: Vec<(Arc<Member>, Arc<str>)> = {
        let mut state = room.state.lock();
        let participants = state.participants.values_mut();
        let publications = participants.flat_map(|who| {
            let member = who.member.clone();
            who.publications
                .iter_mut()
                .map(move |(sid, it)| (member.clone(), sid, it))
        });
        publications
            .filter(|(_, _, it)| new.iter().any(|(track, _)| *track == it.track))
            .filter(|(_, _, it)| !it.subscribed)
            .filter_map(|(member, sid, it)| {
                it.subscribed = true;
                Some((member?, sid.clone()))
            })
            .collect()
    };
    for (publisher, sid) in first {
        publisher.tell(signal_response::Message::TrackSubscribed(
            proto::TrackSubscribed {
                track_sid: sid.to_string(),
            },
        ));
    }
}

fn plays(wanted: &[Wanted]) -> Vec<Play> {
    wanted
        .iter()
        .map(|it| Play {
            track: it.track,
            msid: (format!("{}|{}", it.participant, it.sid), it.sid.to_string()),
        })
        .collect()
}

/// The track of each mid.
fn sids(negotiated: &Negotiated, wanted: &[Wanted]) -> HashMap<String, String> {
    let sid = |track: TrackId| wanted.iter().find(|it| it.track == track);
    negotiated
        .played
        .iter()
        .filter_map(|(mid, track)| Some((mid.clone(), sid(*track)?.sid.to_string())))
        .collect()
}

/// How many sections more a client has to offer for what it should receive.
pub(super) fn sections_short(wanted: &[Wanted], offered: (usize, usize)) -> (usize, usize) {
    let count = |kind| wanted.iter().filter(|it| it.kind == kind).count();
    (
        count(MediaKind::Audio).saturating_sub(offered.0),
        count(MediaKind::Video).saturating_sub(offered.1),
    )
}
