//! The demo, short: everything that `make demo` reports, while stages are killed.

#![allow(clippy::unwrap_used)]

mod meeting;

use clap::Parser;
use hive_loadtest::audio::wav;
use hive_loadtest::demo::DemoOptions;
use hive_loadtest::speech::flite::{self, Voice};
use serde_json::Value;

const TEXT: &str = "Good morning. We have some good news about the new project. The first version is \
    ready, and our customers like it. Most of them work in small companies in the south of the country. \
    Some of them think that the price is too high. We should offer a better price to small companies.";

/// The options as the command line takes them.
#[derive(Parser)]
struct Line {
    #[command(flatten)]
    options: DemoOptions,
}

#[tokio::test(flavor = "multi_thread")]
async fn no_committed_word_is_lost_or_doubled_while_stages_die() {
    let out = std::env::temp_dir().join(format!("hive-chaos-{}", std::process::id()));
    std::fs::create_dir_all(&out).unwrap();
    let (wav, text) = (out.join("speech.wav"), out.join("speech.txt"));
    let clip = flite::synthesise(TEXT, Voice::Slt).unwrap();
    wav::write_mono(&wav, 16_000, &clip.pcm).unwrap();
    std::fs::write(&text, TEXT).unwrap();
    let line = Line::parse_from([
        "demo".as_ref(),
        "--chaos".as_ref(),
        "--no-librivox".as_ref(),
        "--wav".as_ref(),
        wav.as_os_str(),
        "--text".as_ref(),
        text.as_os_str(),
        "--out".as_ref(),
        out.as_os_str(),
        "--assets".as_ref(),
        meeting::assets().as_os_str(),
        "--server".as_ref(),
        env!("CARGO_BIN_EXE_hive").as_ref(),
    ]);
    hive_loadtest::demo::run(&line.options).await.unwrap();

    let report = std::fs::read(line.options.report_path()).unwrap();
    let report: Value = serde_json::from_slice(&report).unwrap();
    let figure = |name: &str| {
        report[name]
            .as_f64()
            .unwrap_or_else(|| panic!("no {name}: {report}"))
    };
    assert!(
        report["kills"]
            .as_object()
            .is_some_and(|kills| !kills.is_empty()),
        "{report}"
    );
    assert!(figure("restarts") > 0.0);
    for none in [
        "words_lost",
        "words_doubled",
        "word_retraction_rate",
        "clauses_unfinished",
    ] {
        assert_eq!(figure(none), 0.0, "{none}: {report}");
    }
    assert_eq!(report["event_faults"], serde_json::json!([]));
    assert!(figure("wer") < 0.3, "{report}");
    for file in [
        "translated.wav",
        "floor.wav",
        "captions.en.vtt",
        "captions.es.vtt",
    ] {
        assert!(
            out.join(file).metadata().is_ok_and(|file| file.len() > 100),
            "{file}"
        );
    }
    std::fs::remove_dir_all(&out).unwrap();
}
