//! Measures the engines on this machine: `cargo run --release -p hive-models --example measure`.
//!
//! Word error rate and speed of the recogniser on flite's speech and on LibriVox, lag and retraction
//! of its captions, and the milliseconds that voice activity, translation and synthesis take.

#[path = "../tests/speech/mod.rs"]
mod speech;

use std::time::Instant;

use hive_models::mt::Translate;
use hive_models::mt::apertium::{ApertiumPool, ApertiumSettings};
use hive_models::mt::truecase::truecase;
use hive_models::stt::agreement::LocalAgreement;
use hive_models::stt::pocketsphinx::{Decoder, Model, SearchSettings};
use hive_models::stt::{CmnState, SpeechToText, UtteranceStart};
use hive_models::tts::espeak::{EspeakPool, EspeakSettings};
use hive_models::tts::{SpeechRequest, Synthesise};
use hive_models::vad::{SileroVad, VadState, VoiceActivity, WINDOW_SAMPLES};
use hive_models::{Lang, LangPair};

type Failure = Box<dyn std::error::Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    recogniser()?;
    voice_activity()?;
    translation().await?;
    synthesis().await
}

/// CPU time of this process so far, in seconds.
fn cpu() -> f64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is to a live timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn percentile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values
        .get((values.len() * percent / 100).min(values.len().saturating_sub(1)))
        .copied()
        .unwrap_or(f64::NAN)
}

fn recogniser() -> Result<(), Failure> {
    let model = Model::open(&speech::assets(), SearchSettings::default())?;
    let started = Instant::now();
    let mut decoder = Decoder::new(&model)?;
    println!("decoder made in {:.2} s", started.elapsed().as_secs_f64());
    // Name, then the clips with their texts.
    type Group = (String, Vec<(Vec<f32>, String)>);
    let mut groups: Vec<Group> = ["slt", "rms", "kal16", "awb"]
        .map(|voice| {
            let clips = speech::MEETING
                .iter()
                .map(|text| (speech::flite(voice, text), (*text).to_owned()));
            (voice.to_owned(), clips.collect())
        })
        .into();
    groups.push(("librivox".into(), speech::librivox()));
    let show = std::env::args().any(|argument| argument == "--show");
    for (name, clips) in groups {
        let mut cmn = CmnState::default();
        let (mut errors, mut words, mut seconds, mut agreed_errors) = (0, 0, 0.0, 0);
        let (mut finish, mut lags) = (Vec::new(), Vec::new());
        let before = cpu();
        for (pcm, text) in &clips {
            decoder.start(UtteranceStart { sample: 0, cmn })?;
            let mut agreement = LocalAgreement::new(2);
            for (i, chunk) in pcm.chunks(1_600).enumerate() {
                decoder.process(chunk)?;
                let partial = decoder.partial()?;
                if i % 2 == 1 {
                    let now = ((i + 1) * 1_600) as f64;
                    let update = agreement.update(&partial);
                    lags.extend(
                        update
                            .committed
                            .iter()
                            .map(|word| (now - word.end as f64) / 16.0),
                    );
                }
            }
            let closing = Instant::now();
            let last = decoder.finish()?;
            finish.push(closing.elapsed().as_secs_f64() * 1e3);
            agreement.finish(&last);
            cmn = decoder.cmn().clone();
            seconds += pcm.len() as f64 / 16_000.0;
            let (e, w) = speech::word_errors(text, &last.text());
            let agreed: Vec<&str> = agreement
                .committed()
                .iter()
                .map(|word| word.text.as_str())
                .collect();
            agreed_errors += speech::word_errors(text, &agreed.join(" ")).0;
            errors += e;
            words += w;
            if show {
                println!("  {e}/{w} {}\n       {}", last.text(), agreed.join(" "));
            }
        }
        println!(
            "{name}: WER {:.1} % (as committed {:.1} %) of {words} words, CPU/audio {:.3}, commit lag p50 {:.0} ms, finish p95 {:.0} ms, mean {:.1?}",
            100.0 * errors as f64 / words as f64,
            100.0 * agreed_errors as f64 / words as f64,
            (cpu() - before) / seconds,
            percentile(&mut lags, 50),
            percentile(&mut finish, 95),
            cmn.mean(),
        );
    }
    Ok(())
}

