//! Two people who speak at once are both heard, both captioned and both interpreted.

#![allow(clippy::unwrap_used)]

mod meeting;

use std::time::{Duration, Instant};

use hive_loadtest::clock::Clock;
use hive_loadtest::peer::{EventsClient, Listener, Publisher};
use hive_loadtest::speech::flite::Voice;
use meeting::{LINK, finals, serve, speech, spoken, word_error_rate};

const ANN: &str = "Good morning. We have a lot of work to do and very little time.";
const BEN: &str = "The new project is ready and our customers like the first version.";

#[tokio::test(flavor = "multi_thread")]
async fn two_people_at_once_are_both_interpreted() {
    let server = serve("two-speakers", 2).await;
    let signalling = server.signalling();
    let clock = Clock::start();
    let events = EventsClient::follow(&signalling, "room", "reader", LINK.delay())
        .await
        .unwrap();
    let listen = |identity, lang, slots, salt| {
        Listener::join(
            &signalling,
            "room",
            identity,
            lang,
            slots,
            LINK.reseeded(salt),
        )
    };
    let floor = listen("floor", None, 2, 1).await.unwrap();
    let spanish = listen("spanish", Some("es"), 1, 2).await.unwrap();
    let join =
        |identity, salt| Publisher::join(&signalling, "room", identity, "en", LINK.reseeded(salt));
    let ann = join("ann", 3).await.unwrap();
    let ben = join("ben", 4).await.unwrap();

    let ann_says = speech(ANN, Voice::Slt, Duration::ZERO);
    let ben_says = speech(BEN, Voice::Rms, Duration::from_millis(400));
    let start = Instant::now() + Duration::from_millis(100);
    let (ann_sent, ben_sent) =
        tokio::join!(ann.speak(&ann_says, start), ben.speak(&ben_says, start));
    let sent = [ann_sent.unwrap().len(), ben_sent.unwrap().len()];
    spoken(&events, "ann", "es").await;
    spoken(&events, "ben", "es").await;

    let floor = floor.leave().await.unwrap();
    let mut received = floor
        .ssrcs()
        .iter()
        .map(|ssrc| floor.packets.iter().filter(|p| p.id.ssrc == *ssrc).count())
        .collect::<Vec<_>>();
    received.sort_unstable();
    // NACK mends most of what two links lose.
    assert_eq!(
        received.len(),
        2,
        "a stream for each speaker: {received:?} of {sent:?}"
    );
    assert!(
        received[0] * 100 > sent.iter().min().unwrap() * 95,
        "{received:?} of {sent:?}"
    );
    let played = spanish.leave().await.unwrap().play(&clock, 0.2).unwrap();
    let loudest = played[0]
        .pcm
        .iter()
        .fold(0.0_f32, |most, s| most.max(s.abs()));
    assert!(loudest > 0.05, "the channel is silent: {loudest}");

    let log = events.leave();
    assert_eq!(log.faults(), Vec::<String>::new());
    for (speaker, said) in [("ann", ANN), ("ben", BEN)] {
        let wer = word_error_rate(said, &finals(&log, speaker, "en"));
        assert!(wer <= 0.4, "{speaker}: {wer}");
        let spanish = finals(&log, speaker, "es");
        assert!(
            spanish
                .iter()
                .all(|c| c.text.as_ref().is_some_and(|t| !t.is_empty())),
            "{spanish:?}"
        );
    }
}
