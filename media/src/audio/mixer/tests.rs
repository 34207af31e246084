use rand::{Rng, SeedableRng, rngs::StdRng};

use super::*;
use crate::audio::netsim::voice;

const ANN: SpeakerId = SpeakerId(1);
const BEN: SpeakerId = SpeakerId(2);

fn tone(count: usize, amplitude: f32) -> Vec<f32> {
    (0..count)
        .map(|n| amplitude * (n as f32 * 440.0 / 48_000.0 * std::f32::consts::TAU).cos())
        .collect()
}

fn peak(pcm: &[f32]) -> f32 {
    pcm.iter().fold(0.0, |peak, sample| sample.abs().max(peak))
}

/// Largest step from sample to sample of a stretch.
fn step(pcm: &[f32]) -> f32 {
    pcm.windows(2)
        .fold(0.0, |step, pair| (pair[1] - pair[0]).abs().max(step))
}

fn frames(mixer: &mut ChannelMixer, count: usize, pcm: &mut Vec<f32>) -> Vec<(usize, ClauseMark)> {
    let mut marks = Vec::new();
    let mut out = [0.0; FRAME];
    for frame in 0..count {
        marks.extend(mixer.mix(&mut out).iter().map(|&mark| (frame, mark)));
        pcm.extend_from_slice(&out);
    }
    marks
}

fn mark(speaker: SpeakerId, clause: u64, event: ClauseEvent) -> ClauseMark {
    ClauseMark {
        speaker,
        clause: ClauseId(clause),
        event,
    }
}

#[test]
fn a_clause_is_heard_from_the_first_sample_of_the_very_next_frame() {
    let mut mixer = ChannelMixer::new(MixerConfig::default());
    let mut pcm = Vec::new();
    frames(&mut mixer, 3, &mut pcm);
    mixer.begin_clause(ANN, ClauseId(7)).expect("begins");
    mixer
        .push_clause(ANN, ClauseId(7), &[0.5; 1_000])
        .expect("takes");
    mixer.end_clause(ANN, ClauseId(7)).expect("ends");
    let marks = frames(&mut mixer, 2, &mut pcm);
    assert_eq!(
        marks,
        [
            (0, mark(ANN, 7, ClauseEvent::First { offset: 0 })),
            (1, mark(ANN, 7, ClauseEvent::Last { offset: 39 })),
        ]
    );
    assert!(pcm[..2_880].iter().all(|&sample| sample == 0.0));
    assert!(pcm[2_880] > 0.0 && pcm[2_880 + 240] == 0.5);
    assert_eq!(peak(&pcm[3_880 + 240..]), 0.0);
    assert!(step(&pcm) < 0.01, "{}", step(&pcm));
}

#[test]
fn clauses_of_one_speaker_follow_each_other_and_speakers_overlap() {
    let mut mixer = ChannelMixer::new(MixerConfig::default());
    for (speaker, clause) in [(ANN, 1), (ANN, 2), (BEN, 3)] {
        mixer
            .begin_clause(speaker, ClauseId(clause))
            .expect("begins");
        mixer
            .push_clause(speaker, ClauseId(clause), &[0.2; 500])
            .expect("takes");
        mixer.end_clause(speaker, ClauseId(clause)).expect("ends");
    }
    assert_eq!(mixer.backlog(ANN), 1_000);
    let marks = frames(&mut mixer, 2, &mut Vec::new());
    assert_eq!(
        marks,
        [
            (0, mark(ANN, 1, ClauseEvent::First { offset: 0 })),
            (0, mark(ANN, 1, ClauseEvent::Last { offset: 499 })),
            (0, mark(ANN, 2, ClauseEvent::First { offset: 500 })),
            (0, mark(BEN, 3, ClauseEvent::First { offset: 0 })),
            (0, mark(BEN, 3, ClauseEvent::Last { offset: 499 })),
            (1, mark(ANN, 2, ClauseEvent::Last { offset: 39 })),
        ]
    );
    assert_eq!(mixer.backlog(ANN), 0);
}

