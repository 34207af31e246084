//! The buffer on simulated links, in virtual time.

mod network;
mod source;

use bytes::Bytes;
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::*;
use crate::audio::netsim::{Link, Sent, send, stream};

/// A 20 ms SILK wide-band packet that says it carries redundancy (mono, LBRR bit set).
const WITH_FEC: Bytes = Bytes::from_static(&[9 << 3, 0x40, 1, 2, 3]);
/// The same without redundancy.
const PLAIN: Bytes = Bytes::from_static(&[9 << 3, 0x00, 1, 2, 3]);
/// A comfort-noise marker of 20 ms.
const DTX: Bytes = Bytes::from_static(&[9 << 3]);

/// First timestamp where it does not matter, close before it wraps.
const FIRST: u32 = u32::MAX - 50_000;

fn ms(value: u64) -> Duration {
    Duration::from_millis(value)
}

/// One thing played, and when.
#[derive(Debug, Clone)]
struct Played {
    at: Instant,
    what: Playout,
}

/// Plays arrivals in virtual time, polling exactly when the buffer asks and when packets come;
/// goes on for `tail` after the last packet.
fn play(buffer: &mut JitterBuffer, arrivals: &[EncodedFrame], tail: Duration) -> Vec<Played> {
    let mut out = Vec::new();
    let Some(last) = arrivals.last() else {
        return out;
    };
    let end = last.arrival + tail;
    let mut now = arrivals[0].arrival;
    let mut queue = arrivals.iter().peekable();
    loop {
        let wake = buffer.next_at().map(|at| at.max(now));
        let packet = queue.peek().map(|frame| frame.arrival);
        let Some(next) = wake.into_iter().chain(packet).min() else {
            break;
        };
        if next > end {
            break;
        }
        now = next;
        if packet == Some(now)
            && let Some(frame) = queue.next()
        {
            buffer.push(frame.clone(), now);
        }
        let mut turns = 0;
        while let Some(what) = buffer.poll(now) {
            out.push(Played { at: now, what });
            turns += 1;
            assert!(turns < 10_000, "the buffer never stops");
        }
        if wake == Some(now) && turns == 0 {
            now += Duration::from_nanos(21_000);
        }
    }
    out
}

fn span(what: &Playout) -> (u64, u64) {
    match what {
        Playout::Frame {
            media,
            samples,
            skip,
            ..
        } => (*media, u64::from(samples - skip)),
        Playout::Fec { media, samples, .. } | Playout::Lost { media, samples } => {
            (*media, u64::from(*samples))
        }
    }
}

/// Asserts that what is played has neither overlap nor hole, but for holes over a second.
fn assert_continuous(played: &[Played]) {
    let mut at = None;
    for one in played {
        let (media, length) = span(&one.what);
        if let Some(at) = at {
            assert!(
                media == at || media > at + 40_000,
                "{media} after {at}: {one:?}"
            );
        }
        at = Some(media + length);
    }
}

/// Delay of each frame over the fastest possible one, ms: how long the buffer and jitter held it.
fn holds(played: &[Played], start: Instant, first: u32, link: Link) -> Vec<f64> {
    let mut holds: Vec<f64> = played
        .iter()
        .filter_map(|one| match &one.what {
            Playout::Frame { frame, .. } => {
                let sent = f64::from(frame.timestamp.wrapping_sub(first)) / 48.0;
                let fastest = sent + link.delay - link.jitter;
                Some(one.at.duration_since(start).as_secs_f64() * 1_000.0 - fastest)
            }
            _ => None,
        })
        .collect();
    holds.sort_by(f64::total_cmp);
    holds
}

fn buffer(release: Release) -> JitterBuffer {
    JitterBuffer::new(JitterConfig {
        release,
        ..JitterConfig::default()
    })
}
