//! Sample-rate conversion of streams, on `rubato`'s FFT resampler.
//!
//! Both directions are *aligned*: the filter's delay is cut off the beginning, so output sample `n`
//! shows the same instant as input sample `n × from ÷ to`. What remains is latency: an output
//! sample exists only once the input up to [`Resampler::latency`] after it has been pushed.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler as _, WindowFunction};

/// Why a resampler could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreateResamplerError {
    /// A rate outside 4 to 192 kHz.
    #[error("cannot resample from {from} Hz to {to} Hz; rates are 4,000 to 192,000 Hz")]
    Rate {
        /// Input rate, Hz.
        from: u32,
        /// Output rate, Hz.
        to: u32,
    },
    /// The rates share so small a factor that conversion would need long blocks.
    #[error("cannot resample from {from} Hz to {to} Hz with low latency; use a common audio rate")]
    Awkward {
        /// Input rate, Hz.
        from: u32,
        /// Output rate, Hz.
        to: u32,
    },
    /// The library refused.
    #[error("cannot resample from {from} Hz to {to} Hz: {reason}")]
    Library {
        /// Input rate, Hz.
        from: u32,
        /// Output rate, Hz.
        to: u32,
        /// What it said.
        reason: String,
    },
}

/// A streaming, aligned converter of one mono stream between two fixed rates.
pub struct Resampler {
    /// `None` when both rates are the same.
    fft: Option<Fft<f32>>,
    chunk_in: usize,
    delay: usize,
    from: u64,
    to: u64,
    carry: Vec<f32>,
    made: Vec<f32>,
    /// Samples of the filter's delay still to be cut off.
    trim: usize,
    taken: u64,
    given: u64,
}

impl std::fmt::Debug for Resampler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resampler")
            .field("from", &self.from)
            .field("to", &self.to)
            .field("taken", &self.taken)
            .field("given", &self.given)
            .finish_non_exhaustive()
    }
}

impl Resampler {
    /// Makes a converter from `from` Hz to `to` Hz that works in blocks of about `block` of the
    /// slower rate's samples; larger blocks filter more sharply and take longer.
    fn new(from: u32, to: u32, block: usize) -> Result<Resampler, CreateResamplerError> {
        let valid = 4_000..=192_000;
        if !valid.contains(&from) || !valid.contains(&to) {
            return Err(CreateResamplerError::Rate { from, to });
        }
        // A block holds a whole number of `from ÷ gcd` input samples; refuse over 50 ms.
        if gcd(from, to) < 20 {
            return Err(CreateResamplerError::Awkward { from, to });
        }
        let wanted = if from > to {
            block * from as usize / to as usize
        } else {
            block
        };
        let fft = if from == to {
            None
        } else {
            let fft = Fft::new_custom(
                from as usize,
                to as usize,
                wanted,
                1,
                1,
                WindowFunction::Blackman2,
                FixedSync::Both,
            )
            .map_err(|error| CreateResamplerError::Library {
                from,
                to,
                reason: error.to_string(),
            })?;
            Some(fft)
        };
        let (chunk_in, chunk_out, delay) = fft.as_ref().map_or((1, 1, 0), |fft| {
            (
                fft.input_frames_next(),
                fft.output_frames_next(),
                fft.output_delay(),
            )
        });
        Ok(Resampler {
            fft,
            chunk_in,
            delay,
            from: u64::from(from),
            to: u64::from(to),
            carry: Vec::with_capacity(chunk_in),
            made: vec![0.0; chunk_out],
            trim: delay,
            taken: 0,
            given: 0,
        })
    }

    /// Delay of the filter, output samples: how much input must follow an instant before its
    /// output can exist. Up to one block of input on top waits to become whole.
    pub fn latency(&self) -> usize {
        self.delay
    }

    /// Input samples in one block: output appears in steps of this.
    pub fn block(&self) -> usize {
        self.chunk_in
    }

