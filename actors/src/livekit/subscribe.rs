//! Subscriptions: what a client is to receive.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use hive_media::{MediaKind, TrackId};
use hive_models::Lang;

use super::Topology;
use super::client::Client;
use super::listeners::{may_receive, suits};
use super::member::Member;
use super::negotiation::{offer_subscriber, sections_short};
use super::permission::Allowed;
use super::proto::{self, request_response, signal_response};
use super::remembered::{MAX_REMEMBERED, TooManyTracks, TrackSettings};
use super::roster::{Publication, Visible};
use super::selection::{Reason, select};
use crate::hall::Hall;
use crate::room::{Participant, Room, RoomState};

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

/// What a client is to receive.
#[derive(Default)]
struct Share {
    wanted: Vec<Wanted>,
    /// What it would receive if the publishers let it: the participant of each track.
    denied: BTreeMap<Arc<str>, Arc<str>>,
    /// What it asked for and does not receive, as it receives enough already.
    left_out: Vec<Arc<str>>,
}

fn share(room: &Room, member: &Member) -> Share {
    let room = room.state.lock();
    let mut denied = BTreeMap::new();
    let own = room.participants.get(&member.identity);
    let Some(own) = own.filter(|own| own.profile.permission.can_subscribe) else {
        return Share::default();
    };
    let rule = Rule {
        room: &room,
        member,
        own,
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
            let reason = rule.reason(who, it, wish.is_some());
            let track = Wanted {
                track: it.track,
                kind: it.kind,
                sid: sid.clone(),
                participant,
            };
            wanted.push((reason, track));
        } else {
            denied.insert(sid.clone(), participant);
        }
    }
    let (wanted, left_out) = select(wanted);
    Share {
        wanted,
        denied,
        left_out,
    }
}

/// What a client is to receive.
pub(super) fn wanted(room: &Room, member: &Member) -> Vec<Wanted> {
    share(room, member).wanted
}

/// Decides what one client receives.
struct Rule<'a> {
    room: &'a RoomState,
    member: &'a Member,
    own: &'a Participant,
}

impl Rule<'_> {
    /// Whether the client wants the track, whoever lets it have it.
    fn wants(&self, who: Visible<'_>, it: &Publication, wish: Option<bool>) -> bool {
        if who.profile.permission.hidden {
            return false;
        }
        wish.unwrap_or_else(|| self.member.auto_subscribe && self.suits(it))
    }

    /// Why the client receives the track.
    fn reason(&self, who: Visible<'_>, it: &Publication, asked: bool) -> Reason {
        if asked {
            Reason::Asked
        } else if it.kind == MediaKind::Video {
            Reason::Picture
        } else if self.voice(it).is_some() {
            Reason::Voice
        } else {
            let publisher = self.room.participants.get(who.identity);
            Reason::Heard(Reverse(publisher.and_then(|who| who.spoke)))
        }
    }

    /// Whether the publisher lets the client have the track. What the interpreter makes of somebody's
    /// words is as much theirs.
    fn permitted(&self, who: Visible<'_>, it: &Publication) -> bool {
        if let Some((_, speaker)) = self.voice(it) {
            let speaker = self.room.participants.get(speaker);
            let mut microphones = speaker.into_iter().flat_map(Participant::microphones);
            return microphones
                .all(|of| may_receive(self.own, self.member, of.owner.as_ref(), &of.sid));
        }
        let publisher = self.room.participants.get(who.identity);
        let owner = publisher.and_then(|who| who.member.as_ref());
        may_receive(self.own, self.member, owner, &it.info.sid)
    }

    /// Of the interpreter's voices only those in a language that the client listens to, and not its
    /// own; a client that says nothing of languages gets what there is.
    fn suits(&self, it: &Publication) -> bool {
        let voice = self.voice(it);
        voice.is_none_or(|(lang, speaker)| suits(self.own, &self.member.identity, lang, speaker))
    }

    /// Of a track of the interpreter's, the language and whose words it says.
    fn voice(&self, it: &Publication) -> Option<(Lang, &Arc<str>)> {
        self.room.interpreter.as_ref()?.voice(&it.info.sid)
    }
}

impl Member {
    /// Tells the client what it asks for in vain, once, as it receives as much as it may.
    fn tell_left_out(&self, left_out: Vec<Arc<str>>) {
        let new: Vec<Arc<str>> = {
            let before = &mut self.state.lock().subscriptions.left_out;
            let new = left_out.iter().filter(|sid| !before.contains(*sid));
            let new = new.cloned().collect();
            *before = left_out;
            new
        };
        for sid in new {
            metrics::counter!("hive_signal_requests_refused_total", "reason" => "LIMIT_EXCEEDED")
                .increment(1);
            self.tell(signal_response::Message::SubscriptionResponse(
                proto::SubscriptionResponse {
                    track_sid: sid.to_string(),
                    err: proto::SubscriptionError::SeUnknown.into(),
                },
            ));
        }
    }

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
        // What nobody takes any more is not made.
        room.changed();
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
        let Share {
            wanted,
            denied,
            left_out,
        } = share(room, member);
        member.tell_denied(denied);
        member.tell_left_out(left_out);
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
