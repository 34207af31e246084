//! One speaker's way in: packets to PCM at 48 and 16 kHz on one media clock.

use std::time::Instant;

use super::frame::EncodedFrame;
use super::jitter::{JitterBuffer, JitterConfig, JitterStats, Playout};
use super::opus::{CreateCodecError, Decoder};
use super::packet::MAX_SAMPLES;
use super::resample::{CreateResamplerError, Down};

/// Why a [`SpeechDecoder`] could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreateSpeechDecoderError {
    /// No Opus decoder.
    #[error(transparent)]
    Codec(#[from] CreateCodecError),
    /// No resampler.
    #[error(transparent)]
    Resampler(#[from] CreateResamplerError),
}

/// Some decoded audio. Successive ones follow each other without a hole unless `media_time` says
/// so; it never goes back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decoded<'a> {
    /// The audio at 48 kHz, any number of samples up to 5,760.
    pub pcm48: &'a [f32],
    /// The same audio at 16 kHz, some 5 to 15 ms behind `pcm48`; may be empty.
    pub pcm16: &'a [f32],
    /// Position of `pcm16[0]`: 16 kHz samples since the first packet's timestamp.
    pub media_time: u64,
    /// Position of `pcm48[0]`: 48 kHz samples since the first packet's timestamp.
    pub media_time48: u64,
    /// Whether this stretch of `pcm48` is reconstructed, concealed or silence made up.
    pub concealed: bool,
}

/// De-jitters, decodes, repairs and resamples one speaker's Opus stream.
#[derive(Debug)]
pub struct SpeechDecoder {
    jitter: JitterBuffer,
    decoder: Decoder,
    down: Down,
    pcm16: Vec<f32>,
    /// Where the next 48 kHz sample and the next 16 kHz sample belong.
    at48: u64,
    at16: u64,
    refused: u64,
}

impl SpeechDecoder {
    /// Makes a decoder for a stream that has not begun.
    pub fn new(config: JitterConfig) -> Result<SpeechDecoder, CreateSpeechDecoderError> {
        Ok(SpeechDecoder {
            jitter: JitterBuffer::new(config),
            decoder: Decoder::new()?,
            down: Down::new()?,
            pcm16: Vec::with_capacity(MAX_SAMPLES as usize),
            at48: 0,
            at16: 0,
            refused: 0,
        })
    }

    /// Takes a packet; `now` is the time of the call.
    pub fn push(&mut self, frame: EncodedFrame, now: Instant) {
        self.jitter.push(frame, now);
    }

    /// Hands everything that is due at `now` to `sink`, in order.
    pub fn poll(&mut self, now: Instant, sink: &mut dyn FnMut(Decoded<'_>)) {
        while let Some(playout) = self.jitter.poll(now) {
            self.play(&playout, sink);
        }
    }

    /// When [`SpeechDecoder::poll`] has something to do even if no packet arrives.
    pub fn next_at(&self) -> Option<Instant> {
        self.jitter.next_at()
    }

    /// The de-jitter buffer's counters.
    pub fn stats(&self) -> JitterStats {
        self.jitter.stats()
    }

    /// Packets that were not Opus and have been concealed.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    fn play(&mut self, playout: &Playout, sink: &mut dyn FnMut(Decoded<'_>)) {
        let (media, pcm, concealed) = match playout {
            Playout::Frame {
                frame,
                media,
                samples,
                skip,
                restarted,
            } => {
                if *restarted {
                    self.decoder.reset();
                }
                let mut concealed = false;
                let pcm = match self.decoder.decode(&frame.payload) {
                    Ok(pcm) => pcm,
                    Err(error) => {
                        tracing::debug!(seq = frame.seq, %error, "a packet is concealed");
                        self.refused += 1;
                        concealed = true;
                        self.decoder.conceal(*samples as usize)
                    }
                };
                let skip = (*skip as usize).min(pcm.len());
                (*media, &pcm[skip..], concealed)
            }
            Playout::Fec {
                next,
                media,
                samples,
            } => {
                let samples = *samples as usize;
                let pcm = match self.decoder.recover(&next.payload, samples) {
                    Ok(pcm) => pcm,
                    Err(_) => self.decoder.conceal(samples),
                };
                (*media, pcm, true)
            }
            Playout::Lost { media, samples } => {
                (*media, self.decoder.conceal(*samples as usize), true)
            }
        };
        let down = self.down.stream();
        if media != self.at48 {
            // A gap that was not filled. The few milliseconds inside the resampler are dropped:
            // they are the end of a long silence, or of a source that is gone.
            down.reset();
            self.at16 = media.div_ceil(3);
        }
        self.pcm16.clear();
        down.push(pcm, &mut self.pcm16);
        self.at48 = media + pcm.len() as u64;
        let media_time = self.at16;
        self.at16 += self.pcm16.len() as u64;
        sink(Decoded {
            pcm48: pcm,
            pcm16: &self.pcm16,
            media_time,
            media_time48: media,
            concealed,
        });
    }
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
