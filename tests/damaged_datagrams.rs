//! Packets that arrive twice, cut short or changed on the way are dropped, and nobody else notices.

#![allow(clippy::unwrap_used)]

mod meeting;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use hive_loadtest::link::LinkSettings;
use hive_loadtest::peer::{Listener, Publisher};
use hive_loadtest::speech::flite::Voice;
use meeting::{serve, speech};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_replayed_or_damaged_is_not_forwarded() {
    let server = serve("damaged", 2).await;
    let signalling = server.signalling();
    let ideal = LinkSettings::ideal();
    let bad = LinkSettings {
        duplicate: 0.2,
        corrupt: 0.1,
        delay_ms: 5.0,
        ..ideal
    };
    let floor = Listener::join(&signalling, "room", "floor", None, 2, ideal)
        .await
        .unwrap();
    let ann = Publisher::join(&signalling, "room", "ann", "en", bad)
        .await
        .unwrap();
    let ben = Publisher::join(&signalling, "room", "ben", "en", ideal.reseeded(1))
        .await
        .unwrap();

    let say = |text, voice| speech(text, voice, Duration::ZERO);
    let ann_says = say(
        "She has a very bad line today, and it gets worse.",
        Voice::Slt,
    );
    let ben_says = say(
        "His line is good, and nobody complains about it.",
        Voice::Rms,
    );
    let start = Instant::now() + Duration::from_millis(100);
    let (ann_sent, ben_sent) =
        tokio::join!(ann.speak(&ann_says, start), ben.speak(&ben_says, start));
    let damaged = ann.traces().lock().up.counts();
    assert!(damaged.lost > 0, "the link does nothing: {damaged:?}");
    let (ann_sent, ben_sent) = (ann_sent.unwrap().len(), ben_sent.unwrap().len());
    meeting::until("the last packet", async || {
        floor.received() >= ben_sent + ann_sent * 9 / 10
    })
    .await;

    let recording = floor.leave().await.unwrap();
    let mut seen = HashMap::new();
    for packet in &recording.packets {
        let says = seen.entry(packet.id.ssrc).or_insert_with(HashMap::new);
        let before = says.insert(packet.id.seq, packet.payload.clone());
        assert_eq!(before, None, "forwarded twice");
    }
    assert_eq!(seen.len(), 2);
    let all_of = |frames: &[hive_loadtest::audio::opus::Frame]| {
        let payloads = frames
            .iter()
            .map(|frame| &frame.payload)
            .collect::<Vec<_>>();
        seen.values()
            .any(|says| says.values().all(|payload| payloads.contains(&payload)))
    };
    assert!(
        all_of(&ann_says) && all_of(&ben_says),
        "a payload changed on the way"
    );
}
