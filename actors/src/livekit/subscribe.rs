//! Subscriptions: what a client is to receive.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use hive_media::{MediaKind, TrackId};
use hive_models::Lang;

use super::Topology;
use super::client::Client;
use super::language;
use super::member::Member;
use super::negotiation::{offer_subscriber, sections_short};
use super::permission::Allowed;
use super::proto::{self, request_response, signal_response};
use super::remembered::{MAX_REMEMBERED, TooManyTracks, TrackSettings};
use super::roster::{Publication, Visible};
use crate::hall::Hall;
use crate::room::{Room, RoomState};

/// Tracks that one client receives at most; a description holds
/// [128 sections](hive_media::sdp::offer::MAX_SECTIONS), of which some are its own.
const MAX_SUBSCRIPTIONS: usize = 100;

/// Negotiations for one and the same set of tracks. It may take three: one in which sections that
/// become free rest, one that uses them, and one that was overtaken by a change.
const MAX_TRIES: u8 = 5;

/// Tracks that are not there for which one message is answered, one by one.
const MAX_UNKNOWN: usize = 256;

/// A track that a client is to receive.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) track: TrackId,
    pub(super) kind: MediaKind,
    /// Of the publication.
    pub(super) sid: Arc<str>,
    /// Of the publisher.
    pub(super) participant: Arc<str>,
}

/// What a client is to receive, and what it would if the publishers let it: the participant of each
/// track.
fn wanted_and_denied(room: &Room, member: &Member) -> (Vec<Wanted>, BTreeMap<Arc<str>, Arc<str>>) {
    let room = room.state.lock();
    let mut denied = BTreeMap::new();
    let own = room.participants.get(&member.identity);
    let Some(own) = own.filter(|own| own.profile.permission.can_subscribe) else {
        return (Vec::new(), denied);
    };
    let rule = Rule {
        room: &room,
        member,
        listens: language::listens(&own.profile.attributes),
        speaks: language::speaks(&own.profile.attributes),
    };
    let mut wanted = Vec::new();
    for (who, it) in room.publications() {
        let sid = who.publications.get_key_value(it.info.sid.as_str());
        let Some((sid, _)) = sid.filter(|_| who.profile.sid != member.sid) else {
            continue;
        };
        let wish = {
            let state = member.state.lock();
            state.subscriptions.wishes.get(&it.info.sid).copied()
        };
        if !rule.wants(who, it, wish) {
            continue;
        }
        let participant = who.profile.sid.clone();
        if rule.permitted(who, it) {
            wanted.push(Wanted {
                track: it.track,
                kind: it.kind,
                sid: sid.clone(),
                participant,
            });
        } else {
            denied.insert(sid.clone(), participant);
        }
    }
    // What came first is kept when there is more than fits.
    wanted.sort_by_key(|it| it.track);
    wanted.truncate(MAX_SUBSCRIPTIONS);
    (wanted, denied)
}

/// What a client is to receive.
pub(super) fn wanted(room: &Room, member: &Member) -> Vec<Wanted> {
    wanted_and_denied(room, member).0
}

/// Decides what one client receives.
struct Rule<'a> {
    room: &'a RoomState,
    member: &'a Member,
    listens: Option<std::collections::BTreeSet<Lang>>,
    speaks: Option<Lang>,
}

impl Rule<'_> {
    /// Whether the client wants the track, whoever lets it have it.
    fn wants(&self, who: Visible<'_>, it: &Publication, wish: Option<bool>) -> bool {
        if who.profile.permission.hidden {
            return false;
        }
        wish.unwrap_or_else(|| self.member.auto_subscribe && self.suits(it))
    }

    /// Whether the publisher lets the client have the track.
    fn permitted(&self, who: Visible<'_>, it: &Publication) -> bool {
        let publisher = self.room.participants.get(who.identity);
        let Some(publisher) = publisher.and_then(|who| who.member.as_ref()) else {
            return true;
        };
        publisher.allows(self.member, &it.info.sid)
    }

    /// Of the interpreter's voices only those in a language that the client listens to, and not its
    /// own; a client that says nothing of languages gets what there is.
    fn suits(&self, it: &Publication) -> bool {
        let interpreter = self.room.interpreter.as_ref();
        let Some((lang, speaker)) = interpreter.and_then(|who| who.voice(&it.info.sid)) else {
            return true;
        };
        let own = *speaker == self.member.identity;
        match (&self.listens, self.speaks) {
            (Some(listens), _) => listens.contains(&lang) && !own,
            (None, Some(_)) => false,
            (None, None) => !own,
        }
    }
}

