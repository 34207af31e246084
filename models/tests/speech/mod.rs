//! Speech for tests: spoken by flite when the test runs, or read by people (LibriVox).
#![allow(dead_code, unreachable_pub)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

pub const MEETING: &[&str] = &[
    "good morning everyone thank you for joining the meeting",
    "we need to finish the project by next friday",
    "the budget is too small for this year",
    "could you please repeat the last question",
    "the customer asked for a new version of the product",
    "we have a serious problem with the server in the london office",
    "i will send you the report before the end of the day",
    "how many people are going to work on this team",
    "let us move on to the next point on the agenda",
    "today we will discuss the results of the first half of the year",
];

/// The directory that `scripts/setup` fills.
pub fn assets() -> PathBuf {
    std::env::var_os("HIVE_ASSETS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../.deps"),
        PathBuf::from,
    )
}

/// Mono samples at 16 kHz of a sentence in a voice of flite (`slt`, `rms`, `kal16`, `awb`), with 0.3 s
/// of faint noise before and after, as a microphone has.
pub fn flite(voice: &str, text: &str) -> Vec<f32> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let file = std::env::temp_dir().join(format!("hive-flite-{}-{number}.wav", std::process::id()));
    let status = Command::new("flite")
        .args(["-voice", voice, "-t", text, "-o"])
        .arg(&file)
        .status()
        .expect("flite is installed by `scripts/setup test`");
    assert!(status.success(), "flite failed");
    let speech = read_wav(&file);
    std::fs::remove_file(&file).expect("it was just written");
    let quiet = noise(4_800, 0.0005, number.into());
    [&quiet[..], &speech, &quiet].concat()
}

/// LibriVox clips of Debian's `pocketsphinx-testdata`, with what is said.
pub fn librivox() -> Vec<(Vec<f32>, String)> {
    let directory = Path::new("/usr/share/pocketsphinx/test/data/librivox");
    let transcription = std::fs::read_to_string(directory.join("transcription"))
        .expect("pocketsphinx-testdata is installed by `scripts/setup test`");
    let clip = |line: &str| {
        let (text, name) = line.rsplit_once('(')?;
        let text = text.replace("<s>", "").replace("</s>", "");
        let file = directory.join(format!("{}.wav", name.trim_end_matches(')')));
        Some((read_wav(&file), text.trim().to_owned()))
    };
    transcription.lines().filter_map(clip).collect()
}

fn read_wav(file: &Path) -> Vec<f32> {
    let bytes = std::fs::read(file).expect("a readable file");
    assert_eq!(
        &bytes[24..28],
        16_000_u32.to_le_bytes(),
        "{} is not at 16 kHz",
        file.display()
    );
    let data = bytes
        .windows(4)
        .position(|window| window == b"data")
        .expect("a WAV file")
        + 8;
    let sample = |pair: &[u8]| f32::from(i16::from_le_bytes([pair[0], pair[1]])) / 32768.0;
    bytes[data..].chunks_exact(2).map(sample).collect()
}

/// White noise of the given root mean square, from a seed.
pub fn noise(samples: usize, level: f32, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut uniform = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..samples)
        .map(|_| uniform() * level * 3.0_f32.sqrt())
        .collect()
}

/// Word errors (substitutions, insertions, deletions) of `heard` against `said`, and the words said.
pub fn word_errors(said: &str, heard: &str) -> (usize, usize) {
    let said: Vec<&str> = said.split_whitespace().collect();
    let heard: Vec<&str> = heard.split_whitespace().collect();
    let mut row: Vec<usize> = (0..=heard.len()).collect();
    for (i, word) in said.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (k, other) in heard.iter().enumerate() {
            let replaced = diagonal + usize::from(word != other);
            diagonal = row[k + 1];
            row[k + 1] = replaced.min(diagonal + 1).min(row[k] + 1);
        }
    }
    (row[heard.len()], said.len())
}
