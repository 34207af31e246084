//! The figures of a squeeze against their targets, for people.

use super::options::SqueezeOptions;
use super::score::{Audio, Figures, Phase};
use crate::score::table::Row;

/// A layer down within so many seconds of the cut.
const LOWER: f64 = 3.0;

/// No picture frozen for longer, seconds.
const FREEZE: f64 = 1.0;

/// The highest of the publisher's layers.
pub(super) const TOP: u8 = 2;

/// The lines of the table.
pub(super) fn rows(figures: &Figures, options: &SqueezeOptions) -> Vec<Row> {
    let f = figures;
    let after = f64::from(options.after);
    vec![
        Row::judged(
            "the layer shown at the cut",
            layer(f.layer_at_cut).to_owned(),
            "top",
            f.layer_at_cut == Some(TOP),
        ),
        Row::judged(
            "a layer down, after the cut",
            seconds(f.lower_after_s),
            "≤ 3 s",
            f.lower_after_s.is_some_and(|s| s <= LOWER),
        ),
        Row::told(
            "the layer that stays, after the cut",
            format!(
                "{}, {}",
                seconds(f.settled_after_s),
                layer(f.squeezed_layer)
            ),
        ),
        Row::judged(
            "longest frozen picture",
            format!(
                "{:.2} s, at {:.1} s",
                f.longest_freeze_s, f.longest_freeze_at_s
            ),
            "≤ 1 s",
            f.longest_freeze_s <= FREEZE,
        ),
        Row::told(
            "longest gap in the camera's time",
            format!("{:.2} s", f.longest_gap_s),
        ),
        Row::judged(
            "the top layer back, after the cut's end",
            seconds(f.back_after_s),
            "comes back",
            f.back_after_s.is_some_and(|s| s <= after),
        ),
        Row::told(
            "frozen before, during, after",
            three(f, |phase| format!("{:.2}", phase.longest_freeze_s)) + " s",
        ),
        Row::told(
            "pictures a second before, during, after",
            three(f, |phase| format!("{:.1}", phase.pictures_per_second)),
        ),
        Row::told(
            "video before, during, after",
            three(f, |phase| (phase.video_bps / 1000).to_string()) + " kbit/s",
        ),
        Row::told("microphone before the cut", audio(&f.before.audio)),
        Row::told("microphone during it", audio(&f.during.audio)),
        Row::told("microphone once the layer stays", audio(&f.audio_settled)),
        Row::told("microphone after it", audio(&f.after.audio)),
        Row::told("keyframes asked for", f.keyframes_requested.to_string()),
        Row::judged(
            "faults of the stream",
            match f.faults.any() {
                true => format!("{:?}", f.faults),
                false => "0".to_owned(),
            },
            "0",
            !f.faults.any(),
        ),
    ]
}

/// What was shown when.
pub(super) fn timeline(figures: &Figures) -> String {
    let changes = figures.layers.iter().map(|change| {
        let layer = layer(Some(change.layer));
        format!("{layer} at {:.1} s", change.at_s)
    });
    changes.collect::<Vec<_>>().join(", ")
}

fn three(figures: &Figures, tell: impl Fn(&Phase) -> String) -> String {
    [&figures.before, &figures.during, &figures.after]
        .map(tell)
        .join(", ")
}

fn seconds(value: Option<f64>) -> String {
    value.map_or("never".to_owned(), |value| format!("{value:.2} s"))
}

fn layer(layer: Option<u8>) -> &'static str {
    match layer {
        Some(0) => "low",
        Some(1) => "middle",
        Some(_) => "top",
        None => "none",
    }
}

fn audio(audio: &Audio) -> String {
    let delay = match (audio.delay_ms.p50, audio.delay_ms.p95) {
        (Some(p50), Some(p95)) => format!("p50 {p50:.0}, p95 {p95:.0} ms"),
        _ => "nothing came".to_owned(),
    };
    format!("{delay}, {:.1} % lost", audio.lost * 100.0)
}
