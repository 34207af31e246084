//! Damaged input, from a seed.

use base64::{Engine, engine::general_purpose::URL_SAFE};
use hive_actors::livekit::proto::{
    AddTrackRequest, SessionDescription, SyncState, UpdateSubscription,
    signal_request::Message as Asked,
};
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::*;
use crate::livekit::fuzzing::{encoded, join_request, signal_request, websocket_frames};

/// Feeds `target` with seeds that were mutated: bytes changed, cut, doubled, spliced.
fn mutate(seeds: &[Vec<u8>], rounds: usize, target: impl Fn(&[u8])) {
    let mut random = StdRng::seed_from_u64(11);
    for _ in 0..rounds {
        let mut data = seeds[random.random_range(0..seeds.len())].clone();
        for _ in 0..random.random_range(0..6) {
            if data.is_empty() {
                break;
            }
            let at = random.random_range(0..data.len());
            match random.random_range(0..5) {
                0 => data[at] = random.random(),
                1 => data[at] ^= 1 << random.random_range(0..8),
                2 => data.truncate(at),
                3 => {
                    let end = random.random_range(at..data.len());
                    let copy = data[at..end].to_vec();
                    data.splice(at..at, copy);
                }
                _ => data[at] = [0, 0xFF, 0x7F, 0x80][random.random_range(0..4)],
            }
        }
        target(&data);
    }
}

#[test]
fn mutated_input_breaks_no_invariant() {
    let offer = SessionDescription {
        r#type: "offer".to_owned(),
        sdp: "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\n".to_owned(),
        id: 3,
        mid_to_track_id: [("0".to_owned(), "TR_x".to_owned())].into(),
    };
    let join = JoinRequest {
        metadata: "m".to_owned(),
        participant_attributes: [("hive.speaks".to_owned(), "en".to_owned())].into(),
        add_track_requests: vec![AddTrackRequest::default(); 3],
        publisher_offer: Some(offer.clone()),
        sync_state: Some(SyncState {
            offer: Some(offer.clone()),
            subscription: Some(UpdateSubscription::default()),
            ..SyncState::default()
        }),
        ..JoinRequest::default()
    };
    let packed: Vec<Vec<u8>> = [false, true]
        .into_iter()
        .map(|gzip| {
            URL_SAFE
                .decode(encode_join_request(&join, gzip))
                .expect("base64")
        })
        .collect();
    mutate(&packed, 10_000, |data| join_request(&URL_SAFE.encode(data)));
    let text = encode_join_request(&join, true).into_bytes();
    mutate(&[text], 2_000, |data| {
        if let Ok(text) = std::str::from_utf8(data) {
            join_request(text);
        }
    });
    let frames = [
        encoded(Asked::Offer(offer.clone())),
        encoded(Asked::SyncState(join.sync_state.unwrap_or_default())),
        encoded(Asked::Ping(1 << 40)),
    ];
    mutate(&frames, 20_000, signal_request);
    let wire = vec![
        0x82, 0x83, 1, 2, 3, 4, 5, 6, 7, 0x89, 0x80, 1, 2, 3, 4, 0x02, 0xfe, 0, 2, 1, 2, 3, 4, 8,
        9, 0x80, 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4, 7,
    ];
    mutate(&[wire], 20_000, websocket_frames);
}
