//! Who speaks, and how well everybody is connected.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hive_media::{PeerId, PeerStats};

use super::member::Member;
use super::proto::{self, ConnectionQuality, signal_response};
use crate::hall::Hall;
use crate::room::Room;

/// How often clients are told of loudness alone.
const LOUDNESS_INTERVAL: Duration = Duration::from_millis(400);

impl Hall {
    /// Tells the clients of a room who speaks, of whom that changed.
    pub(crate) fn tell_speakers(&self, room: &Arc<Room>, speakers: &[(Arc<str>, u8)]) {
        let (changed, members) = {
            let mut state = room.state.lock();
            let now: HashMap<Arc<str>, f32> = speakers
                .iter()
                .filter_map(|(identity, dbov)| {
                    let who = state.participants.get(identity)?;
                    Some((who.profile.sid.clone(), loudness(*dbov)))
                })
                .collect();
            let now_at = Instant::now();
            for (identity, _) in speakers {
                if let Some(who) = state.participants.get_mut(identity) {
                    who.spoke = Some(now_at);
                }
            }
            let same = now.len() == state.speaking.len()
                && now.keys().all(|sid| state.speaking.contains_key(sid));
            // Who speaks is told at once, how loud now and then.
            let recent = state
                .speaking_told
                .is_some_and(|at| now_at.saturating_duration_since(at) < LOUDNESS_INTERVAL);
            if same && recent {
                return;
            }
            state.speaking_told = Some(now_at);
            let before = std::mem::replace(&mut state.speaking, now.clone());
            let info = |sid: &Arc<str>, level: f32, active| proto::SpeakerInfo {
                sid: sid.to_string(),
                level,
                active,
            };
            let silent = before.keys().filter(|sid| !now.contains_key(*sid));
            let changed: Vec<_> = now
                .iter()
                .filter(|(sid, level)| before.get(*sid) != Some(level))
                .map(|(sid, level)| info(sid, *level, true))
                .chain(silent.map(|sid| info(sid, 0.0, false)))
                .collect();
            (changed, state.members().cloned().collect::<Vec<_>>())
        };
        if changed.is_empty() {
            return;
        }
        for member in members {
            member.tell(signal_response::Message::SpeakersChanged(
                proto::SpeakersChanged {
                    speakers: changed.clone(),
                },
            ));
        }
    }

    /// Tells the clients of a room how well everybody is connected, of whom that changed; who is new is told of
    /// everybody.
    pub(crate) fn tell_quality(&self, room: &Arc<Room>, stats: &HashMap<PeerId, &PeerStats>) {
        let (all, changed, members) = {
            let mut state = room.state.lock();
            let now: HashMap<Arc<str>, ConnectionQuality> = state
                .members()
                .filter_map(|member| {
                    let worst = member
                        .peers()
                        .filter_map(|peer| stats.get(&peer))
                        // One that is still connecting has not lost anything.
                        .filter(|stats| stats.connected)
                        .map(|stats| quality(stats))
                        .min_by_key(|quality| rank(*quality))?;
                    Some((member.sid.clone(), worst))
                })
                .collect();
            let before = std::mem::replace(&mut state.quality, now.clone());
            let changed = now
                .iter()
                .filter(|(sid, quality)| before.get(*sid) != Some(quality));
            let changed: Vec<_> = changed.map(quality_info).collect();
            let all: Vec<_> = now.iter().map(quality_info).collect();
            let members: Vec<_> = state.members().cloned().collect();
            (all, changed, members)
        };
        for member in members {
            member.tell_quality(&all, &changed);
        }
    }
}

impl Member {
    /// Tells how well others are connected: a client that was told nothing yet of all, others of whom
    /// it changed.
    fn tell_quality(
        &self,
        all: &[proto::ConnectionQualityInfo],
        changed: &[proto::ConnectionQualityInfo],
    ) {
        let updates = {
            let mut state = self.state.lock();
            if std::mem::replace(&mut state.told_quality, !all.is_empty()) {
                changed
            } else {
                all
            }
        };
        if updates.is_empty() {
            return;
        }
        self.tell(signal_response::Message::ConnectionQuality(
            proto::ConnectionQualityUpdate {
                updates: updates.to_vec(),
            },
        ));
    }
}

fn quality_info((sid, quality): (&Arc<str>, &ConnectionQuality)) -> proto::ConnectionQualityInfo {
    proto::ConnectionQualityInfo {
        participant_sid: sid.to_string(),
        quality: (*quality).into(),
        score: score(*quality),
    }
}

/// 0 to 1, as LiveKit's clients draw it: −dBov on a linear scale.
fn loudness(dbov: u8) -> f32 {
    10_f32.powf(-f32::from(dbov) / 20.0)
}

/// From the loss that was left after retransmission, and the round trip. The bounds are those from
/// which people begin to notice (ITU-T G.107's R of 80 and 70 for Opus, with its usual delays).
fn quality(stats: &PeerStats) -> ConnectionQuality {
    let expected = stats.recent_packets.max(1) as f64;
    let loss = stats.recent_lost as f64 / expected;
    let rtt = stats.rtt_ms.unwrap_or(0.0);
    if stats.silent_for.as_secs() >= 4 {
        ConnectionQuality::Lost
    } else if loss > 0.10 || rtt > 600.0 {
        ConnectionQuality::Poor
    } else if loss > 0.03 || rtt > 300.0 {
        ConnectionQuality::Good
    } else {
        ConnectionQuality::Excellent
    }
}

fn rank(quality: ConnectionQuality) -> u8 {
    match quality {
        ConnectionQuality::Lost => 0,
        ConnectionQuality::Poor => 1,
        ConnectionQuality::Good => 2,
        ConnectionQuality::Excellent => 3,
    }
}

fn score(quality: ConnectionQuality) -> f32 {
    match quality {
        ConnectionQuality::Lost => 0.0,
        ConnectionQuality::Poor => 2.0,
        ConnectionQuality::Good => 3.5,
        ConnectionQuality::Excellent => 4.8,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Topology;
    use super::*;

    #[tokio::test]
    async fn a_newcomer_is_told_how_all_are_connected_and_then_what_changes() {
        let peer = PeerId(1);
        let (identity, sid) = ("ann".into(), "PA_ann".into());
        let member = Member::new(identity, sid, Topology::Single, peer, peer, true);
        let link = member.connect();
        let info = |sid: &str| quality_info((&sid.into(), &ConnectionQuality::Good));
        let both = [info("PA_ann"), info("PA_bob")];
        let told = async || match member.next(link).await {
            Some(signal_response::Message::ConnectionQuality(told)) => told.updates,
            other => panic!("{other:?}"),
        };
        member.tell_quality(&[], &[]);
        member.tell_quality(&both, &[]);
        assert_eq!(told().await, both);
        member.tell_quality(&both, &both[1..]);
        assert_eq!(told().await, both[1..]);

        let link = member.reconnect().expect("the member is here");
        member.tell_quality(&both, &[]);
        let first = member.next(link).await;
        assert!(matches!(
            first,
            Some(signal_response::Message::Reconnect(_))
        ));
        assert!(matches!(
            member.next(link).await,
            Some(signal_response::Message::ConnectionQuality(told)) if told.updates == both
        ));
    }
}