fn voice_activity() -> Result<(), Failure> {
    let started = Instant::now();
    let vad = SileroVad::load(&speech::assets())?;
    println!(
        "voice activity model loaded in {:.2} s",
        started.elapsed().as_secs_f64()
    );
    let pcm = speech::flite("slt", speech::MEETING[0]);
    for batch in [1, 2, 4, 8, 16, 32] {
        let mut states = vec![VadState::default(); batch];
        let mut times = Vec::new();
        for window in pcm.chunks_exact(WINDOW_SAMPLES) {
            let window: [f32; WINDOW_SAMPLES] = window.try_into()?;
            let mut states: Vec<&mut VadState> = states.iter_mut().collect();
            let started = Instant::now();
            vad.run(&vec![window; batch], &mut states)?;
            times.push(started.elapsed().as_secs_f64() * 1e3);
        }
        let p50 = percentile(&mut times, 50);
        println!(
            "  batch {batch}: {p50:.3} ms, {:.3} ms a window",
            p50 / batch as f64
        );
    }
    Ok(())
}

async fn translation() -> Result<(), Failure> {
    let pool = ApertiumPool::start(ApertiumSettings::default())?;
    let pair = LangPair::new(Lang::EN, Lang::ES);
    let started = Instant::now();
    pool.warm(pair).await?;
    println!(
        "a translation pipeline starts in {:.3} s",
        started.elapsed().as_secs_f64()
    );
    let mut times = Vec::new();
    for round in 0..20 {
        for text in speech::MEETING {
            let clause = truecase(Lang::EN, text, true);
            let started = Instant::now();
            let translation = pool.translate(pair, &clause).await?;
            times.push(started.elapsed().as_secs_f64() * 1e3);
            if round == 0 {
                println!("  {clause} → {translation}");
            }
        }
    }
    println!(
        "  p50 {:.2} ms, p95 {:.2} ms a clause",
        percentile(&mut times, 50),
        percentile(&mut times, 95)
    );
    Ok(())
}

async fn synthesis() -> Result<(), Failure> {
    let pool = EspeakPool::start(EspeakSettings {
        children: 1,
        ..Default::default()
    })?;
    for (name, alternate) in [("standing by", false), ("started for the clause", true)] {
        let (mut first, mut whole, mut quiet) = (Vec::new(), Vec::new(), Vec::new());
        for i in 0..40_u16 {
            tokio::time::sleep(std::time::Duration::from_millis(60)).await;
            let started = Instant::now();
            let mut stream = pool.synthesise(SpeechRequest {
                text: "Tenemos que acabar el proyecto la semana próxima".into(),
                lang: Lang::ES,
                rate: alternate.then_some(170 + i % 2),
            });
            let mut samples = Vec::new();
            while let Some(chunk) = stream.next().await {
                if samples.is_empty() {
                    first.push(started.elapsed().as_secs_f64() * 1e3);
                }
                samples.extend(chunk?);
            }
            whole.push(started.elapsed().as_secs_f64() * 1e3);
            let voiced = samples
                .iter()
                .position(|sample| sample.abs() > 0.01)
                .unwrap_or(0);
            quiet.push(voiced as f64 / 22.05);
        }
        println!(
            "speech, child {name}: first samples p50 {:.1} ms, p95 {:.1} ms; whole clause p50 {:.1} ms; {:.0} ms of silence first",
            percentile(&mut first, 50),
            percentile(&mut first, 95),
            percentile(&mut whole, 50),
            percentile(&mut quiet, 50),
        );
    }
    Ok(())
}
