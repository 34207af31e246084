//! What the server did to the packets it forwarded.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use serde::Serialize;

use crate::audio::opus::Frame;
use crate::clock::Clock;
use crate::link::runtime::LinkTraces;
use crate::peer::listener::Recording;
use crate::peer::publisher::SentPacket;

use super::summary::tenth;

/// A silence longer than this is a gap, seconds.
pub const GAP: f64 = 0.060;

/// Packets with equal payloads are told apart only if sent further apart than this, seconds.
const AMBIGUOUS: f64 = 3.0;

/// What one speaker sent.
pub struct Published<'a> {
    /// The packets.
    pub sent: &'a [SentPacket],
    /// The frames they carried.
    pub frames: &'a [Frame],
    /// The speaker's link.
    pub traces: Arc<Mutex<LinkTraces>>,
}

/// The forwarded floor against what speakers sent.
#[derive(Debug, Clone, Default)]
pub struct ForwardingScores {
    /// Sent by the speaker → arrived at the listener, both links included, ms.
    pub lived_ms: Vec<f64>,
    /// Reached the server → left the server, ms.
    pub added_ms: Vec<f64>,
    /// Silences over [`GAP`] at the listener, for whatever reason.
    pub gaps_heard: usize,
    /// Silences over [`GAP`] leaving the server while it held packets to forward.
    pub gaps_by_server: Vec<ServerGap>,
}

/// A silence leaving the server while it held packets to forward.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ServerGap {
    /// When it began, seconds of the meeting.
    pub at: f64,
    /// Its length, ms.
    pub ms: f64,
    /// Which speaker's stream, by number.
    pub speaker: usize,
}

/// Compare a floor listener's recording with what speakers sent.
///
/// A packet is recognised by its payload, which forwarding does not change. `start` is when the
/// meeting began, seconds on `clock`.
pub fn score(
    published: &[Published<'_>],
    floor: &Recording,
    clock: &Clock,
    start: f64,
) -> ForwardingScores {
    let mut scores = ForwardingScores::default();
    let by_payload = payloads(published, clock);
    // Which speaker each forwarded stream carries, by votes of its packets.
    let mut votes = HashMap::<u32, HashMap<usize, usize>>::new();
    let down = floor.traces.lock();
    for packet in &floor.packets {
        let arrived = clock.seconds(packet.at);
        let Some((speaker, index)) = origin(&by_payload, &packet.payload, arrived) else {
            continue;
        };
        *votes
            .entry(packet.id.ssrc)
            .or_default()
            .entry(speaker)
            .or_default() += 1;
        let sent = published[speaker].sent[index];
        scores
            .lived_ms
            .push((arrived - clock.seconds(sent.at)) * 1000.0);
        let reached = published[speaker].traces.lock().up.arrival(sent.id);
        let left = down.down.first_entered(packet.id);
        if let (Some(reached), Some(left)) = (reached.and_then(|t| t.left), left) {
            let added = clock.seconds(left) - clock.seconds(reached);
            scores.added_ms.push(added * 1000.0);
        }
    }
    for (ssrc, votes) in votes {
        let arrivals = floor
            .packets
            .iter()
            .filter(|packet| packet.id.ssrc == ssrc)
            .map(|packet| clock.seconds(packet.at));
        scores.gaps_heard += gaps(&sorted(arrivals), None).len();
        let Some((speaker, _)) = votes.into_iter().max_by_key(|(_, votes)| *votes) else {
            continue;
        };
        let up = published[speaker].traces.lock();
        let reached = published[speaker]
            .sent
            .iter()
            .filter_map(|sent| up.up.arrival(sent.id)?.left)
            .map(|at| clock.seconds(at));
        let left = down.down.entries(ssrc).map(|at| clock.seconds(at));
        for (began, length) in gaps(&sorted(left), Some(&sorted(reached))) {
            scores.gaps_by_server.push(ServerGap {
                at: tenth(began - start),
                ms: tenth(length * 1000.0),
                speaker,
            });
        }
    }
    scores.gaps_by_server.sort_by(|a, b| a.at.total_cmp(&b.at));
    scores
}

fn sorted(times: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut times = times.collect::<Vec<_>>();
    times.sort_by(f64::total_cmp);
    times
}

/// Packets by payload: (when sent, speaker, index), ascending.
fn payloads<'a>(
    published: &[Published<'a>],
    clock: &Clock,
) -> HashMap<&'a Bytes, Vec<(f64, usize, usize)>> {
    let mut by_payload = HashMap::<&Bytes, Vec<(f64, usize, usize)>>::new();
    for (speaker, published) in published.iter().enumerate() {
        for (index, sent) in published.sent.iter().enumerate() {
            by_payload
                .entry(&published.frames[sent.frame].payload)
                .or_default()
                .push((clock.seconds(sent.at), speaker, index));
        }
    }
    by_payload
}

/// The packet a payload came from, if only one can be meant.
fn origin(
    by_payload: &HashMap<&Bytes, Vec<(f64, usize, usize)>>,
    payload: &Bytes,
    arrived: f64,
) -> Option<(usize, usize)> {
    let mut possible = by_payload
        .get(payload)?
        .iter()
        .filter(|(at, _, _)| *at <= arrived && arrived - at < AMBIGUOUS);
    let (_, speaker, index) = possible.next()?;
    possible.next().is_none().then_some((*speaker, *index))
}

/// Gaps in ascending times: when each began and how long it was, seconds.
///
/// With `waiting` (ascending arrival times at the server), a gap begins when the first packet that
/// was not forwarded within it reached the server: silence for want of packets is none.
fn gaps(times: &[f64], waiting: Option<&[f64]>) -> Vec<(f64, f64)> {
    let mut found = Vec::new();
    for pair in times.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        let begins = match waiting {
            None => Some(from),
            Some(waiting) => {
                let next = waiting.partition_point(|at| *at <= from);
                waiting.get(next).copied()
            }
        };
        if let Some(begins) = begins
            && to - begins > GAP
        {
            found.push((begins, to - begins));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_without_packets_to_forward_is_not_the_servers() {
        let left = [0.0, 0.02, 0.04, 0.30, 0.32];
        assert_eq!(gaps(&left, None).len(), 1);
        // The link lost what was sent between: nothing reached the server before 0.299.
        assert!(gaps(&left, Some(&[0.0, 0.019, 0.039, 0.299, 0.319])).is_empty());
        // The packet of 0.06 reached it and waited.
        let waited = gaps(&left, Some(&[0.0, 0.019, 0.039, 0.06, 0.319]));
        assert_eq!(waited.len(), 1);
        assert!((waited[0].0 - 0.06).abs() < 1e-9 && (waited[0].1 - 0.24).abs() < 1e-9);
    }

    #[test]
    fn payloads_sent_twice_in_a_moment_are_not_guessed() {
        let payload = Bytes::from_static(b"same");
        let by_payload = HashMap::from([(&payload, vec![(1.0, 0, 0), (1.02, 0, 1), (9.0, 0, 2)])]);
        assert_eq!(origin(&by_payload, &payload, 1.1), None);
        assert_eq!(origin(&by_payload, &payload, 9.1), Some((0, 2)));
        assert_eq!(
            origin(&by_payload, &Bytes::from_static(b"other"), 9.1),
            None
        );
    }
}
