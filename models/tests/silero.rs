//! What the voice activity model takes for speech, one window at a time and in batches.

#[path = "speech/mod.rs"]
mod speech;

use hive_models::vad::{
    Endpointer, EndpointerSettings, LoadVadError, SileroVad, SpeechEdge, VadError, VadState,
    VadWindow, VoiceActivity, WINDOW_SAMPLES,
};

fn vad() -> SileroVad {
    SileroVad::load(&speech::assets()).expect("run `scripts/setup test`")
}

fn windows(pcm: &[f32]) -> Vec<VadWindow> {
    pcm.chunks_exact(WINDOW_SAMPLES)
        .map(|window| window.try_into().expect("exact"))
        .collect()
}

fn probabilities(vad: &SileroVad, pcm: &[f32]) -> Vec<f32> {
    let mut state = VadState::default();
    let run = |window| vad.run(&[window], &mut [&mut state]).expect("it runs")[0];
    windows(pcm).into_iter().map(run).collect()
}

fn edges(probabilities: &[f32]) -> Vec<SpeechEdge> {
    let mut endpointer = Endpointer::new(EndpointerSettings::default());
    let push = |(i, &p): (usize, &f32)| endpointer.push((i * WINDOW_SAMPLES) as u64, p);
    probabilities.iter().enumerate().filter_map(push).collect()
}

#[test]
fn speech_is_found_where_it_is() {
    let vad = vad();
    for voice in ["slt", "rms", "kal16"] {
        let speech = speech::flite(voice, speech::MEETING[3]);
        let quiet = speech::noise(16_000, 0.0005, 3);
        let pcm = [&quiet[..], &speech, &quiet].concat();
        let edges = edges(&probabilities(&vad, &pcm));
        let [
            SpeechEdge::Start { voiced_at, .. },
            ..,
            SpeechEdge::End {
                voiced_until,
                decided_at,
            },
        ] = edges[..]
        else {
            panic!("{voice}: {edges:?}");
        };
        let loud = |sample: &f32| sample.abs() > 0.03;
        let first = pcm.iter().position(loud).expect("speech") as u64;
        let last = pcm.iter().rposition(loud).expect("speech") as u64;
        assert!(
            voiced_at.abs_diff(first) < 3_200,
            "{voice}: {voiced_at} instead of {first}"
        );
        assert!(
            voiced_until.abs_diff(last) < 4_000,
            "{voice}: {voiced_until} instead of {last}"
        );
        assert_eq!(decided_at - voiced_until, 2_560);
    }
}

#[test]
fn silence_noise_and_hum_are_not_speech() {
    let vad = vad();
    let hum: Vec<f32> = (0..160_000)
        .map(|i| (i as f32 * std::f32::consts::TAU * 50.0 / 16_000.0).sin() * 0.045)
        .collect();
    let sounds = [
        ("silence", vec![0.0; 160_000]),
        ("faint noise", speech::noise(160_000, 0.003, 1)),
        ("noise", speech::noise(160_000, 0.018, 2)),
        ("hum", hum),
    ];
    for (name, pcm) in sounds {
        let probabilities = probabilities(&vad, &pcm);
        let highest = probabilities.iter().fold(0.0_f32, |a, &b| a.max(b));
        assert_eq!(edges(&probabilities), [], "{name}: {highest}");
    }
}

#[test]
fn a_batch_gives_what_single_windows_give() {
    let vad = vad();
    let texts = &speech::MEETING[..5];
    let clips: Vec<Vec<VadWindow>> = texts
        .iter()
        .map(|text| windows(&speech::flite("slt", text)))
        .collect();
    let length = clips.iter().map(Vec::len).min().expect("five").min(60);
    // More speakers than one run of the graph takes, in a number that is no batch size.
    for speakers in [2, 3, 8, 16, 21] {
        let mut states = vec![VadState::default(); speakers];
        let mut alone = vec![VadState::default(); speakers];
        #[allow(clippy::needless_range_loop, reason = "one moment of several clips")]
        for at in 0..length {
            let batch: Vec<VadWindow> = (0..speakers)
                .map(|speaker| clips[speaker % 5][at])
                .collect();
            let mut refs: Vec<&mut VadState> = states.iter_mut().collect();
            let together = vad.run(&batch, &mut refs).expect("it runs");
            if speakers > 8 && at % 8 != 0 {
                // Only the states matter here; compare the costly ones now and then.
                alone.clone_from(&states);
                continue;
            }
            for (speaker, window) in batch.iter().enumerate() {
                let single = vad
                    .run(&[*window], &mut [&mut alone[speaker]])
                    .expect("it runs")[0];
                let difference = (single - together[speaker]).abs();
                assert!(
                    difference < 1e-4,
                    "{speakers} speakers, window {at}: {difference}"
                );
            }
        }
    }
}

#[test]
fn nothing_breaks_it() {
    let vad = vad();
    assert_eq!(vad.run(&[], &mut []), Ok(Vec::new()));
    let error = vad.run(&[[0.0; WINDOW_SAMPLES]], &mut []);
    assert_eq!(
        error,
        Err(VadError::LengthMismatch {
            windows: 1,
            states: 0
        })
    );

    let mut state = VadState::default();
    for value in [f32::NAN, f32::INFINITY, f32::MAX, 0.0] {
        let p = vad
            .run(&[[value; WINDOW_SAMPLES]], &mut [&mut state])
            .expect("it runs")[0];
        assert!((0.0..=1.0).contains(&p), "{value}: {p}");
    }
    let clip = windows(&speech::flite("slt", speech::MEETING[0]));
    let heard = clip
        .iter()
        .any(|w| vad.run(&[*w], &mut [&mut state]).expect("it runs")[0] > 0.9);
    assert!(heard, "a window that is no number spoils what follows");
}

#[test]
fn a_missing_model_names_the_file_and_the_remedy() {
    let error = SileroVad::load("/nonexistent".as_ref()).expect_err("no such directory");
    assert!(matches!(error, LoadVadError::Missing { .. }));
    assert!(error.to_string().contains("scripts/setup build"), "{error}");
}
