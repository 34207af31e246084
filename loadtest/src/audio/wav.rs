//! 16-bit mono WAV files.

use std::path::Path;

/// Write mono samples (-1..1, clipped beyond) as 16-bit PCM.
///
/// # Errors
///
/// The file cannot be written.
pub fn write_mono(path: &Path, rate: u32, pcm: &[f32]) -> Result<(), hound::Error> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: rate,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec)?;
    for sample in pcm {
        writer.write_sample((sample.clamp(-1.0, 1.0) * 32_767.0) as i16)?;
    }
    writer.finalize()
}
