//! Packets in, packets out.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::engine::{Role, Subscription};
use crate::ids::PeerId;
use crate::rtcp::read::RtcpItem;
use crate::rtcp::write::Compound;
use crate::rtp::header::Header;
use crate::testing::{LEVEL_ID, Net, Offering, ROOM};

fn nack(ssrc: u32, missing: &[u16]) -> Vec<u8> {
    let mut buffer = [0; 256];
    let mut compound = Compound::new(&mut buffer);
    compound.receiver_report(1, &[]);
    compound.nack(1, ssrc, missing);
    let len = compound.len();
    buffer[..len].to_vec()
}

#[test]
fn a_publisher_is_asked_for_what_was_lost_and_the_answer_is_forwarded() {
    let mut net = Net::new();
    let publisher = net.publisher();
    let listener = net.listener(1);
    net.speak(publisher, 0, 5, 30);
    // 5 and 6 are lost on the way in.
    net.clients[publisher].send_audio(5, 5 * 960, 30, &[5; 40]);
    let lost = net.clients[publisher].outbox.pop_back().unwrap();
    net.run(Duration::from_millis(20));
    net.clients[publisher].send_audio(6, 6 * 960, 30, &[6; 40]);
    net.clients[publisher].outbox.pop_back().unwrap();
    net.run(Duration::from_millis(20));
    net.speak(publisher, 7, 1, 30);
    net.run(Duration::from_millis(20));
    let asked: Vec<_> = net.clients[publisher]
        .rtcp
        .iter()
        .filter_map(|(_, item)| match item {
            RtcpItem::Nack {
                media_ssrc,
                first,
                following,
            } => Some((*media_ssrc, *first, *following)),
            _ => None,
        })
        .collect();
    assert_eq!(asked[0], (0x1111, 5, 1));
    net.clients[publisher].outbox.push_back(lost);
    net.run(Duration::from_millis(500));
    let payloads: Vec<u8> = net.clients[listener]
        .heard
        .iter()
        .map(|heard| heard.payload()[0])
        .collect();
    assert_eq!(payloads, [0, 1, 2, 3, 4, 7, 5]);
    let stats = net.engine.stats(net.now.mono);
    let publisher = &stats.peers[publisher];
    assert_eq!((publisher.recovered, publisher.lost_in), (1, 1));
    // Both once, then 6 again until the request is too old.
    assert!((3..=6).contains(&publisher.nacks_sent), "{publisher:?}");
}

#[test]
fn a_listener_gets_again_what_it_asks_for() {
    let mut net = Net::new();
    let publisher = net.publisher();
    let listener = net.listener(1);
    let ssrc = net.clients[listener].slots[0];
    let mut count = 0;
    net.lose = Box::new(move |_, _| {
        count += 1;
        count == 3 || count == 5
    });
    net.speak(publisher, 0, 8, 30);
    net.lose = Box::new(|_, _| false);
    let first = net.clients[listener].heard[0].header.seq;
    assert_eq!(net.clients[listener].heard.len(), 6);
    net.clients[listener].send_rtcp(&nack(ssrc, &[first + 2, first + 4]));
    net.exchange();
    let heard = &net.clients[listener].heard;
    let again: Vec<_> = heard[6..]
        .iter()
        .map(|heard| (heard.header.seq, heard.payload()[0]))
        .collect();
    assert_eq!(again, [(first + 2, 2), (first + 4, 4)]);
    // What was never sent, another stream, and a storm of requests bring nothing.
    net.clients[listener].send_rtcp(&nack(ssrc, &[first + 100]));
    net.clients[listener].send_rtcp(&nack(ssrc + 1, &[first]));
    net.exchange();
    assert_eq!(net.clients[listener].heard.len(), 8);
    for _ in 0..100 {
        net.clients[listener].send_rtcp(&nack(ssrc, &[first, first + 1, first + 2]));
    }
    net.exchange();
    assert!(net.engine.totals().retransmitted <= 25);
}

#[test]
fn without_negotiation_there_is_no_nack() {
    let mut net = Net::new();
    let quiet = Offering {
        nack: false,
        ..Offering::PUBLISH
    };
    let (publisher, _) = net.connect(quiet, Role::Publish);
    net.speak(publisher, 0, 2, 30);
    net.speak(publisher, 5, 2, 30);
    net.run(Duration::from_millis(500));
    assert_eq!(net.engine.stats(net.now.mono).peers[0].nacks_sent, 0);
}