    /// Takes any number of samples and appends what can be given to `out`.
    pub fn push(&mut self, pcm: &[f32], out: &mut Vec<f32>) {
        self.taken += pcm.len() as u64;
        if self.fft.is_none() {
            self.given += pcm.len() as u64;
            out.extend_from_slice(pcm);
            return;
        }
        let mut rest = pcm;
        while !rest.is_empty() {
            if self.carry.is_empty() && rest.len() >= self.chunk_in {
                let (block, tail) = rest.split_at(self.chunk_in);
                self.convert(Some(block), out);
                rest = tail;
                continue;
            }
            let (head, tail) = rest.split_at(rest.len().min(self.chunk_in - self.carry.len()));
            self.carry.extend_from_slice(head);
            rest = tail;
            if self.carry.len() == self.chunk_in {
                self.convert(None, out);
            }
        }
    }

    /// Ends the stream: appends what is still inside to `out`, so that in all
    /// `⌈taken × to ÷ from⌉` samples have been given, and starts over for another stream.
    pub fn finish(&mut self, out: &mut Vec<f32>) {
        let whole = (self.taken * self.to).div_ceil(self.from);
        let start = out.len() as u64;
        let before = self.given;
        while self.given < whole && self.fft.is_some() {
            self.carry.resize(self.chunk_in, 0.0);
            self.convert(None, out);
        }
        if self.given > whole {
            out.truncate((start + whole - before) as usize);
        }
        self.reset();
    }

    /// Forgets the stream.
    pub fn reset(&mut self) {
        if let Some(fft) = &mut self.fft {
            fft.reset();
        }
        self.carry.clear();
        self.trim = self.delay;
        self.taken = 0;
        self.given = 0;
    }

    /// Converts one block: `block`, or else what is carried.
    fn convert(&mut self, block: Option<&[f32]>, out: &mut Vec<f32>) {
        let Some(fft) = &mut self.fft else { return };
        let input = block.unwrap_or(&self.carry);
        let chunk_out = self.made.len();
        let result = InterleavedSlice::new(input, 1, input.len())
            .map_err(|error| error.to_string())
            .and_then(|source| {
                InterleavedSlice::new_mut(&mut self.made, 1, chunk_out)
                    .map_err(|error| error.to_string())
                    .and_then(|mut sink| {
                        fft.process_into_buffer(&source, &mut sink, None)
                            .map_err(|error| error.to_string())
                    })
            });
        if let Err(error) = result {
            // Sizes are fixed at construction; keep time even if the library disagrees.
            tracing::error!(%error, "the resampler gave silence for a block");
            self.made.fill(0.0);
        }
        self.carry.clear();
        let cut = self.trim.min(chunk_out);
        self.trim -= cut;
        self.given += (chunk_out - cut) as u64;
        out.extend_from_slice(&self.made[cut..]);
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// 48 kHz → 16 kHz, for recognition.
///
/// Blocks of 10 ms (480 → 160 samples), filter delay 5 ms (80 samples at 16 kHz). Flat within 1 dB
/// to 6.8 kHz, the top of the recognisers' filter banks.
#[derive(Debug)]
pub struct Down(Resampler);

impl Down {
    /// Makes a converter with an empty history.
    pub fn new() -> Result<Down, CreateResamplerError> {
        Resampler::new(48_000, 16_000, 160).map(Down)
    }

    /// The converter.
    pub fn stream(&mut self) -> &mut Resampler {
        &mut self.0
    }
}

/// Any rate from 4 to 192 kHz → 48 kHz, for synthesised speech.
///
/// Blocks of about 10 ms, so the delay is about 5 ms at 16 kHz and 6.7 ms at 22.05 kHz (eSpeak).
#[derive(Debug)]
pub struct Up(Resampler);

impl Up {
    /// Makes a converter from `from` Hz.
    pub fn new(from: u32) -> Result<Up, CreateResamplerError> {
        Resampler::new(from, 48_000, (from / 100) as usize).map(Up)
    }

    /// The converter.
    pub fn stream(&mut self) -> &mut Resampler {
        &mut self.0
    }
}

#[cfg(test)]
#[path = "resample_tests.rs"]
mod tests;
