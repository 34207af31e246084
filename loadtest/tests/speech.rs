//! Known word times, checked by somebody else: PocketSphinx aligns what flite spoke.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use hive_loadtest::score::summary::Summary;
use hive_loadtest::speech::align::Aligner;
use hive_loadtest::speech::flite::{self, Voice};
use hive_loadtest::speech::{file, librivox};

fn aligner() -> Aligner {
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.deps");
    Aligner::new(&assets).unwrap()
}

#[test]
fn flite_and_the_aligner_agree_on_where_words_end() {
    let text = "please call the company and ask them to come tomorrow morning";
    let aligner = aligner();
    let mut apart = Vec::new();
    for voice in Voice::ALL {
        let spoken = flite::synthesise(text, voice).unwrap();
        let aligned = aligner.align(spoken.pcm.clone(), text).unwrap();
        assert_eq!(aligned.words.len(), spoken.words.len());
        for (a, b) in aligned.words.iter().zip(&spoken.words) {
            assert_eq!(a.text, b.text);
            apart.push((a.end - b.end).abs() * 1000.0);
        }
    }
    let apart = Summary::of(apart);
    assert!(
        apart.p50.unwrap() <= 40.0 && apart.p95.unwrap() <= 120.0,
        "{apart:?}"
    );
}

#[test]
fn the_human_clips_have_words_in_order() {
    let meeting = librivox::meeting(Path::new(librivox::DIRECTORY), &aligner(), 1).unwrap();
    let words = &meeting.tracks[0].words;
    assert!(words.len() > 70, "{}", words.len());
    assert!(words.windows(2).all(|w| w[0].end <= w[1].start + 1e-9));
    assert!(words.last().unwrap().end < meeting.seconds());
}

#[test]
fn a_text_that_is_not_what_is_said_is_refused_with_the_reason() {
    let directory = Path::new(librivox::DIRECTORY);
    let pcm =
        file::read_mono(&directory.join("sense_and_sensibility_01_austen_64kb-0880.wav")).unwrap();
    let error = aligner().align(pcm, "xqzt blorpf").unwrap_err().to_string();
    assert!(error.contains("cmudict"), "{error}");
}
