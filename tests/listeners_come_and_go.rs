//! Listeners who join and leave in the middle of an utterance get what they asked for and disturb nobody.

#![allow(clippy::unwrap_used)]

mod meeting;

use std::time::{Duration, Instant};

use hive_loadtest::audio::FRAME;
use hive_loadtest::clock::Clock;
use hive_loadtest::link::LinkSettings;
use hive_loadtest::peer::{EventsClient, Listener, Publisher};
use hive_loadtest::speech::flite::Voice;
use meeting::{serve, speech, spoken, until};

const LONG: &str = "We have a lot of work to do and very little time because the first version of the \
    project is ready and our customers like it and most of them work in small companies in the south \
    of the country and they think that the price is too high";

#[tokio::test(flavor = "multi_thread")]
async fn listeners_come_and_go_in_the_middle_of_an_utterance() {
    // Nothing is lost on the way, so a hole in what is received would be the server's.
    let link = LinkSettings::ideal();
    let server = serve("listeners", 1).await;
    let signalling = server.signalling();
    let clock = Clock::start();
    let events = EventsClient::follow(&signalling, "room", "reader", Duration::ZERO)
        .await
        .unwrap();
    let listen = |identity, lang| Listener::join(&signalling, "room", identity, lang, 1, link);
    let steady = listen("steady", Some("es")).await.unwrap();
    let ann = Publisher::join(&signalling, "room", "ann", "en", link)
        .await
        .unwrap();

    let frames = speech(LONG, Voice::Slt, Duration::ZERO);
    let seconds = frames.len() as f64 / 50.0;
    let start = Instant::now() + Duration::from_millis(100);
    let at = |share: f64| {
        tokio::time::sleep_until((start + Duration::from_secs_f64(seconds * share)).into())
    };
    let (sent, (floor, passing)) = tokio::join!(ann.speak(&frames, start), async {
        at(0.2).await;
        let floor = listen("floor", None).await.unwrap();
        let passing = listen("passing", Some("es")).await.unwrap();
        at(0.5).await;
        let floor = floor.leave().await.unwrap();
        at(0.7).await;
        (floor, passing.leave().await.unwrap())
    });
    let sent = sent.unwrap().len();
    spoken(&events, "ann", "es").await;

    // The floor for 0.3 and the channel for 0.5 of the time, less what joining takes.
    assert!(
        floor.packets.len() > sent / 8,
        "{} of {sent}",
        floor.packets.len()
    );
    assert!(
        passing.packets.len() > sent / 4,
        "{} of {sent}",
        passing.packets.len()
    );

    let steady = steady.leave().await.unwrap();
    let mut frames = steady
        .packets
        .iter()
        .map(|p| p.timestamp)
        .collect::<Vec<_>>();
    frames.sort_unstable();
    let odd = frames
        .windows(2)
        .find(|pair| pair[1] - pair[0] != FRAME as i64);
    assert_eq!(odd, None, "the channel skipped or repeated a frame");
    let played = steady.play(&clock, 0.2).unwrap();
    assert_eq!(played.len(), 1);
    assert_eq!(played[0].concealed, 0);

    // Ann is still there and so is the reader of captions, but nobody who asked for Spanish.
    until("an end of the translation for nobody", async || {
        let tree = server.supervision().await.unwrap().to_string();
        tree.contains("stt") && !tree.contains("mt:es")
    })
    .await;
}
