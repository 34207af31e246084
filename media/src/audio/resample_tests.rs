use super::*;
use crate::audio::netsim::voice;

fn tone(rate: f64, hz: f64, count: usize) -> Vec<f32> {
    (0..count)
        .map(|n| (n as f64 * hz / rate * std::f64::consts::TAU).sin() as f32 * 0.5)
        .collect()
}

fn convert(resampler: &mut Resampler, pcm: &[f32], piece: usize) -> Vec<f32> {
    let mut out = Vec::new();
    for piece in pcm.chunks(piece) {
        resampler.push(piece, &mut out);
    }
    resampler.finish(&mut out);
    out
}

fn rms(pcm: &[f32]) -> f64 {
    (pcm.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>() / pcm.len() as f64).sqrt()
}

fn gain_db(out: &[f32]) -> f64 {
    20.0 * (rms(out) / (0.5 / 2f64.sqrt())).log10()
}

#[test]
fn delays_are_those_documented() {
    let mut down = Down::new().expect("down");
    assert_eq!((down.stream().latency(), down.stream().block()), (80, 480));
    let mut espeak = Up::new(22_050).expect("up");
    assert_eq!(
        (espeak.stream().latency(), espeak.stream().block()),
        (320, 294)
    );
    let mut up = Up::new(16_000).expect("up");
    assert_eq!((up.stream().latency(), up.stream().block()), (240, 160));
}

#[test]
fn output_lies_on_the_input_sample_for_sample() {
    for (hz, tolerance) in [(300.0, 1e-3), (1_000.0, 1e-3), (3_400.0, 5e-3)] {
        let out = convert(
            Down::new().expect("down").stream(),
            &tone(48_000.0, hz, 48_000),
            960,
        );
        let ideal = tone(16_000.0, hz, 16_000);
        assert_eq!(out.len(), ideal.len());
        for n in 400..15_600 {
            assert!(
                (out[n] - ideal[n]).abs() < tolerance,
                "{hz} Hz, {n}: {} {}",
                out[n],
                ideal[n]
            );
        }
        let out = convert(
            Up::new(22_050).expect("up").stream(),
            &tone(22_050.0, hz, 22_050),
            500,
        );
        let ideal = tone(48_000.0, hz, 48_000);
        assert_eq!(out.len(), ideal.len());
        for n in 1_200..46_800 {
            assert!(
                (out[n] - ideal[n]).abs() < tolerance,
                "{hz} Hz, {n}: {} {}",
                out[n],
                ideal[n]
            );
        }
    }
}

#[test]
fn speech_passes_and_what_would_alias_does_not() {
    let level = |hz| {
        let out = convert(
            Down::new().expect("down").stream(),
            &tone(48_000.0, hz, 48_000),
            960,
        );
        gain_db(&out[400..15_600])
    };
    assert!(level(6_800.0) > -1.0, "{}", level(6_800.0));
    assert!(level(100.0).abs() < 0.1, "{}", level(100.0));
    for hz in [8_400.0, 9_000.0, 12_000.0, 20_000.0] {
        assert!(level(hz) < -60.0, "{hz}: {}", level(hz));
    }
}

#[test]
fn streaming_equals_one_shot_whatever_the_pieces() {
    for (from, samples) in [
        (48_000, 30_001),
        (22_050, 20_000),
        (16_000, 12_345),
        (44_100, 9_999),
    ] {
        let pcm = voice(samples, 5);
        let make = || match from {
            48_000 => Resampler::new(48_000, 16_000, 160).expect("down"),
            other => Up::new(other).expect("up").0,
        };
        let whole = convert(&mut make(), &pcm, samples);
        let to = if from == 48_000 { 16_000 } else { 48_000 };
        assert_eq!(whole.len(), (samples * to).div_ceil(from as usize));
        for piece in [1, 7, 120, 294, 480, 960, 2_880] {
            assert_eq!(
                whole,
                convert(&mut make(), &pcm, piece),
                "{from} Hz in pieces of {piece}"
            );
        }
    }
}

#[test]
fn finishing_makes_it_fresh_again() {
    let mut down = Down::new().expect("down");
    let pcm = voice(5_000, 2);
    let first = convert(down.stream(), &pcm, 960);
    assert_eq!(first, convert(down.stream(), &pcm, 960));
    let mut none = Vec::new();
    down.stream().finish(&mut none);
    assert!(none.is_empty());
}

#[test]
fn equal_rates_pass_through_and_absurd_ones_are_refused() {
    let pcm = voice(1_000, 1);
    assert_eq!(
        convert(Up::new(48_000).expect("up").stream(), &pcm, 17),
        pcm
    );
    for rate in [0, 1, 3_999, 192_001, u32::MAX] {
        assert_eq!(
            Up::new(rate).expect_err("refused"),
            CreateResamplerError::Rate {
                from: rate,
                to: 48_000
            }
        );
    }
}

#[test]
fn rates_that_would_need_long_blocks_are_refused() {
    assert_eq!(
        Up::new(47_999).expect_err("refused"),
        CreateResamplerError::Awkward {
            from: 47_999,
            to: 48_000
        }
    );
}
