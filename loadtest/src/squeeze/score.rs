//! What a recording says of the server, by the schedule of the link.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::subscriber::Recording;
use crate::score::summary::Summary;
use crate::video::Faults;

/// When things happened to the link.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moments {
    /// Origin of the stamps.
    pub(super) origin: Instant,
    /// Start of the schedule.
    pub(super) start: Instant,
    /// The cut.
    pub(super) cut: Instant,
    /// Its end.
    pub(super) restored: Instant,
    /// The end.
    pub(super) end: Instant,
}

/// Another layer is shown.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LayerChange {
    /// When, seconds from the start of the schedule.
    pub at_s: f64,
    /// The layer, low to high.
    pub layer: u8,
}

/// The microphone during a phase.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Audio {
    /// One-way delay, ms.
    pub delay_ms: Summary,
    /// Packets that came.
    pub received: usize,
    /// Share that did not.
    pub lost: f64,
}

/// One phase of the schedule.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Phase {
    /// Longest time without a new picture, seconds.
    pub longest_freeze_s: f64,
    /// Pictures a second.
    pub pictures_per_second: f64,
    /// Video received, bits a second.
    pub video_bps: u64,
    /// The microphone.
    pub audio: Audio,
}

/// The figures of a squeeze.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// Seconds from the first join to the first picture.
    pub first_picture_s: f64,
    /// Layer at the cut.
    pub layer_at_cut: Option<u8>,
    /// Seconds from the cut to the first picture of a lower layer.
    pub lower_after_s: Option<f64>,
    /// Seconds from the cut to the first picture of the layer that stayed until its end.
    pub settled_after_s: Option<f64>,
    /// The layer at the end of the cut.
    pub squeezed_layer: Option<u8>,
    /// Seconds from the end of the cut to the first picture of the layer that there was before it.
    pub back_after_s: Option<f64>,
    /// Longest time without a new picture, from the first to the end, seconds.
    pub longest_freeze_s: f64,
    /// When that began, seconds from the start of the schedule.
    pub longest_freeze_at_s: f64,
    /// Longest span of the camera's time of which no picture was shown, seconds. A machine that is busy elsewhere
    /// makes pictures late, and this no longer.
    pub longest_gap_s: f64,
    /// Every change of layer.
    pub layers: Vec<LayerChange>,
    /// Video received in each second of the schedule, bits.
    pub video_bps: Vec<u64>,
    /// Before the cut, during it and after it.
    pub before: Phase,
    /// See `before`.
    pub during: Phase,
    /// See `before`.
    pub after: Phase,
    /// The microphone from the moment on at which the layer that stayed was shown, to the cut's end.
    pub audio_settled: Audio,
    /// Packets of video that never came.
    pub video_missing: u64,
    /// Keyframes that the subscriber asked for.
    pub keyframes_requested: u64,
    /// What must not be on the wire.
    pub faults: Faults,
}

pub(super) fn score(recording: &Recording, moments: &Moments, joined: Instant) -> Figures {
    let seconds = |at: Instant| signed_seconds(moments.start, at);
    let layers = changes(recording, moments);
    let (cut, restored) = (seconds(moments.cut), seconds(moments.restored));
    let layer_by = |at: f64| {
        let mut before = layers.iter().rev().filter(|change| change.at_s < at);
        before.next().map(|change| change.layer)
    };
    let layer_at_cut = layer_by(cut);
    let squeezed_layer = layer_by(restored);
    let within = |from: f64, to: f64| {
        layers
            .iter()
            .filter(move |change| (from..to).contains(&change.at_s))
    };
    let lower = within(cut, restored).find(|change| Some(change.layer) < layer_at_cut);
    let settled = lower.and_then(|_| within(cut, restored).next_back());
    let back = within(restored, f64::INFINITY).find(|change| Some(change.layer) >= layer_at_cut);
    let (longest, at) = longest_freeze(recording, moments.start, moments.end);
    let settled_at = settled.map_or(moments.restored, |change| {
        moments.start + Duration::from_secs_f64(change.at_s.max(0.0))
    });
    Figures {
        first_picture_s: recording.shown.first().map_or(f64::NAN, |first| {
            hundredth(signed_seconds(joined, first.at))
        }),
        layer_at_cut,
        lower_after_s: lower.map(|change| hundredth(change.at_s - cut)),
        settled_after_s: settled.map(|change| hundredth(change.at_s - cut)),
        squeezed_layer,
        back_after_s: back.map(|change| hundredth(change.at_s - restored)),
        longest_freeze_s: hundredth(longest),
        longest_freeze_at_s: hundredth(seconds(at)),
        longest_gap_s: hundredth(longest_gap(recording)),
        video_bps: per_second(recording, moments),
        before: phase(recording, moments, moments.start, moments.cut),
        during: phase(recording, moments, moments.cut, moments.restored),
        after: phase(recording, moments, moments.restored, moments.end),
        audio_settled: audio(recording, moments, settled_at, moments.restored),
        video_missing: recording.missing,
        keyframes_requested: recording.keyframes_requested,
        faults: recording.faults,
        layers,
    }
}

