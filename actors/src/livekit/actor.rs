//! The actor of a participant's client: tells it what changed, and brings what it receives in line
//! with what it should. Like the room's actor it compares instead of carrying out orders, so it may
//! die at any moment.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::admission::RESUME_WINDOW;
use super::member::{Member, Told};
use super::proto::{self, DisconnectReason, participant_info, signal_response};
use crate::hall::Hall;
use crate::pipeline::stage::{self, Listening, StageError};
use crate::room::Room;
use crate::supervision::{ChildContext, ChildSpec};

/// How often a client is looked at when nothing changes.
const LOOK: Duration = Duration::from_secs(1);

/// The id of a member's actor among its participant's children.
pub(crate) fn id(member: &Member) -> String {
    format!("client:{}", member.sid)
}

/// The actor of a member.
pub(crate) fn spec(hall: Arc<Hall>, room: Arc<Room>, member: Arc<Member>) -> ChildSpec {
    stage::spec(id(&member), move |child| {
        run(hall.clone(), room.clone(), member.clone(), child)
    })
}

async fn run(
    hall: Arc<Hall>,
    room: Arc<Room>,
    member: Arc<Member>,
    child: ChildContext,
) -> Result<(), StageError> {
    let mut listening = Listening::new(Some(member.ears.clone()), &child)?;
    loop {
        let (cut, over) = {
            let state = member.state.lock();
            (state.cut, state.over)
        };
        if over {
            // The participant's actor ends this one.
            return std::future::pending().await;
        }
        match cut {
            Some(since) if since.elapsed() >= RESUME_WINDOW => {
                hall.dismiss(&room, &member, DisconnectReason::SignalClose, None);
            }
            Some(_) => {}
            None => {
                tell_changes(&room, &member);
                hall.fit_subscriptions(&room, &member).await;
            }
        }
        tokio::select! {
            ring = listening.ring() => ring?,
            () = tokio::time::sleep_until((Instant::now() + LOOK).into()) => {}
        }
    }
}

/// Tells a client of everybody who came, changed or went since it was told last.
fn tell_changes(room: &Room, member: &Member) {
    let mut participants = Vec::new();
    let mut room_update = None;
    {
        let room_state = room.state.lock();
        let mut state = member.state.lock();
        let version = room_state.profile.version;
        if std::mem::replace(&mut state.told_room, version) != version {
            room_update = Some(room_state.view(&room.name));
        }
        let mut present = HashSet::new();
        let hidden_self = room_state
            .participants
            .get(&member.identity)
            .filter(|own| own.profile.permission.hidden)
            .map(|own| own.seen(&member.identity));
        for who in room_state.visible().chain(hidden_self) {
            let (sid, version) = (&who.profile.sid, who.profile.version);
            present.insert(sid.clone());
            let known = state.told.get(sid).map(|told| told.version);
            if known != Some(version) {
                participants.push(who.view());
                let identity = who.identity.to_string();
                state.told.insert(sid.clone(), Told { identity, version });
            }
        }
        if state.told.len() != present.len() {
            state.told.retain(|sid, told| {
                let here = present.contains(sid);
                if !here {
                    let version = told.version + 1;
                    let departed = &room_state.departed;
                    participants.push(departed.view(sid, &told.identity, version));
                }
                here
            });
        }
    }
    // Those who went come first: somebody may be back under the same identity.
    participants.sort_by_key(|who| who.state != i32::from(participant_info::State::Disconnected));
    if !participants.is_empty() {
        member.tell(signal_response::Message::Update(proto::ParticipantUpdate {
            participants,
        }));
    }
    if room_update.is_some() {
        member.tell(signal_response::Message::RoomUpdate(proto::RoomUpdate {
            room: room_update,
        }));
    }
}

#[cfg(test)]
mod tests {
    use hive_media::{PeerId, RoomId};

    use super::super::Topology;
    use super::*;
    use crate::room::Listening;

    #[tokio::test]
    async fn those_who_went_are_told_as_they_were_before_those_who_came() {
        let room = Room::new("demo".into(), RoomId(1), 0, Instant::now());
        let come = |who: &str, name: &str, peer| {
            let mut state = room.state.lock();
            let participant = state.participant(&who.into(), Some(name.to_owned()));
            let listening = Listening { lang: None };
            participant.listening.insert(PeerId(peer), listening);
        };
        let (identity, sid, peer) = ("eve".into(), "PA_eve".into(), PeerId(9));
        let member = Member::new(identity, sid, Topology::Single, peer, peer, true);
        let link = member.connect();
        let told = async || loop {
            tell_changes(&room, &member);
            match member.next(link).await {
                Some(signal_response::Message::Update(update)) => return update.participants,
                Some(signal_response::Message::RoomUpdate(_)) => {}
                other => panic!("{other:?}"),
            }
        };
        come("bob", "Bob", 1);
        assert_eq!(told().await.len(), 1);

        {
            let state = &mut *room.state.lock();
            let bob = state.participants.remove("bob").expect("bob is here");
            let reason = DisconnectReason::ParticipantRemoved;
            state.departed.note(&bob.seen(&"bob".into()), reason);
        }
        come("ann", "Ann", 2);
        let told = told().await;
        let named: Vec<_> = told.iter().map(|who| (&*who.name, who.state())).collect();
        let (gone, here) = (
            participant_info::State::Disconnected,
            participant_info::State::Active,
        );
        assert_eq!(named, [("Bob", gone), ("Ann", here)]);
        let reason = told[0].disconnect_reason();
        assert_eq!(reason, DisconnectReason::ParticipantRemoved);
    }
}