#[test]
fn a_cancelled_clause_is_silent_within_one_frame_and_does_not_click() {
    let mut mixer = ChannelMixer::new(MixerConfig::default());
    let sound = tone(48_000, 0.5);
    mixer.begin_clause(ANN, ClauseId(1)).expect("begins");
    mixer.push_clause(ANN, ClauseId(1), &sound).expect("takes");
    mixer.begin_clause(ANN, ClauseId(2)).expect("begins");
    let mut pcm = Vec::new();
    frames(&mut mixer, 10, &mut pcm);
    mixer.cancel(ANN);
    let marks = frames(&mut mixer, 5, &mut pcm);
    assert_eq!(
        marks,
        [
            (0, mark(ANN, 1, ClauseEvent::Cancelled { heard: true })),
            (0, mark(ANN, 2, ClauseEvent::Cancelled { heard: false })),
        ]
    );
    assert!(
        peak(&pcm[10 * FRAME..11 * FRAME]) > 0.3,
        "it fades, it is not cut"
    );
    assert_eq!(peak(&pcm[11 * FRAME..]), 0.0);
    assert!(step(&pcm) < step(&sound) + 0.01, "{}", step(&pcm));
    assert_eq!(mixer.backlog(ANN), 0);
    assert_eq!(
        mixer.push_clause(ANN, ClauseId(1), &[0.1]),
        Err(MixError::NotOpen(ClauseId(1)))
    );
}

#[test]
fn what_is_said_after_a_cancellation_starts_at_once() {
    let mut mixer = ChannelMixer::new(MixerConfig::default());
    mixer.begin_clause(ANN, ClauseId(1)).expect("begins");
    mixer
        .push_clause(ANN, ClauseId(1), &tone(48_000, 0.4))
        .expect("takes");
    let mut pcm = Vec::new();
    frames(&mut mixer, 5, &mut pcm);
    mixer.cancel_clause(ANN, ClauseId(1));
    mixer.begin_clause(ANN, ClauseId(2)).expect("begins");
    mixer
        .push_clause(ANN, ClauseId(2), &tone(4_800, 0.4))
        .expect("takes");
    let marks = frames(&mut mixer, 1, &mut pcm);
    assert!(marks.contains(&(0, mark(ANN, 2, ClauseEvent::First { offset: 0 }))));
    assert!(step(&pcm) < 0.06, "{}", step(&pcm));
}

#[test]
fn an_engine_that_falls_behind_leaves_silence_without_clicks() {
    let mut mixer = ChannelMixer::new(MixerConfig::default());
    mixer.begin_clause(ANN, ClauseId(1)).expect("begins");
    let sound = tone(24_000, 0.5);
    let mut pcm = Vec::new();
    for piece in sound.chunks(700) {
        mixer.push_clause(ANN, ClauseId(1), piece).expect("takes");
        frames(&mut mixer, 1, &mut pcm);
    }
    assert!(step(&pcm) < step(&sound) + 0.01, "{}", step(&pcm));
    mixer.end_clause(ANN, ClauseId(1)).expect("ends");
    let marks = frames(&mut mixer, 1, &mut pcm);
    assert_eq!(marks, [(0, mark(ANN, 1, ClauseEvent::Last { offset: 0 }))]);
    mixer.begin_clause(ANN, ClauseId(2)).expect("begins");
    mixer.end_clause(ANN, ClauseId(2)).expect("ends");
    let marks = frames(&mut mixer, 1, &mut pcm);
    assert_eq!(marks, [(0, mark(ANN, 2, ClauseEvent::Empty))]);
}

#[test]
fn only_the_interpreted_speakers_floor_is_ducked_and_comes_back() {
    let mut mixer = ChannelMixer::new(MixerConfig::default());
    let level = |mixer: &mut ChannelMixer, speaker, frames: usize, clause: bool| {
        let mut last = 0.0;
        for _ in 0..frames {
            mixer.push_floor(speaker, &[0.25; FRAME]).expect("takes");
            if clause {
                // Silent interpreter audio, so that the floor alone is measured.
                mixer
                    .push_clause(ANN, ClauseId(1), &[0.0; FRAME])
                    .expect("takes");
            }
            let mut out = [0.0; FRAME];
            mixer.mix(&mut out);
            last = out[FRAME - 1];
        }
        last
    };
    assert_eq!(level(&mut mixer, ANN, 10, false), 0.25);
    mixer.begin_clause(ANN, ClauseId(1)).expect("begins");
    let ducked = 0.25 * 10f32.powf(-14.0 / 20.0);
    // 50 ms of attack: there in the third frame, not in the second.
    assert!(level(&mut mixer, ANN, 2, true) > ducked * 1.1);
    assert!((level(&mut mixer, ANN, 1, true) - ducked).abs() < 1e-4);
    assert!((level(&mut mixer, ANN, 20, true) - ducked).abs() < 1e-4);
    // 300 ms of release: back in the sixteenth frame.
    assert!(level(&mut mixer, ANN, 14, false) < 0.24);
    assert!((level(&mut mixer, ANN, 2, false) - 0.25).abs() < 1e-4);
    let mut other = ChannelMixer::new(MixerConfig::default());
    other.begin_clause(ANN, ClauseId(1)).expect("begins");
    assert_eq!(level(&mut other, BEN, 20, true), 0.25);
}