impl Member {
    /// Tells the client what it wants and is denied, and what it is not denied any more.
    fn tell_denied(&self, denied: BTreeMap<Arc<str>, Arc<str>>) {
        let before = {
            let subscriptions = &mut self.state.lock().subscriptions;
            std::mem::replace(&mut subscriptions.denied, denied.clone())
        };
        let changes = |from: &BTreeMap<Arc<str>, Arc<str>>, to: &BTreeMap<Arc<str>, Arc<str>>| {
            let new = from.iter().filter(|(track, _)| !to.contains_key(*track));
            new.map(|(track, participant)| (track.to_string(), participant.to_string()))
                .collect::<Vec<_>>()
        };
        let forbidden = changes(&denied, &before).into_iter().map(|it| (it, false));
        let permitted = changes(&before, &denied).into_iter().map(|it| (it, true));
        for ((track_sid, participant_sid), allowed) in forbidden.chain(permitted) {
            self.tell(signal_response::Message::SubscriptionPermissionUpdate(
                proto::SubscriptionPermissionUpdate {
                    participant_sid,
                    track_sid,
                    allowed,
                },
            ));
        }
    }
}

impl Client {
    pub(super) fn wanted(&self) -> Vec<Wanted> {
        wanted(&self.room, &self.member)
    }

    /// A client asks to be subscribed to tracks, or not.
    pub(super) fn subscribe(&self, update: &proto::UpdateSubscription) {
        let done = self.hall.subscribe_to(
            &self.room,
            &self.member,
            &update.track_sids,
            &update.participant_tracks,
            update.subscribe,
        );
        if let Err(error) = done {
            self.refuse_long(&error);
        }
    }

    /// How a client wants to receive tracks.
    pub(super) fn set_track(&self, mut settings: proto::UpdateTrackSettings) {
        let sids = std::mem::take(&mut settings.track_sids);
        if sids.len() > MAX_REMEMBERED {
            return self.refuse_long(&TooManyTracks);
        }
        let sids: HashSet<&str> = sids.iter().map(String::as_str).collect();
        let negotiated: Vec<(TrackId, Arc<str>)> = {
            let named: Vec<&str> = sids.iter().copied().collect();
            let room = self.room.state.lock();
            let subscriptions = &mut self.member.state.lock().subscriptions;
            let settings = TrackSettings::from(&settings);
            let there = || room.track_sids();
            subscriptions
                .settings
                .change(&named, there, |it| *it = settings);
            subscriptions
                .negotiated
                .iter()
                .filter(|(_, sid)| sids.contains(&***sid))
                .map(|(track, sid)| (*track, sid.clone()))
                .collect()
        };
        for (track, sid) in negotiated {
            self.hall
                .apply_settings(&self.room, &self.member, track, &sid);
        }
    }

    /// Who may subscribe to the client's tracks.
    pub(super) fn permit(&self, permission: proto::SubscriptionPermission) {
        match Allowed::new(permission) {
            Ok(allowed) => {
                self.member.state.lock().allows = Some(allowed);
                self.room.roster_changed();
            }
            Err(error) => self.refuse_long(&error),
        }
    }

    /// After a cut, a client tells what it still has.
    pub(super) fn synchronise(&self, sync: proto::SyncState) {
        if let Some(subscription) = &sync.subscription {
            self.subscribe(subscription);
        }
        let disabled = sync.track_sids_disabled;
        if disabled.len() > MAX_REMEMBERED {
            return self.refuse_long(&TooManyTracks);
        }
        let disabled: Vec<&str> = disabled.iter().map(String::as_str).collect();
        let room = self.room.state.lock();
        let subscriptions = &mut self.member.state.lock().subscriptions;
        let there = || room.track_sids();
        subscriptions
            .settings
            .change(&disabled, there, |it| it.disabled = true);
    }

    /// Refuses a message that names too much. It has no number, so the answer does not say which.
    fn refuse_long(&self, error: &dyn std::fmt::Display) {
        let reason = request_response::Reason::LimitExceeded;
        self.refuse(0, reason, &error.to_string(), None);
    }
}