fn changes(recording: &Recording, moments: &Moments) -> Vec<LayerChange> {
    let mut changes: Vec<LayerChange> = Vec::new();
    for shown in &recording.shown {
        if changes.last().is_none_or(|last| last.layer != shown.layer) {
            changes.push(LayerChange {
                at_s: hundredth(signed_seconds(moments.start, shown.at)),
                layer: shown.layer,
            });
        }
    }
    changes
}

/// The longest time without a new picture that lies in a span at least in part, and when it began.
fn longest_freeze(recording: &Recording, from: Instant, to: Instant) -> (f64, Instant) {
    let mut last: Option<Instant> = None;
    let mut longest = (0.0, from);
    let times = recording.shown.iter().map(|shown| shown.at);
    for at in times.chain([to]) {
        let began = last.unwrap_or(from);
        if at > from && began < to {
            let freeze = at.min(to).saturating_duration_since(began).as_secs_f64();
            if freeze > longest.0 {
                longest = (freeze, began);
            }
        }
        last = Some(last.map_or(at, |last| last.max(at)));
    }
    longest
}

/// The longest time between two pictures that were shown one after the other, by when the camera took them.
fn longest_gap(recording: &Recording) -> f64 {
    let made = recording.shown.iter().map(|shown| shown.made_us);
    let gaps = made.clone().zip(made.skip(1));
    let longest = gaps.map(|(one, next)| next.saturating_sub(one)).max();
    longest.unwrap_or(0) as f64 / 1e6
}

fn phase(recording: &Recording, moments: &Moments, from: Instant, to: Instant) -> Phase {
    let length = (to - from).as_secs_f64();
    let within = |at: Instant| from <= at && at < to;
    let pictures = recording
        .shown
        .iter()
        .filter(|shown| within(shown.at))
        .count();
    let video = recording.video.iter().filter(|(at, _)| within(*at));
    let bits = video.map(|(_, bytes)| *bytes as u64 * 8).sum::<u64>();
    Phase {
        longest_freeze_s: hundredth(longest_freeze(recording, from, to).0),
        pictures_per_second: hundredth(pictures as f64 / length),
        video_bps: (bits as f64 / length) as u64,
        audio: audio(recording, moments, from, to),
    }
}

/// The packets of the microphone that were sent within a span.
fn audio(recording: &Recording, moments: &Moments, from: Instant, to: Instant) -> Audio {
    let heard = recording.heard.iter().filter(|heard| {
        let sent = moments.origin + heard.sent;
        from <= sent && sent < to
    });
    let heard = heard.collect::<Vec<_>>();
    let seqs = || heard.iter().map(|heard| heard.seq);
    let expected = match (seqs().min(), seqs().max()) {
        (Some(first), Some(last)) => last - first + 1,
        _ => 0,
    };
    Audio {
        delay_ms: Summary::of(heard.iter().map(|heard| {
            let sent = moments.origin + heard.sent;
            signed_seconds(sent, heard.at) * 1000.0
        })),
        received: heard.len(),
        lost: match expected {
            0 => 1.0,
            _ => 1.0 - heard.len() as f64 / expected as f64,
        },
    }
}

