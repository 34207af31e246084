//! A publisher's streams on one clock.
//!
//! Sender reports tell which of a stream's timestamps belongs to which time of the publisher's. That is
//! what keeps sound and picture together: by their arrival alone the picture is late by as much as its
//! encoder and its pacer take longer. Nothing else of the publisher's clock is believed: one of its
//! streams is on time by its arrival, and the others are put where they are relative to that.

use std::time::Instant;

use slab::Slab;

use super::Engine;
use super::peer::Publishing;
use super::track::Track;
use crate::clock::Now;
use crate::rtp::sequence::ExtendTimestamp;
use crate::rtp::track_clock::TrackClock;

/// Streams that are further apart, in ns, have clocks of their own.
const MAX_SHIFT: i64 = 2_000_000_000;

/// What is known of a publisher's clock.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PublisherClock {
    /// From when our time is counted here.
    epoch: Option<Instant>,
    /// The stream that is on time by its arrival.
    reference: Option<u32>,
}

impl Engine {
    /// Takes note that a publisher's `timestamp` of the stream `ssrc` belongs to its time `ntp`.
    pub(super) fn on_sender_clock(
        &mut self,
        now: &Now,
        key: usize,
        ssrc: u32,
        ntp: u64,
        timestamp: u32,
    ) {
        let Engine { peers, tracks, .. } = self;
        let Some(publishing) = peers[key].publishing.as_deref_mut() else {
            return;
        };
        let epoch = *publishing.clock.epoch.get_or_insert(now.mono);
        let Some((clock, timestamps)) = clock_of(publishing, tracks, ssrc) else {
            return;
        };
        // What a report says must not move the line that packets are on.
        let mut timestamps = *timestamps;
        let Some(arrival) = clock.arrival_of(timestamps.extend(timestamp)) else {
            return;
        };
        let arrival = match arrival.checked_duration_since(epoch) {
            Some(after) => after.as_nanos() as i128,
            None => -(epoch.saturating_duration_since(arrival).as_nanos() as i128),
        };
        let ahead = arrival - ((u128::from(ntp) * 1_000_000_000) >> 32) as i128;
        let mut streams = publishing.streams.iter_mut();
        if let Some(stream) = streams.find(|stream| stream.ssrc == ssrc) {
            stream.ahead = Some(ahead);
        }
        let known: Vec<(u32, i128)> = publishing
            .streams
            .iter()
            .filter_map(|stream| Some((stream.ssrc, stream.ahead?)))
            .collect();
        let of = |wanted: u32| known.iter().find(|(ssrc, _)| *ssrc == wanted);
        let reference = publishing.clock.reference.and_then(of);
        let Some(&(reference, on_time)) = reference.or_else(|| of(ssrc)) else {
            return;
        };
        publishing.clock.reference = Some(reference);
        for (ssrc, ahead) in known {
            let shift = i64::try_from(on_time - ahead).unwrap_or(i64::MAX);
            if let Some((clock, _)) = clock_of(publishing, tracks, ssrc) {
                let sound = shift.checked_abs().is_some_and(|shift| shift < MAX_SHIFT);
                clock.shift(if sound { shift } else { 0 });
            }
        }
    }
}

/// The clock of a stream, and how its timestamps are extended.
fn clock_of<'a>(
    publishing: &Publishing,
    tracks: &'a mut Slab<Track>,
    ssrc: u32,
) -> Option<(&'a mut TrackClock, &'a ExtendTimestamp)> {
    let stream = publishing
        .table
        .known(ssrc)
        .filter(|stream| !stream.repair)?;
    let track = &mut tracks[*publishing.tracks.get(&stream.section)?];
    match track.video.as_deref_mut() {
        None => Some((&mut track.clock, &track.timestamps)),
        Some(video) => {
            let stream = video.streams.get_mut(usize::from(stream.layer))?;
            Some((&mut stream.clock, &stream.timestamps))
        }
    }
}