impl Hall {
    /// Notes that a member wants to be subscribed to tracks, or not.
    ///
    /// # Errors
    /// [`TooManyTracks`]; nothing is noted then.
    pub(crate) fn subscribe_to(
        &self,
        room: &Arc<Room>,
        member: &Arc<Member>,
        tracks: &[String],
        of_participants: &[proto::ParticipantTracks],
        subscribe: bool,
    ) -> Result<(), TooManyTracks> {
        let nested = of_participants.iter().flat_map(|it| &it.track_sids);
        let named = tracks.iter().chain(nested).map(String::as_str);
        let named: Vec<&str> = named.take(MAX_REMEMBERED + 1).collect();
        if named.len() > MAX_REMEMBERED {
            return Err(TooManyTracks);
        }
        let mut unknown: HashSet<&str> = HashSet::new();
        {
            let room = room.state.lock();
            if subscribe {
                // All at once: a look for each through a large room's tracks would hold it up.
                unknown.extend(&named);
                for (_, it) in room.publications() {
                    unknown.remove(it.info.sid.as_str());
                }
            }
            let subscriptions = &mut member.state.lock().subscriptions;
            let there = || room.track_sids();
            subscriptions
                .wishes
                .change(&named, there, |wish| *wish = subscribe);
        }
        metrics::counter!("hive_signal_requests_refused_total", "reason" => "NOT_FOUND")
            .increment(unknown.len() as u64);
        for track_sid in unknown.into_iter().take(MAX_UNKNOWN) {
            member.tell(signal_response::Message::SubscriptionResponse(
                proto::SubscriptionResponse {
                    track_sid: track_sid.to_owned(),
                    err: proto::SubscriptionError::SeTrackNotfound.into(),
                },
            ));
        }
        member.changed();
        Ok(())
    }

    /// Has the media worker send a track as its subscriber wants it.
    pub(super) fn apply_settings(
        &self,
        room: &Arc<Room>,
        member: &Arc<Member>,
        track: TrackId,
        sid: &str,
    ) {
        let settings = member.state.lock().subscriptions.settings.get(sid).copied();
        let Some(settings) = settings else { return };
        let layers = room.state.lock().layers(sid);
        self.worker(room).set_playing(
            member.subscriber,
            track,
            super::quality::playing(&settings, &layers),
        );
    }

    /// Brings what a client receives in line with what it should.
    pub(super) async fn fit_subscriptions(
        self: &Arc<Self>,
        room: &Arc<Room>,
        member: &Arc<Member>,
    ) {
        let (wanted, denied) = wanted_and_denied(room, member);
        member.tell_denied(denied);
        let (short, gone) = {
            let subscriptions = &mut member.state.lock().subscriptions;
            let same = subscriptions.negotiated.len() == wanted.len()
                && wanted
                    .iter()
                    .all(|it| subscriptions.negotiated.contains_key(&it.track));
            // A client with two peer connections expects an offer even if there is nothing yet, as it
            // waits for its data channels.
            let first =
                member.topology == Topology::PublisherAndSubscriber && subscriptions.offer == 0;
            if (same && !first) || subscriptions.asked {
                return;
            }
            let gone: Vec<TrackId> = subscriptions
                .negotiated
                .keys()
                .filter(|track| !wanted.iter().any(|it| it.track == **track))
                .copied()
                .collect();
            if member.topology == Topology::Single && subscriptions.sections == (0, 0) && same {
                return;
            }
            let tracks: Vec<TrackId> = wanted.iter().map(|it| it.track).collect();
            if subscriptions.tried.0 != tracks {
                subscriptions.tried = (tracks, 0);
            }
            if subscriptions.tried.1 >= MAX_TRIES {
                return;
            }
            subscriptions.tried.1 += 1;
            subscriptions.asked = true;
            (sections_short(&wanted, subscriptions.sections), gone)
        };
        // What is not wanted any more is not sent while descriptions are exchanged.
        for track in gone {
            self.worker(room)
                .set_playing(member.subscriber, track, hive_media::Playing::OFF);
        }
        match member.topology {
            Topology::Single => {
                member.tell(signal_response::Message::MediaSectionsRequirement(
                    proto::MediaSectionsRequirement {
                        num_audios: short.0 as u32,
                        num_videos: short.1 as u32,
                    },
                ));
            }
            Topology::PublisherAndSubscriber => {
                offer_subscriber(self, room, member, false).await;
            }
        }
    }
}
