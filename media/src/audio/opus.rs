//! Opus at 48 kHz mono: decoding with recovery and concealment, encoding with in-band FEC.

use bytes::Bytes;
use opus::{Application, Bitrate, Channels, Signal};

use super::packet::{self, MAX_SAMPLES};
use super::{FRAME, RATE};

/// Shortest stretch of audio Opus knows: 2.5 ms, in samples at 48 kHz.
const GRAIN: usize = 120;

/// Largest Opus packet: one frame of 1,275 bytes and its table-of-contents byte (RFC 6716 §3.4).
const MAX_PACKET: usize = 1_276;

/// Why a packet could not be decoded. The decoder stays usable: conceal the packet's duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The payload is not an Opus packet.
    #[error("payload of {length} bytes is not an Opus packet; conceal it and count it")]
    Garbage {
        /// Its length, bytes.
        length: usize,
    },
    /// The decoder refused a well-formed packet.
    #[error("libopus refused the packet: {0}")]
    Refused(&'static str),
}

/// Why a codec could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("libopus could not make a codec: {0}; the process is probably out of memory")]
pub struct CreateCodecError(&'static str);

/// Why a frame could not be encoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("libopus could not encode or configure: {0}")]
pub struct EncodeError(&'static str);

/// One stream's Opus decoder: any packet in, 48 kHz mono PCM out.
#[derive(Debug)]
pub struct Decoder {
    inner: opus::Decoder,
    pcm: Box<[f32; MAX_SAMPLES as usize]>,
}

impl Decoder {
    /// Makes a decoder with an empty history. Stereo packets come out mixed down to mono.
    pub fn new() -> Result<Decoder, CreateCodecError> {
        let inner = opus::Decoder::new(RATE, Channels::Mono)
            .map_err(|error| CreateCodecError(error.description()))?;
        Ok(Decoder {
            inner,
            pcm: Box::new([0.0; MAX_SAMPLES as usize]),
        })
    }

    /// Decodes a packet of 2.5 to 120 ms. Returns its samples, valid until the next call.
    ///
    /// After an error nothing has been played: call [`Decoder::conceal`] for the slot's duration.
    pub fn decode(&mut self, payload: &[u8]) -> Result<&[f32], DecodeError> {
        if packet::shape(payload).is_none() {
            return Err(DecodeError::Garbage {
                length: payload.len(),
            });
        }
        let count = self
            .inner
            .decode_float(payload, &mut self.pcm[..], false)
            .map_err(|error| DecodeError::Refused(error.description()))?;
        Ok(sanitised(&mut self.pcm[..count]))
    }

    /// Reconstructs the `samples` before packet `next` from the redundancy in it.
    ///
    /// What the redundancy does not cover is concealed, so the result always has `samples`
    /// samples (at most 5,760). `next` must be decoded afterwards as usual.
    pub fn recover(&mut self, next: &[u8], samples: usize) -> Result<&[f32], DecodeError> {
        if packet::shape(next).is_none() {
            return Err(DecodeError::Garbage { length: next.len() });
        }
        let samples = samples.min(self.pcm.len());
        let whole = samples.next_multiple_of(GRAIN);
        self.inner
            .decode_float(next, &mut self.pcm[..whole], true)
            .map_err(|error| DecodeError::Refused(error.description()))?;
        Ok(sanitised(&mut self.pcm[..samples]))
    }

    /// Makes up `samples` samples (at most 5,760) that continue what was decoded last, fading to
    /// silence over some 100 ms. Never fails: if libopus cannot, the result is silence.
    pub fn conceal(&mut self, samples: usize) -> &[f32] {
        let samples = samples.min(self.pcm.len());
        let mut done = 0;
        while done < samples {
            // libopus conceals any multiple of 2.5 ms, but its fade is tuned for its own frames.
            let piece = (samples - done).next_multiple_of(GRAIN).min(FRAME);
            let piece = piece.min(self.pcm.len() - done);
            match self
                .inner
                .decode_float(&[], &mut self.pcm[done..done + piece], false)
            {
                Ok(count) if count > 0 => done += count,
                _ => {
                    self.pcm[done..samples].fill(0.0);
                    break;
                }
            }
        }
        sanitised(&mut self.pcm[..samples])
    }

    /// Forgets the stream, for a source that started anew.
    pub fn reset(&mut self) {
        if let Err(error) = self.inner.reset_state() {
            tracing::warn!(%error, "an Opus decoder kept its old state");
        }
    }
}

/// A hostile packet can make libopus produce samples far over full scale; none leaves here.
fn sanitised(pcm: &mut [f32]) -> &[f32] {
    for sample in pcm.iter_mut() {
        *sample = if sample.is_finite() {
            sample.clamp(-2.0, 2.0)
        } else {
            0.0
        };
    }
    pcm
}

/// How an [`Encoder`] spends bits and cycles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncoderConfig {
    /// Target bit rate, bits a second.
    pub bitrate: u32,
    /// CPU effort, 0 to 10.
    pub complexity: u8,
    /// Expected loss, per cent; over 0 makes the encoder spend bits on in-band FEC.
    pub expected_loss: u8,
}

impl Default for EncoderConfig {
    fn default() -> Self {
        EncoderConfig {
            bitrate: 32_000,
            complexity: 5,
            expected_loss: 5,
        }
    }
}

/// An Opus encoder for speech: 20 ms of 48 kHz mono in, one packet with in-band FEC out.
#[derive(Debug)]
pub struct Encoder {
    inner: opus::Encoder,
    packet: Box<[u8; MAX_PACKET]>,
}

impl Encoder {
    /// Makes an encoder; out-of-range settings are clamped to what Opus allows.
    pub fn new(config: EncoderConfig) -> Result<Encoder, CreateCodecError> {
        let refused = |error: opus::Error| CreateCodecError(error.description());
        let mut inner =
            opus::Encoder::new(RATE, Channels::Mono, Application::Voip).map_err(refused)?;
        inner
            .set_bitrate(Bitrate::Bits(config.bitrate.clamp(6_000, 510_000) as i32))
            .map_err(refused)?;
        inner
            .set_complexity(i32::from(config.complexity.min(10)))
            .map_err(refused)?;
        inner.set_signal(Signal::Voice).map_err(refused)?;
        inner.set_inband_fec(true).map_err(refused)?;
        inner
            .set_packet_loss_perc(i32::from(config.expected_loss.min(100)))
            .map_err(refused)?;
        Ok(Encoder {
            inner,
            packet: Box::new([0; MAX_PACKET]),
        })
    }

    /// Encodes 20 ms, full scale ±1.0. Louder or non-finite samples must not be passed; the
    /// mixer's limiter sees to that.
    pub fn encode(&mut self, pcm: &[f32; FRAME]) -> Result<Bytes, EncodeError> {
        let length = self
            .inner
            .encode_float(pcm, &mut self.packet[..])
            .map_err(|error| EncodeError(error.description()))?;
        Ok(Bytes::copy_from_slice(&self.packet[..length]))
    }

    /// Tells the encoder what share of its packets gets lost, per cent (0 turns FEC off).
    pub fn set_expected_loss(&mut self, percent: u8) -> Result<(), EncodeError> {
        self.inner
            .set_packet_loss_perc(i32::from(percent.min(100)))
            .map_err(|error| EncodeError(error.description()))
    }
}

#[cfg(test)]
#[path = "opus_tests.rs"]
mod tests;
