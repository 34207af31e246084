use bytes::Bytes;
use hive_media::TrackId;
use hive_models::Lang;
use parking_lot::Mutex;

use super::*;
use crate::events::EventBus;
use crate::events::schema::{EventBody, Speech, SpeechKind};
use crate::settings::ChannelSettings;

#[derive(Clone, Default)]
struct Wire(Arc<Mutex<Vec<(u32, usize)>>>);

impl FrameSink for Wire {
    fn write(&self, payload: Bytes, timestamp: u32, _: u8) {
        self.0.lock().push((timestamp, payload.len()));
    }
}

struct Fixture {
    channel: Channel,
    wire: Wire,
    events: tokio::sync::broadcast::Receiver<Arc<crate::events::schema::RoomEvent>>,
    start: Instant,
}

impl Fixture {
    fn new() -> Self {
        let bus = Arc::new(EventBus::new("room".into()));
        let (events, wire) = (bus.receiver(), Wire::default());
        let sink = Box::new(wire.clone());
        let channel = Channel::new(Lang::ES, TrackId(7), sink, bus, ChannelSettings::default());
        Fixture {
            channel,
            wire,
            events,
            start: Instant::now(),
        }
    }

    fn at(&self, ms: u64) -> Instant {
        self.start + Duration::from_millis(ms)
    }

    fn speech(&mut self) -> Vec<Speech> {
        let events = std::iter::from_fn(|| self.events.try_recv().ok());
        events
            .filter_map(|event| match &event.body {
                EventBody::Speech(speech) => Some(speech.clone()),
                _ => None,
            })
            .collect()
    }
}

fn clause(name: &str, source_end_ms: f64) -> SpokenClause {
    SpokenClause {
        clause: name.into(),
        utterance: "ann-1".into(),
        speaker: "ann".into(),
        source_end_ms,
        heard: None,
    }
}

#[test]
fn a_late_tick_catches_up_on_the_same_clock_and_a_very_late_one_skips() {
    let fixture = Fixture::new();
    let mut encoder = fixture.channel.encoder().expect("an encoder");
    assert_eq!(
        fixture.channel.tick(&mut encoder, fixture.at(0)),
        Some(fixture.at(20))
    );
    assert_eq!(
        fixture.channel.tick(&mut encoder, fixture.at(59)),
        Some(fixture.at(60))
    );
    let timestamps: Vec<u32> = fixture.wire.0.lock().iter().map(|frame| frame.0).collect();
    assert_eq!(timestamps, [0, 960, 1920]);
    // A restarted actor brings a fresh encoder and goes on with the same clock.
    let mut encoder = fixture.channel.encoder().expect("an encoder");
    assert_eq!(
        fixture.channel.tick(&mut encoder, fixture.at(10_000)),
        Some(fixture.at(10_020))
    );
    let frames = fixture.wire.0.lock().clone();
    assert_eq!(frames.len(), 3 + 10);
    assert_eq!(frames.last().map(|frame| frame.0), Some(500 * 960));
}

#[test]
fn a_clause_starts_in_the_next_frame_and_its_events_tell_the_wire_times() {
    let mut fixture = Fixture::new();
    let mut encoder = fixture.channel.encoder().expect("an encoder");
    fixture.channel.tick(&mut encoder, fixture.at(0));
    fixture
        .channel
        .speak(&clause("ann-1.0", 0.0), &[0.5; 1000], true);
    fixture.channel.tick(&mut encoder, fixture.at(60));
    let speech = fixture.speech();
    let kinds: Vec<SpeechKind> = speech.iter().map(|speech| speech.kind).collect();
    assert_eq!(kinds, [SpeechKind::Started, SpeechKind::Finished]);
    assert_eq!(speech[0].rtp, 960, "the first frame after it was given");
    let lasted = speech[1].ntp_ms - speech[0].ntp_ms;
    assert!((lasted - 999.0 / 48.0).abs() < 1e-3, "{lasted}");
    assert_eq!(speech[1].rtp - speech[0].rtp, 999);
}

