use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::audio::jitter::Release;
use crate::audio::netsim::{Link, Sent, correlation, send, voice};
use crate::audio::opus::{Encoder, EncoderConfig};
use crate::audio::{FRAME, RATE};

fn speech(seconds: usize) -> (Vec<f32>, Vec<Sent>) {
    let pcm = voice(seconds * RATE as usize, 9);
    let mut encoder = Encoder::new(EncoderConfig {
        expected_loss: 10,
        ..EncoderConfig::default()
    })
    .expect("encoder");
    let packets = pcm
        .as_chunks::<FRAME>()
        .0
        .iter()
        .enumerate()
        .map(|(n, frame)| Sent {
            at: n as f64 * 20.0,
            seq: 65_000u16.wrapping_add(n as u16),
            timestamp: 4_294_900_000u32.wrapping_add(n as u32 * 960),
            payload: encoder.encode(frame).expect("encodes"),
        })
        .collect();
    (pcm, packets)
}

/// Everything that came out, laid on the media clock.
#[derive(Default)]
struct Heard {
    pcm48: Vec<f32>,
    pcm16: Vec<f32>,
    concealed: usize,
}

fn hear(decoder: &mut SpeechDecoder, arrivals: &[EncodedFrame]) -> Heard {
    let mut heard = Heard::default();
    let mut now = arrivals[0].arrival;
    let mut queue = arrivals.iter().peekable();
    let end = arrivals.last().expect("some").arrival;
    while now <= end + Duration::from_millis(100) {
        while let Some(frame) = queue.next_if(|frame| frame.arrival <= now) {
            decoder.push(frame.clone(), now);
        }
        decoder.poll(now, &mut |decoded| {
            assert!(decoded.media_time48 as usize >= heard.pcm48.len());
            heard.pcm48.resize(decoded.media_time48 as usize, 0.0);
            heard.pcm48.extend_from_slice(decoded.pcm48);
            if !decoded.pcm16.is_empty() {
                assert!(decoded.media_time as usize >= heard.pcm16.len());
                heard.pcm16.resize(decoded.media_time as usize, 0.0);
                heard.pcm16.extend_from_slice(decoded.pcm16);
            }
            heard.concealed += usize::from(decoded.concealed);
        });
        now += Duration::from_millis(5);
    }
    heard
}

#[test]
fn both_rates_lie_on_one_clock() {
    let (_, packets) = speech(4);
    let arrivals = send(Link::default(), Instant::now(), &packets);
    let mut decoder = SpeechDecoder::new(JitterConfig::default()).expect("decoder");
    let heard = hear(&mut decoder, &arrivals);
    assert_eq!(heard.pcm48.len(), 4 * 48_000);
    assert_eq!(heard.concealed, 0);
    let mut aligned = Vec::new();
    let mut down = Down::new().expect("down");
    down.stream().push(&heard.pcm48, &mut aligned);
    assert_eq!(aligned, heard.pcm16);
    assert!(heard.pcm16.len() >= 4 * 16_000 - 80 - 160);
}

#[test]
fn speech_survives_loss_and_jitter_close_to_the_lossless_decoding() {
    let start = Instant::now();
    let (_, packets) = speech(20);
    let clean = hear(
        &mut SpeechDecoder::new(JitterConfig::default()).expect("decoder"),
        &send(Link::default(), start, &packets),
    );
    for (seed, loss, limit) in [(1, 0.02, 0.97), (2, 0.05, 0.93)] {
        let link = Link {
            seed,
            loss,
            jitter: 30.0,
            ..Link::default()
        };
        let arrivals = send(link, start, &packets);
        for release in [Release::InOrder, Release::Paced] {
            let config = JitterConfig {
                release,
                ..JitterConfig::default()
            };
            let mut decoder = SpeechDecoder::new(config).expect("decoder");
            let heard = hear(&mut decoder, &arrivals);
            let count = heard.pcm16.len().min(clean.pcm16.len());
            assert!(count > 19 * 16_000);
            let likeness = correlation(&clean.pcm16[..count], &heard.pcm16[..count]);
            assert!(
                likeness > limit,
                "{release:?} at {loss}: {likeness} {:?}",
                decoder.stats()
            );
        }
    }
}

#[test]
fn what_is_not_opus_is_concealed_and_counted() {
    let start = Instant::now();
    let (_, mut packets) = speech(2);
    for n in [20, 21, 50] {
        packets[n].payload = Bytes::from_static(&[0xff; 3]);
    }
    packets[60].payload = Bytes::new();
    let mut decoder = SpeechDecoder::new(JitterConfig::default()).expect("decoder");
    let heard = hear(&mut decoder, &send(Link::default(), start, &packets));
    assert_eq!(decoder.refused(), 4);
    assert_eq!(heard.concealed, 4);
    assert_eq!(heard.pcm48.len(), 2 * 48_000);
}

#[test]
fn a_source_that_starts_anew_is_heard_on_a_running_clock() {
    let start = Instant::now();
    let (_, packets) = speech(2);
    let mut arrivals = send(Link::default(), start, &packets);
    arrivals.extend(
        send(Link::default(), start + Duration::from_secs(5), &packets)
            .into_iter()
            .map(|mut frame| {
                frame.seq = frame.seq.wrapping_add(30_000);
                frame.timestamp = frame.timestamp.wrapping_add(1 << 30);
                frame
            }),
    );
    let mut decoder = SpeechDecoder::new(JitterConfig::default()).expect("decoder");
    let heard = hear(&mut decoder, &arrivals);
    assert_eq!(decoder.stats().restarts, 1);
    assert!(
        heard.pcm48.len().abs_diff(7 * 48_000) < 480,
        "{}",
        heard.pcm48.len()
    );
    let first = &heard.pcm48[9_600..90_000];
    let again = (5 * 48_000 - 480..5 * 48_000 + 480)
        .step_by(1)
        .map(|at| correlation(first, &heard.pcm48[at + 9_600..at + 90_000]))
        .fold(f64::MIN, f64::max);
    assert!(again > 0.98, "{again}");
}
