//! eSpeak NG's children under good text, bad text and violence.

use std::path::Path;
use std::time::Duration;

use hive_models::Lang;
use hive_models::tts::espeak::{EspeakPool, EspeakSettings};
use hive_models::tts::{SpeechRequest, SpeechStream, Synthesise, SynthesiseError};

const CLAUSE: &str = "Tenemos que acabar el proyecto la semana próxima";

fn pool(children: usize) -> EspeakPool {
    let settings = EspeakSettings {
        children,
        timeout: Duration::from_secs(30),
        ..Default::default()
    };
    EspeakPool::start(settings).expect("espeak-ng is installed by `scripts/setup build`")
}

fn spanish(text: &str) -> SpeechRequest {
    SpeechRequest {
        text: text.into(),
        lang: Lang::ES,
        rate: None,
    }
}

async fn listen(mut stream: SpeechStream) -> Result<Vec<f32>, SynthesiseError> {
    let mut samples = Vec::new();
    while let Some(chunk) = stream.next().await {
        samples.extend(chunk?);
    }
    Ok(samples)
}

fn kill(pid: u32) {
    // SAFETY: a child of this process that its pool has not waited for.
    unsafe { libc::kill(pid.cast_signed(), libc::SIGKILL) };
}

#[tokio::test]
async fn a_clause_is_spoken_in_chunks() {
    let mut stream = pool(1).synthesise(spanish(CLAUSE));
    assert_eq!(stream.sample_rate(), 22_050);
    drop(stream.next().await);

    let pool = pool(1);
    let mut stream = pool.synthesise(spanish(CLAUSE));
    let first = stream.next().await.expect("speech").expect("no error");
    assert!(
        first.len() <= 2_048,
        "the first chunk is {} samples",
        first.len()
    );
    assert!(first[0].abs() >= 0.005, "it begins with silence");
    let rest = listen(stream).await.expect("no error");
    let seconds = (first.len() + rest.len()) as f32 / 22_050.0;
    assert!((1.5..5.0).contains(&seconds), "{seconds} s");
    let peak = rest
        .iter()
        .fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
    assert!((0.1..=1.0).contains(&peak), "{peak}");
}

#[tokio::test]
async fn the_rate_is_obeyed() {
    let pool = pool(1);
    let at = |rate| {
        listen(pool.synthesise(SpeechRequest {
            rate: Some(rate),
            ..spanish(CLAUSE)
        }))
    };
    let slow = at(120).await.expect("speech").len();
    let fast = at(240).await.expect("speech").len();
    assert!(slow > fast * 3 / 2, "{slow} {fast}");
}

#[tokio::test]
async fn a_killed_child_is_replaced_without_a_gap_or_a_repetition() {
    let pool = pool(1);
    // Long enough for the child to be still speaking when it is killed.
    let long = [CLAUSE; 60].join(", ");
    let expected = listen(pool.synthesise(spanish(&long)))
        .await
        .expect("speech");

    let mut stream = pool.synthesise(spanish(&long));
    let mut samples = stream.next().await.expect("speech").expect("no error");
    let pid = pool.pids()[0];
    kill(pid);
    samples.extend(listen(stream).await.expect("it is spoken again"));
    assert_eq!(pool.stats().restarts, 1);
    assert!(
        samples == expected,
        "{} samples instead of {}",
        samples.len(),
        expected.len()
    );
    assert!(
        !Path::new(&format!("/proc/{pid}")).exists(),
        "a zombie is left"
    );

    // One that is killed while it stands by costs nothing.
    let standby = loop {
        match pool.pids().first() {
            Some(&pid) => break pid,
            None => std::thread::yield_now(),
        }
    };
    kill(standby);
    assert!(
        !listen(pool.synthesise(spanish(CLAUSE)))
            .await
            .expect("speech")
            .is_empty()
    );
}

#[tokio::test]
async fn a_stream_that_is_dropped_stops_its_child() {
    let pool = pool(1);
    let long = [CLAUSE; 300].join(", ");
    let mut stream = pool.synthesise(spanish(&long));
    stream.next().await.expect("speech").expect("no error");
    drop(stream);
    // The only child is free for the next clause.
    assert!(
        !listen(pool.synthesise(spanish("hola")))
            .await
            .expect("speech")
            .is_empty()
    );
    assert_eq!(pool.stats().spoken, 1);
}

#[tokio::test]
async fn no_text_breaks_it() {
    let pool = pool(2);
    let long = "palabra ".repeat(400);
    let texts = [
        "😀 hola 👩‍👩‍👧",
        "\u{1}\u{2}\0 hola",
        "[[hola]] mundo",
        "<speak><break time='9s'/>hola",
        "-v en --help",
        "\\",
        "^$[]",
        "a\nb",
        "'\"`$(reboot)",
        &long,
        &"x".repeat(3000),
    ];
    for text in texts {
        listen(pool.synthesise(spanish(text)))
            .await
            .unwrap_or_else(|error| panic!("{text:.40}: {error}"));
    }
    for text in ["", " \n", "...", "😀"] {
        assert_eq!(
            listen(pool.synthesise(spanish(text))).await,
            Ok(Vec::new()),
            "{text}"
        );
    }
    assert_eq!(pool.stats().restarts, 0);
}

#[tokio::test]
async fn a_language_without_a_voice_names_those_there_are() {
    let request = SpeechRequest {
        lang: "zz".parse().expect("a tag"),
        ..spanish("hola")
    };
    let error = listen(pool(1).synthesise(request))
        .await
        .expect_err("no such voice");
    let SynthesiseError::UnsupportedLanguage { available, .. } = &error else {
        panic!("{error}")
    };
    assert!(available.contains(&Lang::ES) && available.contains(&Lang::EN));
}

#[tokio::test]
async fn a_dropped_pool_leaves_no_process() {
    let pool = pool(2);
    listen(pool.synthesise(spanish("hola")))
        .await
        .expect("speech");
    let pids = pool.pids();
    drop(pool);
    for pid in pids {
        assert!(
            !Path::new(&format!("/proc/{pid}")).exists(),
            "{pid} is left over"
        );
    }
}