#[test]
fn barge_in_fades_the_stale_clause_and_keeps_the_fresh_one() {
    let mut fixture = Fixture::new();
    let mut encoder = fixture.channel.encoder().expect("an encoder");
    fixture
        .channel
        .speak(&clause("ann-1.0", 1_000.0), &[0.5; 48_000], true);
    fixture
        .channel
        .speak(&clause("ann-2.0", 3_000.0), &[0.5; 4_800], true);
    fixture.channel.tick(&mut encoder, fixture.at(0));
    fixture
        .channel
        .cancel_stale(&"ann".into(), 2_000.0, &[clause("ann-1.1", 1_500.0)]);
    fixture.channel.tick(&mut encoder, fixture.at(20));
    let speech = fixture.speech();
    let told: Vec<(SpeechKind, &str)> = speech
        .iter()
        .map(|speech| (speech.kind, &*speech.clause))
        .collect();
    assert_eq!(told[0], (SpeechKind::Started, "ann-1.0"));
    assert!(
        told.contains(&(SpeechKind::Cancelled, "ann-1.0")),
        "within the next frame: {told:?}"
    );
    assert!(
        told.contains(&(SpeechKind::Cancelled, "ann-1.1")),
        "what only waited too: {told:?}"
    );
    assert!(
        !told.contains(&(SpeechKind::Cancelled, "ann-2.0")),
        "{told:?}"
    );
    assert_eq!(
        fixture.channel.backlog(&"ann".into()),
        Duration::from_millis(100 - 20)
    );
}

#[test]
fn a_speaker_who_left_is_interpreted_to_the_end_and_then_forgotten() {
    let fixture = Fixture::new();
    let mut encoder = fixture.channel.encoder().expect("an encoder");
    let ann: Arc<str> = "ann".into();
    fixture
        .channel
        .speak(&clause("ann-1.0", 0.0), &[0.5; 2 * 960], true);
    fixture.channel.leave(&ann);
    fixture.channel.tick(&mut encoder, fixture.at(0));
    assert_eq!(fixture.channel.backlog(&ann), Duration::from_millis(20));
    fixture.channel.tick(&mut encoder, fixture.at(40));
    assert_eq!(fixture.channel.backlog(&ann), Duration::ZERO);
    assert_eq!(fixture.channel.speakers(), 0);
}

#[test]
fn a_voice_sends_nothing_until_it_has_something_to_say_and_then_goes_on_with_the_clock() {
    let mut fixture = Fixture::new();
    let (bell, _ears) = crate::pipeline::bell::Bell::new("voices");
    fixture.channel = fixture.channel.resting(bell);
    let mut encoder = fixture.channel.encoder().expect("an encoder");
    let timestamps = |fixture: &Fixture| {
        let frames = std::mem::take(&mut *fixture.wire.0.lock());
        frames
            .into_iter()
            .map(|it| it.0 / 960)
            .collect::<Vec<u32>>()
    };
    assert!(fixture.channel.rests());
    fixture
        .channel
        .speak(&clause("ann-1.0", 0.0), &[0.5; 2 * 960], true);
    fixture.channel.tick(&mut encoder, fixture.at(0));
    let last = fixture.channel.tick(&mut encoder, fixture.at(1_000));
    assert_eq!(last, None, "it rests after some silence");
    let first = timestamps(&fixture);
    assert!(first.len() >= 10 && first.len() < 20, "{first:?}");
    assert_eq!(fixture.channel.tick(&mut encoder, fixture.at(2_000)), None);
    assert_eq!(timestamps(&fixture), [] as [u32; 0]);

    fixture
        .channel
        .speak(&clause("ann-2.0", 0.0), &[0.5; 960], true);
    let next = fixture.channel.tick(&mut encoder, fixture.at(5_000));
    assert_eq!(next, Some(fixture.at(5_020)));
    assert_eq!(timestamps(&fixture), [250], "5 s after the first");
}