fn per_second(recording: &Recording, moments: &Moments) -> Vec<u64> {
    let seconds = (moments.end - moments.start).as_secs_f64().ceil() as usize;
    let mut bits = vec![0; seconds];
    for (at, bytes) in &recording.video {
        let second = at.checked_duration_since(moments.start);
        if let Some(second) = second.and_then(|second| bits.get_mut(second.as_secs() as usize)) {
            *second += *bytes as u64 * 8;
        }
    }
    bits
}

fn signed_seconds(from: Instant, to: Instant) -> f64 {
    match to.checked_duration_since(from) {
        Some(since) => since.as_secs_f64(),
        None => -(from - to).as_secs_f64(),
    }
}

fn hundredth(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::super::subscriber::Heard;
    use super::*;
    use crate::video::Shown;

    /// Pictures every 40 ms of (from, to, layer), seconds.
    fn recording(start: Instant, spans: &[(f64, f64, u8)]) -> Recording {
        let mut recording = Recording::default();
        for (from, to, layer) in spans {
            let pictures = ((to - from) / 0.04) as usize;
            for n in 0..pictures {
                let at = start + Duration::from_secs_f64(from + n as f64 * 0.04);
                recording.shown.push(Shown {
                    at,
                    layer: *layer,
                    keyframe: n == 0,
                    made_us: ((from + n as f64 * 0.04) * 1e6) as u64,
                });
                recording.video.push((at, 1000));
            }
        }
        recording
    }

    fn moments(start: Instant) -> Moments {
        let at = |seconds| start + Duration::from_secs(seconds);
        Moments {
            origin: start,
            start,
            cut: at(10),
            restored: at(20),
            end: at(30),
        }
    }

    #[test]
    fn a_step_down_and_up_is_timed_from_the_cut_and_from_its_end() {
        let start = Instant::now();
        let spans = [
            (0.0, 10.4, 2),
            (10.8, 11.6, 1),
            (11.6, 23.0, 0),
            (23.0, 24.0, 1),
            (24.0, 30.0, 2),
        ];
        let figures = score(&recording(start, &spans), &moments(start), start);
        assert_eq!(figures.layer_at_cut, Some(2));
        assert_eq!(figures.lower_after_s, Some(0.8));
        assert_eq!(figures.settled_after_s, Some(1.6));
        assert_eq!(figures.squeezed_layer, Some(0));
        assert_eq!(figures.back_after_s, Some(4.0));
        assert_eq!(figures.longest_freeze_s, 0.44);
        assert_eq!(figures.longest_freeze_at_s, 10.36);
        assert_eq!(figures.longest_gap_s, 0.44);
        assert_eq!(figures.layers.len(), 5);
        assert_eq!(figures.video_bps[0], 25 * 8000);
        assert_eq!(figures.after.longest_freeze_s, 0.04);
    }

    #[test]
    fn a_picture_that_never_comes_back_is_frozen_to_the_end() {
        let start = Instant::now();
        let figures = score(&recording(start, &[(0.0, 12.0, 2)]), &moments(start), start);
        assert_eq!(figures.lower_after_s, None);
        assert_eq!(figures.back_after_s, None);
        assert_eq!(figures.longest_freeze_s, 18.04);
    }

    #[test]
    fn audio_counts_by_when_it_was_sent() {
        let start = Instant::now();
        let mut recording = recording(start, &[(0.0, 30.0, 2)]);
        for n in (0..1500u64).filter(|n| *n < 500 || n % 4 != 0) {
            let sent = Duration::from_millis(20 * n);
            recording.heard.push(Heard {
                seq: n,
                sent,
                at: start + sent + Duration::from_millis(if n < 500 { 30 } else { 300 }),
            });
        }
        let figures = score(&recording, &moments(start), start);
        assert_eq!(figures.before.audio.lost, 0.0);
        assert_eq!(figures.before.audio.delay_ms.p95, Some(30.0));
        assert!((figures.during.audio.lost - 0.25).abs() < 0.01);
        assert_eq!(figures.during.audio.delay_ms.p95, Some(300.0));
    }
}
