//! A track of speech as Opus packets, encoded before the call starts.
//!
//! Encoding beforehand keeps the codec's CPU time out of the paced sending loop.

use bytes::Bytes;
use opus::{Application, Bitrate, Channels, Encoder};

use super::resample::{ResampleError, resample};
use super::{FRAME, RATE};
use crate::speech::CLIP_RATE;

/// A 20 ms packet.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Opus payload.
    pub payload: Bytes,
    /// Level of the frame for RFC 6464, -dBov: 0 is loudest, 127 silence.
    pub level: u8,
}

/// Why a track could not be encoded.
#[derive(Debug, thiserror::Error)]
pub enum EncodeTrackError {
    /// The clip's rate cannot be converted.
    #[error(transparent)]
    Resample(#[from] ResampleError),
    /// libopus refused.
    #[error("libopus cannot encode the track: {0}")]
    Opus(#[from] opus::Error),
}

/// Encode mono speech at 16 kHz to 20 ms packets at 48 kHz with in-band FEC.
///
/// `expected_loss` (percent) tells the encoder how much to spend on FEC. The last frame is padded
/// with silence.
///
/// # Errors
///
/// libopus refuses a setting or a frame.
pub fn encode_track(pcm: &[f32], expected_loss: u8) -> Result<Vec<Frame>, EncodeTrackError> {
    let pcm = resample(pcm, CLIP_RATE, RATE)?;
    let mut encoder = Encoder::new(RATE, Channels::Mono, Application::Voip)?;
    encoder.set_bitrate(Bitrate::Bits(32_000))?;
    encoder.set_inband_fec(true)?;
    encoder.set_packet_loss_perc(i32::from(expected_loss))?;
    let mut frames = Vec::with_capacity(pcm.len() / FRAME + 1);
    let mut padded = [0.0; FRAME];
    for chunk in pcm.chunks(FRAME) {
        padded[..chunk.len()].copy_from_slice(chunk);
        padded[chunk.len()..].fill(0.0);
        frames.push(Frame {
            payload: encoder.encode_vec_float(&padded, 1275)?.into(),
            level: level(&padded),
        });
    }
    Ok(frames)
}

/// Level of a frame in -dBov (RFC 6464 section 3): RMS against full scale, 127 for silence.
fn level(pcm: &[f32]) -> u8 {
    let power = pcm.iter().map(|s| s * s).sum::<f32>() / pcm.len() as f32;
    (-10.0 * power.max(1e-13).log10()).round().clamp(0.0, 127.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::opus::Decoder;

    #[test]
    fn a_lost_frame_comes_back_from_the_next_ones_fec() {
        let pcm = (0..CLIP_RATE)
            .map(|n| 0.3 * (n as f32 * 0.05).sin() + 0.1 * (n as f32 * 0.31).sin())
            .collect::<Vec<_>>();
        let frames = encode_track(&pcm, 20).unwrap();
        assert_eq!(frames.len(), 50);
        let mut decoder = Decoder::new(RATE, Channels::Mono).unwrap();
        let mut out = [0.0; FRAME];
        for frame in &frames[..20] {
            decoder
                .decode_float(&frame.payload, &mut out, false)
                .unwrap();
        }
        decoder
            .decode_float(&frames[21].payload, &mut out, true)
            .unwrap();
        let energy = out.iter().map(|s| s * s).sum::<f32>() / FRAME as f32;
        assert!(energy > 0.01, "{energy}");
    }

    #[test]
    fn levels_follow_rfc_6464() {
        assert_eq!(level(&[0.0; FRAME]), 127);
        assert_eq!(level(&[1.0; FRAME]), 0);
        assert_eq!(level(&[0.1; FRAME]), 20);
    }
}
