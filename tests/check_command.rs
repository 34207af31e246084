//! `hive check` lists what works and what does not, and what to do.

mod server;

use std::net::TcpListener;

use server::{API_KEY, API_SECRET, SERVICE_KEY, hive, run};

#[test]
fn a_good_configuration_is_ticked_off() {
    let checked = run(hive()
        .arg("check")
        .env("HIVE__AUTH__KEYS", format!("{{{API_KEY}: {API_SECRET}}}"))
        .env("HIVE__AUTH__SERVICE_KEYS", format!("[{SERVICE_KEY}]"))
        .env("HIVE__HTTP__BIND", "127.0.0.1:0")
        .env("HIVE__MEDIA__BIND", "127.0.0.1:0"));
    assert_eq!(checked.status.code(), Some(0), "{checked:?}");
    for line in [
        "✓ configuration",
        "✓ API keys",
        "✓ service keys",
        "✓ http.bind",
        "✓ media.bind",
        "✓ voice activity",
        "✓ speech recognition",
        "✓ translation",
        "✓ speech synthesis",
    ] {
        assert!(
            checked.stdout.contains(line),
            "{line} is not in {}",
            checked.stdout
        );
    }
    assert!(
        checked.stdout.contains("en-es") && !checked.stdout.contains('✗'),
        "{}",
        checked.stdout
    );
}

#[test]
fn everything_that_is_wrong_is_listed_at_once_with_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let checked = run(hive()
        .arg("check")
        .env(
            "HIVE__HTTP__BIND",
            taken.local_addr().expect("bound").to_string(),
        )
        .env("HIVE__MEDIA__BIND", "127.0.0.1:0")
        .env("HIVE__ENGINES__ASSETS", "no/such/directory"));
    assert_eq!(checked.status.code(), Some(1), "{checked:?}");
    for advice in [
        "✗ API keys",
        "hive keys",
        "✗ http.bind",
        "`http.bind`",
        "✗ speech recognition",
        "scripts/setup",
    ] {
        assert!(
            checked.stdout.contains(advice),
            "{advice} is not in {}",
            checked.stdout
        );
    }
}

#[test]
fn a_configuration_that_cannot_be_read_is_said_so() {
    let checked = run(hive().arg("check").env("HIVE__HTTP__BIND", "nowhere"));
    assert_eq!(checked.status.code(), Some(1));
    assert!(
        checked.stdout.contains("✗ configuration") && checked.stdout.contains("HIVE__HTTP__BIND"),
        "{checked:?}"
    );
}
