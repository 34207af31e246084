use rand::{Rng, SeedableRng, rngs::StdRng};

use super::*;
use crate::audio::netsim::{correlation, voice};

fn encoded(seconds: usize, config: EncoderConfig) -> (Vec<f32>, Vec<Bytes>) {
    let pcm = voice(seconds * RATE as usize, 7);
    let mut encoder = Encoder::new(config).expect("encoder");
    let packets = pcm
        .as_chunks::<FRAME>()
        .0
        .iter()
        .map(|frame| encoder.encode(frame).expect("encodes"))
        .collect();
    (pcm, packets)
}

#[derive(Clone, Copy, PartialEq)]
enum Repair {
    Fec,
    Plc,
    Zeros,
}

/// Decodes with every eighth packet missing; returns the worst and mean correlation of the
/// repaired frames with what a decoder that lost nothing plays there.
fn repaired(packets: &[Bytes], repair: Repair) -> (f64, usize) {
    let mut clean = Decoder::new().expect("decoder");
    let mut lossy = Decoder::new().expect("decoder");
    let (mut sum, mut count) = (0.0, 0);
    for (n, packet) in packets.iter().enumerate() {
        let reference = clean.decode(packet).expect("decodes").to_vec();
        if n % 8 == 5 && n + 1 < packets.len() {
            let got = match repair {
                Repair::Fec => lossy.recover(&packets[n + 1], FRAME).expect("fec").to_vec(),
                Repair::Plc => lossy.conceal(FRAME).to_vec(),
                Repair::Zeros => vec![0.0; FRAME],
            };
            assert_eq!(got.len(), FRAME);
            if crate::audio::level::audio_level_dbov(&reference) < 40 {
                sum += correlation(&reference, &got);
                count += 1;
            }
        } else {
            lossy.decode(packet).expect("decodes");
        }
    }
    (sum / count as f64, count)
}

#[test]
fn a_round_trip_keeps_the_speech() {
    let (pcm, packets) = encoded(3, EncoderConfig::default());
    let mut decoder = Decoder::new().expect("decoder");
    let mut out = Vec::new();
    for packet in &packets {
        out.extend_from_slice(decoder.decode(packet).expect("decodes"));
    }
    assert_eq!(out.len(), pcm.len());
    // Opus's own algorithmic delay at 48 kHz, VOIP: 6.5 ms.
    let best = (0..480)
        .map(|delay| correlation(&pcm[9_600..96_000], &out[9_600 + delay..96_000 + delay]))
        .fold(f64::MIN, f64::max);
    assert!(best > 0.9, "correlation {best}");
}

#[test]
fn fec_recovers_a_single_loss_closer_to_the_original_than_concealment() {
    let (_, packets) = encoded(
        6,
        EncoderConfig {
            expected_loss: 10,
            ..Default::default()
        },
    );
    let with_fec = packets
        .iter()
        .filter(|packet| packet::shape(packet).is_some_and(|shape| shape.fec))
        .count();
    assert!(
        with_fec * 2 > packets.len(),
        "{with_fec} of {} carry FEC",
        packets.len()
    );
    let (fec, count) = repaired(&packets, Repair::Fec);
    let (plc, _) = repaired(&packets, Repair::Plc);
    let (zeros, _) = repaired(&packets, Repair::Zeros);
    assert!(count > 15, "{count}");
    assert!(fec > 0.85, "FEC {fec}");
    assert!(fec > plc, "FEC {fec}, PLC {plc}");
    assert!(plc > zeros, "PLC {plc}, zeros {zeros}");
}

#[test]
fn no_expected_loss_means_no_redundancy_is_announced() {
    let (_, packets) = encoded(
        2,
        EncoderConfig {
            expected_loss: 0,
            ..Default::default()
        },
    );
    assert!(
        packets
            .iter()
            .all(|packet| !packet::shape(packet).expect("own packet").fec)
    );
    let mut encoder = Encoder::new(EncoderConfig::default()).expect("encoder");
    encoder.set_expected_loss(200).expect("clamped");
}

#[test]
fn concealment_fades_and_has_any_length() {
    let (_, packets) = encoded(1, EncoderConfig::default());
    let mut decoder = Decoder::new().expect("decoder");
    for packet in &packets {
        decoder.decode(packet).expect("decodes");
    }
    for samples in [
        0, 1, 119, 120, 959, 960, 961, 2_880, 5_700, 5_760, 1_000_000,
    ] {
        assert_eq!(decoder.conceal(samples).len(), samples.min(5_760));
    }
    for _ in 0..50 {
        decoder.conceal(FRAME);
    }
    let quiet = crate::audio::level::audio_level_dbov(decoder.conceal(FRAME));
    assert!(quiet >= 40, "{quiet} dBov after a second of loss");
}

#[test]
fn every_packet_duration_is_decoded() {
    for samples in [120usize, 240, 480, 960, 1_920, 2_880, 3_840, 4_800, 5_760] {
        let mut encoder =
            opus::Encoder::new(RATE, Channels::Mono, Application::Voip).expect("encoder");
        let pcm = voice(samples, 3);
        let packet = encoder.encode_vec_float(&pcm, 4_000).expect("encodes");
        let mut decoder = Decoder::new().expect("decoder");
        assert_eq!(
            packet::shape(&packet).expect("own packet").samples as usize,
            samples
        );
        assert_eq!(decoder.decode(&packet).expect("decodes").len(), samples);
    }
}

#[test]
fn stereo_comes_out_as_mono() {
    let mut encoder =
        opus::Encoder::new(RATE, Channels::Stereo, Application::Audio).expect("encoder");
    let packet = encoder
        .encode_vec_float(&[0.1; 1_920], 4_000)
        .expect("encodes");
    assert_eq!(
        Decoder::new()
            .expect("decoder")
            .decode(&packet)
            .expect("decodes")
            .len(),
        960
    );
}

#[test]
fn garbage_is_an_error_or_bounded_audio_and_never_a_panic() {
    let mut rng = StdRng::seed_from_u64(11);
    let (_, packets) = encoded(1, EncoderConfig::default());
    let mut decoder = Decoder::new().expect("decoder");
    assert_eq!(decoder.decode(&[]), Err(DecodeError::Garbage { length: 0 }));
    for round in 0..3_000 {
        let bytes: Vec<u8> = if round % 2 == 0 {
            (0..rng.random_range(0..200))
                .map(|_| rng.random())
                .collect()
        } else {
            let mut bytes = packets[round % packets.len()].to_vec();
            let at = rng.random_range(0..bytes.len());
            bytes[at] ^= 1 << rng.random_range(0..8);
            bytes.truncate(rng.random_range(0..=bytes.len()));
            bytes
        };
        let slot = rng.random_range(0..6_000);
        if let Ok(pcm) = decoder.recover(&bytes, slot) {
            assert!(pcm.iter().all(|sample| sample.abs() <= 2.0));
        }
        match decoder.decode(&bytes).map(<[f32]>::to_vec) {
            Ok(pcm) => assert!(pcm.len() <= 5_760 && pcm.iter().all(|s| s.abs() <= 2.0)),
            Err(_) => assert_eq!(decoder.conceal(FRAME).len(), FRAME),
        }
    }
    decoder.reset();
    assert_eq!(
        decoder.decode(&packets[0]).expect("still works").len(),
        FRAME
    );
}
