//! Events as they are posted.

use hive_actors::livekit::{LifecycleEvent, proto::WebhookEvent};
use rand::{Rng, rngs::StdRng};

/// What LiveKit makes its ids of: letters and digits that are not mistaken for each other.
const ALPHABET: &[u8] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// Where the ids of events come from: `EV_` and 12 characters by chance, 70 bits.
pub(super) struct Ids(StdRng);

impl Ids {
    pub(super) fn new(rng: StdRng) -> Self {
        Self(rng)
    }

    fn next(&mut self) -> String {
        let mut id = String::from("EV_");
        for _ in 0..12 {
            id.push(char::from(ALPHABET[self.0.random_range(0..ALPHABET.len())]));
        }
        id
    }

    /// An event in protobuf's words, the same for all receivers.
    pub(super) fn name(&mut self, event: LifecycleEvent) -> WebhookEvent {
        WebhookEvent {
            event: event.kind.as_str().to_owned(),
            room: Some(event.room),
            participant: event.participant,
            track: event.track,
            id: self.next(),
            created_at: event.created_at,
            ..WebhookEvent::default()
        }
    }
}

/// The body of a post: protobuf's JSON. `missed`: how many events the receiver was not told of before.
#[allow(
    deprecated,
    reason = "LiveKit fills in num_dropped still, and nothing has replaced it"
)]
pub(super) fn body(event: &WebhookEvent, missed: u32) -> serde_json::Result<Vec<u8>> {
    let event = WebhookEvent {
        num_dropped: i32::try_from(missed).unwrap_or(i32::MAX),
        ..event.clone()
    };
    serde_json::to_vec(&event)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hive_actors::livekit::{LifecycleKind, proto};
    use rand::SeedableRng;
    use serde_json::{Value, json};
    use std::collections::HashSet;

    #[test]
    fn an_event_is_posted_in_protobufs_json() {
        let event = LifecycleEvent {
            kind: LifecycleKind::TrackPublished,
            room: proto::Room {
                name: "demo".to_owned(),
                num_participants: 2,
                ..proto::Room::default()
            },
            participant: Some(proto::ParticipantInfo {
                identity: "ann".to_owned(),
                ..proto::ParticipantInfo::default()
            }),
            track: Some(proto::TrackInfo {
                sid: "TR_1".to_owned(),
                r#type: proto::TrackType::Video as i32,
                ..proto::TrackInfo::default()
            }),
            created_at: 1_800_000_000,
        };
        let mut event = Ids::new(StdRng::seed_from_u64(1)).name(event);
        event.id = "EV_1".to_owned();
        let posted: Value = serde_json::from_slice(&body(&event, 0).expect("JSON")).expect("JSON");
        assert_eq!(
            posted,
            json!({
                "event": "track_published",
                "room": { "name": "demo", "numParticipants": 2 },
                "participant": { "identity": "ann" },
                "track": { "sid": "TR_1", "type": "VIDEO" },
                "id": "EV_1",
                "createdAt": "1800000000",
            })
        );
        let posted: Value = serde_json::from_slice(&body(&event, 3).expect("JSON")).expect("JSON");
        assert_eq!(posted["numDropped"], 3);
    }

    #[test]
    fn ids_are_told_apart() {
        let mut ids = Ids::new(StdRng::seed_from_u64(1));
        let made: HashSet<_> = (0..1000).map(|_| ids.next()).collect();
        assert_eq!(made.len(), 1000);
        assert!(
            made.iter()
                .all(|id| id.starts_with("EV_") && id.len() == 15)
        );
    }
}
