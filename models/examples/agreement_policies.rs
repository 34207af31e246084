//! Compares policies of committing words, on flite's speech and on LibriVox: how wrong what they commit
//! is, and how late. `cargo run --release -p hive-models --example agreement_policies`.

#[path = "../tests/speech/mod.rs"]
mod speech;

use hive_models::stt::agreement::LocalAgreement;
use hive_models::stt::pocketsphinx::{Decoder, Model, SearchSettings};
use hive_models::stt::{CmnState, Hypothesis, SpeechToText, UtteranceStart};

/// Samples between two partial hypotheses: 100 ms.
const STEP: usize = 1_600;

struct Trace {
    said: String,
    /// Partial hypotheses, each with the samples given before it.
    partials: Vec<(u64, Hypothesis)>,
    last: Hypothesis,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut decoder = Decoder::new(&Model::open(&speech::assets(), SearchSettings::default())?)?;
    let mut flite = Vec::new();
    for voice in ["slt", "rms", "kal16", "awb"] {
        let clips = speech::MEETING
            .iter()
            .map(|text| (speech::flite(voice, text), (*text).to_owned()));
        flite.extend(record(&mut decoder, clips)?);
    }
    let librivox = record(&mut decoder, speech::librivox().into_iter())?;
    println!("agree every hold | flite WER, commit p50/p95 | LibriVox WER, commit p50/p95");
    for (agree, every) in [(1, 1), (2, 1), (2, 2), (3, 1), (3, 2), (4, 1)] {
        for hold_ms in [0, 200, 300, 400, 500, 600, 800] {
            let flite = judge(&flite, agree, every, hold_ms * 16);
            let librivox = judge(&librivox, agree, every, hold_ms * 16);
            println!(
                "{agree:5} {:5} {hold_ms:4} | {flite} | {librivox}",
                every * 100
            );
        }
    }
    Ok(())
}

fn record(
    decoder: &mut Decoder,
    clips: impl Iterator<Item = (Vec<f32>, String)>,
) -> Result<Vec<Trace>, Box<dyn std::error::Error>> {
    let mut cmn = CmnState::default();
    let mut traces = Vec::new();
    for (pcm, said) in clips {
        decoder.start(UtteranceStart { sample: 0, cmn })?;
        let mut partials = Vec::new();
        let mut given = 0;
        for chunk in pcm.chunks(STEP) {
            decoder.process(chunk)?;
            given += chunk.len() as u64;
            partials.push((given, decoder.partial()?));
        }
        let last = decoder.finish()?;
        cmn = decoder.cmn().clone();
        traces.push(Trace {
            said,
            partials,
            last,
        });
    }
    Ok(traces)
}

fn judge(traces: &[Trace], agree: usize, every: usize, hold: u64) -> String {
    let (mut errors, mut words, mut lags) = (0, 0, Vec::new());
    for trace in traces {
        let mut agreement = LocalAgreement::new(agree).holding(hold);
        for (given, hypothesis) in trace.partials.iter().skip(every - 1).step_by(every) {
            let update = agreement.update_at(hypothesis, *given);
            lags.extend(update.committed.iter().map(|word| (given - word.end) / 16));
        }
        let end = trace.partials.last().map_or(0, |(given, _)| *given);
        let rest = agreement.finish(&trace.last);
        lags.extend(
            rest.committed
                .iter()
                .map(|word| end.saturating_sub(word.end) / 16),
        );
        let committed = Hypothesis {
            words: agreement.committed().to_vec(),
        };
        let (e, w) = speech::word_errors(&trace.said, &committed.text());
        errors += e;
        words += w;
    }
    lags.sort_unstable();
    let lag = |percent: usize| lags.get(lags.len() * percent / 100).copied().unwrap_or(0);
    format!(
        "{:4.1} % {:4}/{:4} ms",
        100.0 * errors as f64 / words as f64,
        lag(50),
        lag(95)
    )
}
