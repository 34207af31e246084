//! Apertium's pipelines under good text, bad text and violence.

use std::path::Path;
use std::time::Duration;

use hive_models::mt::apertium::{ApertiumPool, ApertiumSettings, StartApertiumError};
use hive_models::mt::truecase::truecase;
use hive_models::mt::{Translate, TranslateError};
use hive_models::{Lang, LangPair};

const EN_ES: LangPair = LangPair::new(Lang::EN, Lang::ES);
const ES_EN: LangPair = LangPair::new(Lang::ES, Lang::EN);

fn pool(pipelines: usize) -> ApertiumPool {
    let settings = ApertiumSettings {
        pipelines,
        // Other tests share the machine.
        clause_timeout: Duration::from_secs(20),
        start_timeout: Duration::from_secs(60),
        ..Default::default()
    };
    ApertiumPool::start(settings).expect("apertium-eng-spa is installed by `scripts/setup build`")
}

fn kill(pid: u32) {
    // SAFETY: a child of this process that its pool has not waited for.
    unsafe { libc::kill(pid.cast_signed(), libc::SIGKILL) };
}

#[tokio::test]
async fn clauses_are_translated_both_ways() {
    let pool = pool(1);
    assert_eq!(pool.pairs(), [EN_ES, ES_EN]);
    let clause = truecase(
        Lang::EN,
        "i think we need to finish the project on monday",
        true,
    );
    let spanish = pool.translate(EN_ES, &clause).await.expect("it translates");
    assert!(
        spanish.contains("proyecto") && spanish.contains("lunes"),
        "{spanish}"
    );
    assert!(
        !spanish.contains('*') && !spanish.ends_with('.'),
        "{spanish}"
    );
    // Apertium 3.8 alone glues these two together.
    let clitic = pool.translate(EN_ES, "people use it").await;
    assert_eq!(clitic.as_deref(), Ok("las personas lo utilizan"));
    for (said, translated) in [("Yes", "Sí"), ("of course", "naturalmente")] {
        let spanish = pool.translate(EN_ES, said).await;
        assert_eq!(
            spanish.as_deref(),
            Ok(translated),
            "one word is a clause too"
        );
    }
    let english = pool.translate(ES_EN, "la casa es pequeña").await;
    assert_eq!(english.as_deref(), Ok("the house is small"));
    assert_eq!(pool.translate(EN_ES, " \n ").await.as_deref(), Ok(""));
}

#[tokio::test]
async fn a_pair_without_an_engine_names_those_there_are() {
    let pair = LangPair::new(Lang::EN, "ja".parse().expect("a tag"));
    let error = pool(1)
        .translate(pair, "hello")
        .await
        .expect_err("no such pair");
    assert_eq!(
        error.to_string(),
        "there is no translation from en-ja; available: en-es, es-en"
    );
}

#[tokio::test]
async fn no_text_breaks_it_and_no_clause_answers_for_another() {
    let pool = pool(1);
    let long = "word ".repeat(600);
    let texts = [
        "price is ^foo$ [bar] {x} 100% / \\ @ # < > & ~ *star",
        "😀 hello 👩‍👩‍👧 \u{200b}\u{feff}\u{202e}",
        "\u{1}\u{2} \u{7f} \0 hello\0",
        "[[t:b:abc]]hello[[/]] world",
        "<b>hello</b> &amp; <script>",
        "^hello<n><sg>$ test",
        "[<STREAMCMD:SETVAR:x>] hi",
        "^$[]",
        "\\",
        "\\\\\\",
        "[",
        "]",
        "^",
        "$",
        "{",
        "}",
        "@",
        "<",
        ".",
        "...",
        "[][\n]",
        " .[][\n]",
        "a\nb\r\nc\u{2028}d",
        &long,
        &"x".repeat(3000),
    ];
    for text in texts {
        pool.translate(EN_ES, text)
            .await
            .unwrap_or_else(|error| panic!("{text:.40}: {error}"));
        let next = pool
            .translate(EN_ES, "the house")
            .await
            .expect("it translates");
        assert_eq!(next, "la casa", "after {text:.40}");
    }
    assert_eq!(pool.stats().restarts, 0);
    assert_eq!(
        pool.translate(EN_ES, "^ $ [ ] \\ @ < >").await.as_deref(),
        Ok("^ $ [ ] \\ @ < >")
    );
}

