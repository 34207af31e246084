//! The simulated peers against a plain `webrtc` peer behind the smallest WHIP and WHEP there can be.

#![allow(clippy::unwrap_used)]

mod plain;

use std::time::{Duration, Instant};

use hive_loadtest::audio::opus::{Frame, encode_track};
use hive_loadtest::clock::Clock;
use hive_loadtest::http::HttpClient;
use hive_loadtest::link::LinkSettings;
use hive_loadtest::peer::{Listener, Publisher, Signalling};

fn frames(seconds: usize) -> Vec<Frame> {
    let pcm = (0..16_000 * seconds)
        .map(|n| 0.3 * (n as f32 * 0.05).sin() + 0.1 * (n as f32 * n as f32 * 1e-6).sin())
        .collect::<Vec<_>>();
    encode_track(&pcm, 5).unwrap()
}

fn link() -> LinkSettings {
    LinkSettings {
        loss: 0.02,
        delay_ms: 30.0,
        jitter_ms: 10.0,
        seed: 5,
        ..LinkSettings::ideal()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_publisher_sends_arrives_over_its_link() {
    let server = plain::Server::start(Vec::new()).await;
    let signalling = Signalling::new(HttpClient::new(server.authority.clone()), "key");
    let publisher = Publisher::join(&signalling, "room", "alice", "en", link())
        .await
        .unwrap();
    let frames = frames(2);
    let start = Instant::now() + Duration::from_millis(50);
    let sent = publisher.speak(&frames, start).await.unwrap();
    assert_eq!(sent.len(), frames.len());
    let traces = publisher.traces();
    server.received_at_least(frames.len() * 8 / 10).await;

    // The last packets may still be on their way.
    let counts = traces.lock().up.counts();
    assert!(counts.sent >= frames.len() * 9 / 10, "{counts:?}");
    // The link's delay is imposed on every packet that got across.
    assert!(traces.lock().up.delays_ms().iter().all(|ms| *ms >= 20.0));
    let payloads = server.payloads();
    let known = payloads
        .iter()
        .filter(|p| frames.iter().any(|f| f.payload == **p))
        .count();
    assert_eq!(known, payloads.len(), "payloads arrive unchanged");
    publisher.leave().await.unwrap();
    assert_eq!(server.deleted(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_writes_down_every_packet_and_places_it_by_the_senders_clock() {
    let frames = frames(4);
    let server = plain::Server::start(frames.iter().map(|f| f.payload.clone()).collect()).await;
    let signalling = Signalling::new(HttpClient::new(server.authority.clone()), "key");
    let clock = Clock::start();
    let listener = Listener::join(&signalling, "room", "eve", Some("es"), 1, link())
        .await
        .unwrap();
    plain::until(|| listener.received() > frames.len() * 9 / 10).await;
    let recording = listener.leave().await.unwrap();
    assert!(
        recording.packets.len() > frames.len() * 8 / 10,
        "{}",
        recording.packets.len()
    );

    // Two seconds into the stream by the sender's wall clock, to which its sender reports bind it.
    let began_unix_ms = server.began_unix_ms();
    let sound = began_unix_ms + 2000.0;
    let arrived = recording.arrival_of(sound, &clock).unwrap();
    let way = (arrived - clock.from_unix_ms(sound)) * 1000.0;
    assert!(
        way >= 15.0,
        "{way} ms after it was sent, over a link of 20 ms at least"
    );

    let played = recording.play(&clock, 0.1).unwrap();
    assert_eq!(played.len(), 1);
    let total = played[0].decoded + played[0].recovered + played[0].concealed;
    assert!(total > frames.len() * 9 / 10, "{total}");
}
