//! What a listener would have heard: recorded packets played out against a fixed deadline.

use opus::{Channels, Decoder};

use super::{FRAME, RATE};

/// A packet as it arrived.
#[derive(Debug, Clone)]
pub struct Arrived<'a> {
    /// When, seconds on the listener's clock.
    pub at: f64,
    /// RTP timestamp, extended so that it never wraps, 48 kHz.
    pub timestamp: i64,
    /// Opus payload.
    pub payload: &'a [u8],
}

/// One stream played out.
#[derive(Debug, Clone, PartialEq)]
pub struct Played {
    /// Listener's time of the first sample, seconds, without the playout delay.
    pub start: f64,
    /// Samples at 48 kHz from `start`.
    pub pcm: Vec<f32>,
    /// Frames decoded from their own packet.
    pub decoded: usize,
    /// Frames rebuilt from the next packet's FEC.
    pub recovered: usize,
    /// Frames concealed because neither came in time.
    pub concealed: usize,
}

/// Play packets of one stream out `delay` seconds after the fastest of them.
///
/// A packet that arrives after its deadline counts as lost, as it would in a real player. Frames
/// are taken to be 20 ms long. A hole of more than a second is a pause of the sender, not loss:
/// it is left silent and not counted.
///
/// # Errors
///
/// libopus cannot make a decoder. Garbage payloads are concealed, not errors.
pub fn play_out(mut packets: Vec<Arrived<'_>>, delay: f64) -> Result<Option<Played>, opus::Error> {
    packets.sort_by(|a, b| a.timestamp.cmp(&b.timestamp).then(a.at.total_cmp(&b.at)));
    packets.dedup_by_key(|packet| packet.timestamp);
    let Some(first) = packets.first().map(|packet| packet.timestamp) else {
        return Ok(None);
    };
    let rate = f64::from(RATE);
    let start = packets
        .iter()
        .map(|packet| packet.at - (packet.timestamp - first) as f64 / rate)
        .fold(f64::INFINITY, f64::min);
    packets.retain(|packet| packet.at <= start + (packet.timestamp - first) as f64 / rate + delay);

    let mut decoder = Decoder::new(RATE, Channels::Mono)?;
    let mut played = Played {
        start,
        pcm: Vec::new(),
        decoded: 0,
        recovered: 0,
        concealed: 0,
    };
    let mut frame = [0.0f32; FRAME];
    for packet in &packets {
        let position = (packet.timestamp - first) as usize;
        let hole = position.saturating_sub(played.pcm.len()) / FRAME;
        if hole <= RATE as usize / FRAME {
            for left in (0..hole).rev() {
                // Only the frame right before a packet has its copy in that packet.
                let (input, fec): (&[u8], bool) = if left == 0 {
                    (packet.payload, true)
                } else {
                    (&[], false)
                };
                if decoder.decode_float(input, &mut frame, fec).is_err() {
                    frame.fill(0.0);
                }
                if left == 0 {
                    played.recovered += 1;
                } else {
                    played.concealed += 1;
                }
                played.pcm.extend_from_slice(&frame);
            }
        }
        played.pcm.resize(position.max(played.pcm.len()), 0.0);
        match decoder.decode_float(packet.payload, &mut frame, false) {
            Ok(samples) => {
                played.decoded += 1;
                played.pcm.extend_from_slice(&frame[..samples.min(FRAME)]);
            }
            Err(_) => {
                played.concealed += 1;
                played.pcm.extend_from_slice(&[0.0; FRAME]);
            }
        }
    }
    Ok(Some(played))
}

/// Mix streams on one clock; the result starts at `from` seconds and lasts `seconds`.
pub fn mix(streams: &[Played], from: f64, seconds: f64) -> Vec<f32> {
    let length = (seconds.max(0.0) * f64::from(RATE)) as usize;
    let mut mixed = vec![0.0f32; length];
    for stream in streams {
        let offset = ((stream.start - from) * f64::from(RATE)).round() as i64;
        for (n, sample) in stream.pcm.iter().enumerate() {
            let position = offset + n as i64;
            if (0..length as i64).contains(&position) {
                mixed[position as usize] += sample;
            }
        }
    }
    mixed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::opus::{Frame, encode_track};

    fn speechlike() -> Vec<Frame> {
        let pcm = (0..16_000)
            .map(|n| 0.3 * (n as f32 * 0.05).sin())
            .collect::<Vec<_>>();
        encode_track(&pcm, 20).unwrap()
    }

    fn arrive(frames: &[Frame], n: usize, late: f64) -> Arrived<'_> {
        Arrived {
            at: 10.0 + n as f64 * 0.02 + late,
            timestamp: 5000 + (n * FRAME) as i64,
            payload: &frames[n].payload,
        }
    }

    #[test]
    fn nothing_lost_nothing_concealed() {
        let frames = speechlike();
        let packets = (0..50).rev().map(|n| arrive(&frames, n, 0.0)).collect();
        let played = play_out(packets, 0.1).unwrap().unwrap();
        assert_eq!(
            (played.decoded, played.recovered, played.concealed),
            (50, 0, 0)
        );
        assert_eq!(played.pcm.len(), 48_000);
        assert!((played.start - 10.0).abs() < 1e-9);
    }

    #[test]
    fn a_late_packet_is_recovered_and_a_burst_concealed() {
        let frames = speechlike();
        let packets = (0..50)
            .filter(|n| !(20..23).contains(n))
            .map(|n| arrive(&frames, n, if n == 40 { 0.3 } else { 0.0 }))
            .collect();
        let played = play_out(packets, 0.1).unwrap().unwrap();
        assert_eq!(
            (played.decoded, played.recovered, played.concealed),
            (46, 2, 2)
        );
        assert_eq!(played.pcm.len(), 48_000);
    }

    #[test]
    fn streams_are_mixed_where_they_were_heard() {
        let stream = |start, value| Played {
            start,
            pcm: vec![value; 48_000],
            decoded: 0,
            recovered: 0,
            concealed: 0,
        };
        let mixed = mix(&[stream(1.0, 0.25), stream(1.5, 0.5)], 1.0, 2.0);
        assert_eq!(mixed.len(), 96_000);
        assert_eq!(
            (mixed[0], mixed[36_000], mixed[60_000], mixed[90_000]),
            (0.25, 0.75, 0.5, 0.0)
        );
    }
}