#[tokio::test]
async fn concurrent_clauses_get_their_own_answers() {
    let pool = pool(2);
    let numbers = [
        ("two", "dos"),
        ("three", "tres"),
        ("four", "cuatro"),
        ("five", "cinco"),
        ("six", "seis"),
    ];
    let ask = |(english, spanish): (&'static str, &'static str)| {
        let translation = pool.translate(EN_ES, &format!("{english} houses"));
        async move { (translation.await.expect("it translates"), spanish) }
    };
    let tasks: Vec<_> = (0..50).map(|i| ask(numbers[i % 5])).collect();
    for task in tasks {
        let (translation, expected) = task.await;
        assert!(
            translation.starts_with(expected),
            "{translation} is not {expected}"
        );
    }
}

#[tokio::test]
async fn whichever_program_is_killed_the_clause_is_translated() {
    let pool = pool(1);
    pool.warm(EN_ES).await.expect("it starts");
    let programs = pool.pids()[0].len();
    assert_eq!(programs, 12);
    for victim in 0..programs {
        let pids = pool.pids().remove(0);
        kill(pids[victim]);
        assert_eq!(
            pool.translate(EN_ES, "the house").await.as_deref(),
            Ok("la casa"),
            "{victim}"
        );
        for pid in pids {
            assert!(
                !Path::new(&format!("/proc/{pid}")).exists(),
                "{pid} is left over"
            );
        }
    }
    assert_eq!(pool.stats().restarts, programs as u64);
}

#[tokio::test]
async fn a_program_that_hangs_is_replaced() {
    let settings = ApertiumSettings {
        pipelines: 1,
        clause_timeout: Duration::from_millis(300),
        start_timeout: Duration::from_secs(60),
        ..Default::default()
    };
    let pool = ApertiumPool::start(settings).expect("installed");
    pool.warm(EN_ES).await.expect("it starts");
    let pids = pool.pids().remove(0);
    // SAFETY: a child of this process that its pool has not waited for.
    unsafe { libc::kill(pids[5].cast_signed(), libc::SIGSTOP) };
    assert_eq!(
        pool.translate(EN_ES, "the house").await.as_deref(),
        Ok("la casa")
    );
    assert_eq!(pool.stats().restarts, 1);
}

/// A mode of one program, which gives back what it is asked and dies or hangs on request.
fn echoing_mode(name: &str) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let directory = std::env::temp_dir().join(format!("hive-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a writable directory");
    let program = directory.join("echo");
    let script = "#!/bin/bash\n\
        while IFS= read -r -d '' clause; do\n\
        case $clause in *poison*) kill -9 $$;; *hang*) exec sleep 1000;; *twice*) printf 'one\\0';; esac\n\
        printf '%s\\0' \"$clause\"\n\
        done\n";
    std::fs::write(&program, script).expect("a writable directory");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("ours");
    std::fs::write(
        directory.join("eng-spa.mode"),
        program.display().to_string(),
    )
    .expect("ours");
    directory
}

#[tokio::test]
async fn a_clause_that_ends_or_hangs_every_pipeline_is_given_up_and_the_next_is_well() {
    let modes = echoing_mode("poison");
    let settings = ApertiumSettings {
        modes: modes.clone(),
        pipelines: 1,
        clause_timeout: Duration::from_millis(500),
        start_timeout: Duration::from_secs(60),
        attempts: 2,
    };
    let pool = ApertiumPool::start(settings).expect("bash is everywhere");
    for clause in ["poison", "hang", "twice"] {
        let error = pool.translate(EN_ES, clause).await.expect_err(clause);
        assert!(
            matches!(error, TranslateError::Poison { attempts: 2, .. }),
            "{clause}: {error}"
        );
        assert_eq!(
            pool.translate(EN_ES, "well").await.as_deref(),
            Ok("well"),
            "after {clause}"
        );
    }
    drop(pool);
    std::fs::remove_dir_all(modes).expect("ours");
}

#[tokio::test]
async fn a_dropped_pool_leaves_no_process() {
    let pool = pool(2);
    pool.warm(EN_ES).await.expect("it starts");
    let pids = pool.pids().concat();
    assert!(!pids.is_empty());
    drop(pool);
    for pid in pids {
        assert!(
            !Path::new(&format!("/proc/{pid}")).exists(),
            "{pid} is left over"
        );
    }
}

#[test]
fn missing_pairs_name_the_package() {
    let settings = ApertiumSettings {
        modes: "/nonexistent".into(),
        ..Default::default()
    };
    let error = ApertiumPool::start(settings).expect_err("nothing there");
    assert!(matches!(error, StartApertiumError::NoPairs { .. }));
    assert!(
        error.to_string().contains("apt install apertium-eng-spa"),
        "{error}"
    );
}