#[test]
fn a_source_that_restarts_under_another_ssrc_goes_on_seamlessly() {
    let mut net = Net::new();
    let publisher = net.publisher();
    let listener = net.listener(1);
    for (ssrc, seq, timestamp) in [
        (1u32, 65_534u16, 10u32),
        (1, 65_535, 970),
        (1, 0, 1930),
        (2, 40_000, 4_000_000),
        (2, 40_001, 4_000_960),
        (1, 1, 2890),
    ] {
        net.clients[publisher].send_audio_as(ssrc, seq, timestamp, 30, &[7; 20]);
        net.run(Duration::from_millis(20));
    }
    let heard = &net.clients[listener].heard;
    let first = heard[0].header;
    let numbers: Vec<_> = heard
        .iter()
        .map(|heard| {
            (
                heard.header.seq.wrapping_sub(first.seq),
                heard.header.timestamp.wrapping_sub(first.timestamp),
            )
        })
        .collect();
    assert_eq!(numbers, [(0, 0), (1, 960), (2, 1920), (3, 2880), (4, 3840)]);
}

#[test]
fn a_language_channel_reaches_its_listeners_only() {
    let mut net = Net::new();
    let now = net.now;
    let channel = net.engine.add_source(&now, ROOM);
    let publisher = net.publisher();
    let floor = net.listener(1);
    let (spanish, _) = net.connect(
        Offering::listen(2),
        Role::Listen(Subscription::Source(channel)),
    );
    assert_eq!(
        net.clients[spanish].slots.len(),
        1,
        "a channel is one stream"
    );
    for step in 0..5u32 {
        net.clients[publisher].send_audio(step as u16, step * 960, 30, &[1; 40]);
        let payload = Bytes::from(vec![2; 40]);
        let now = net.now;
        net.engine
            .write_source(&now, channel, &payload, step * 960, 25, &mut net.wire);
        net.run(Duration::from_millis(20));
    }
    let payloads = |client: usize| -> Vec<u8> {
        net.clients[client]
            .heard
            .iter()
            .map(|heard| heard.payload()[0])
            .collect()
    };
    assert_eq!(payloads(floor), [1; 5]);
    assert_eq!(payloads(spanish), [2; 5]);
    // It falls silent for a second.
    let now = net.now;
    let payload = Bytes::from(vec![2; 40]);
    net.engine
        .write_source(&now, channel, &payload, 54 * 960, 25, &mut net.wire);
    net.exchange();
    let heard = &net.clients[spanish].heard;
    let markers: Vec<bool> = heard.iter().map(|it| it.header.marker).collect();
    assert_eq!(markers, [true, false, false, false, false, true]);
    let step = |at: usize| {
        let (before, it) = (&heard[at - 1].header, &heard[at].header);
        assert_eq!(it.seq, before.seq.wrapping_add(1));
        it.timestamp.wrapping_sub(before.timestamp)
    };
    assert_eq!([step(4), step(5)], [960, 50 * 960]);
    let packet = &net.clients[spanish].heard[1];
    let block = packet.header.extension.unwrap();
    assert_eq!(
        crate::rtp::extension::find(&packet.bytes, &block, LEVEL_ID),
        Some(&[25][..])
    );
    // A channel actor that restarts brings a new track; its listeners move over.
    net.engine.remove_source(channel);
    let now = net.now;
    let again = net.engine.add_source(&now, ROOM);
    net.engine
        .subscribe(PeerId(spanish as u64), Subscription::Source(again))
        .unwrap();
    net.engine.write_source(
        &now,
        again,
        &Bytes::from(vec![3; 40]),
        77,
        25,
        &mut net.wire,
    );
    net.exchange();
    let heard = &net.clients[spanish].heard;
    assert_eq!(heard[6].payload(), [3; 40]);
    assert_eq!(heard[6].header.seq, heard[5].header.seq.wrapping_add(1));
}

#[test]
fn taps_get_every_packet_and_may_fail() {
    let mut net = Net::new();
    let (publisher, accepted) = net.connect(Offering::PUBLISH, Role::Publish);
    let listener = net.listener(1);
    let frames = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&frames);
    net.engine.tap(
        accepted.tracks[0],
        Some(Box::new(move |frame| sink.lock().push(frame))),
    );
    net.speak(publisher, 9, 3, 30);
    {
        let frames = frames.lock();
        let seqs: Vec<u16> = frames.iter().map(|frame| frame.seq).collect();
        assert_eq!(seqs, [9, 10, 11]);
        assert_eq!(frames[1].timestamp, 9600);
        assert_eq!(frames[1].payload[..], [10; 40]);
    }
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    net.engine.tap(
        accepted.tracks[0],
        Some(Box::new(move |_| {
            counter.fetch_add(1, Ordering::Relaxed);
            panic!("a consumer's defect");
        })),
    );
    net.speak(publisher, 12, 3, 30);
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    assert_eq!(net.engine.totals().taps_failed, 1);
    assert_eq!(net.clients[listener].heard.len(), 6);
}

#[test]
fn a_listener_who_joins_late_starts_at_once() {
    let mut net = Net::new();
    let publisher = net.publisher();
    net.speak(publisher, 65_500, 100, 30);
    let listener = net.listener(1);
    net.speak(publisher, 64, 3, 30);
    let heard = &net.clients[listener].heard;
    assert_eq!(heard.len(), 3);
    let header: &Header = &heard[0].header;
    assert!(header.marker);
    assert!(header.seq < 0x8000, "room before the first rollover");
}