#[test]
fn a_bursty_floor_settles_and_comes_back_to_little_delay() {
    let mut rng = StdRng::seed_from_u64(6);
    let mut mixer = ChannelMixer::new(MixerConfig::default());
    let sound = tone(48_000 * 60, 0.3);
    let mut pieces = sound.chunks(FRAME);
    let mut pcm = Vec::new();
    let mut waiting = 0;
    let mut dry = 0;
    for frame in 0..1_000 {
        // Deliveries stall for up to 80 ms, then come in a burst.
        waiting += 1;
        if waiting >= 5 || rng.random_bool(0.5) {
            for piece in pieces.by_ref().take(std::mem::take(&mut waiting)) {
                mixer.push_floor(ANN, piece).expect("takes");
            }
        }
        let from = pcm.len();
        frames(&mut mixer, 1, &mut pcm);
        dry += usize::from(frame > 250 && peak(&pcm[from..]) < 0.05);
    }
    assert!(dry <= 5, "{dry} silent frames after five seconds");
    assert!(step(&pcm) < step(&sound) + 0.01, "{}", step(&pcm));
    let rough = mixer.floor_depth(ANN);
    for piece in pieces.take(1_900) {
        mixer.push_floor(ANN, piece).expect("takes");
        frames(&mut mixer, 1, &mut pcm);
    }
    let calm = mixer.floor_depth(ANN);
    assert!(calm <= 2 * FRAME, "{rough} before, {calm} after");
    assert!(step(&pcm) < step(&sound) + 0.01, "{}", step(&pcm));
}

#[test]
fn the_mix_never_leaves_full_scale_and_its_memory_never_grows() {
    let mut rng = StdRng::seed_from_u64(8);
    let mut mixer = ChannelMixer::new(MixerConfig {
        max_backlog_s: 2,
        ..MixerConfig::default()
    });
    let sound = voice(48_000, 4);
    let bad = [f32::NAN, f32::INFINITY, -1e30, 3.0];
    for round in 0..2_000u64 {
        let speaker = SpeakerId(rng.random_range(0..100));
        let loud: Vec<f32> = sound
            .iter()
            .take(rng.random_range(0..5_000))
            .map(|s| s * 5.0)
            .collect();
        match rng.random_range(0..6) {
            0 => drop(mixer.push_floor(speaker, &bad)),
            1 => drop(mixer.push_floor(speaker, &loud)),
            2 => drop(mixer.begin_clause(speaker, ClauseId(round))),
            3 => drop(mixer.push_clause(speaker, ClauseId(round.saturating_sub(1)), &loud)),
            4 => mixer.cancel(speaker),
            _ => mixer.remove(speaker),
        }
        let mut out = [0.0; FRAME];
        mixer.mix(&mut out);
        assert!(out.iter().all(|sample| sample.abs() <= 1.0));
        assert!(mixer.speakers.len() <= 64);
        assert!(mixer.floor_depth(speaker) <= 20 * FRAME && mixer.backlog(speaker) <= 96_000);
    }
    mixer.begin_clause(ANN, ClauseId(1 << 40)).expect("begins");
    mixer
        .push_clause(ANN, ClauseId(1 << 40), &vec![0.0; 96_000])
        .expect("fits");
    assert_eq!(
        mixer.push_clause(ANN, ClauseId(1 << 40), &[0.0]),
        Err(MixError::Backlog(ANN))
    );
}

#[test]
fn a_speaker_who_leaves_does_not_click() {
    let mut mixer = ChannelMixer::new(MixerConfig::default());
    let mut pcm = Vec::new();
    for _ in 0..10 {
        mixer.push_floor(ANN, &[0.6; FRAME]).expect("takes");
        frames(&mut mixer, 1, &mut pcm);
    }
    mixer.remove(ANN);
    frames(&mut mixer, 2, &mut pcm);
    assert_eq!(peak(&pcm[11 * FRAME..]), 0.0);
    assert!(step(&pcm) < 0.01, "{}", step(&pcm));
}

#[test]
fn a_speaker_who_leaves_while_interpreted_does_not_click() {
    for cancelled in [false, true] {
        let mut mixer = ChannelMixer::new(MixerConfig::default());
        mixer.begin_clause(ANN, ClauseId(1)).expect("begins");
        mixer
            .push_clause(ANN, ClauseId(1), &[0.6; 48_000])
            .expect("takes");
        let mut pcm = Vec::new();
        frames(&mut mixer, 5, &mut pcm);
        if cancelled {
            mixer.cancel(ANN);
        }
        mixer.remove(ANN);
        frames(&mut mixer, 2, &mut pcm);
        assert_eq!(peak(&pcm[6 * FRAME..]), 0.0);
        assert!(step(&pcm) < 0.01, "{}", step(&pcm));
    }
}
