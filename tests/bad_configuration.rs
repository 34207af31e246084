//! A configuration that cannot work stops the start, with the path of the key.

mod server;

use server::{Directory, hive, run};

fn refused(yaml: &str, variables: &[(&str, &str)]) -> String {
    let directory = Directory::new();
    let file = directory.write("hive.yaml", yaml);
    let ended = run(hive()
        .arg("serve")
        .arg("--config")
        .arg(file)
        .envs(variables.iter().copied()));
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    ended.stderr
}

#[test]
fn an_unknown_key_is_named_with_its_path() {
    let message = refused("http:\n  rate:\n    bursts: 3\n", &[]);
    assert!(
        message.contains("`http.rate.bursts`") && message.contains("hive.yaml"),
        "{message}"
    );
}

#[test]
fn a_malformed_value_is_named_with_its_path() {
    let message = refused("media:\n  bind: here\n", &[]);
    assert!(message.contains("`media.bind`"), "{message}");
}

#[test]
fn a_wrong_variable_is_named() {
    let message = refused("", &[("HIVE__ROOMS__MAX_ROOMS", "lots")]);
    assert!(
        message.contains("HIVE__ROOMS__MAX_ROOMS") && message.contains("`rooms.max_rooms`"),
        "{message}"
    );
    let message = refused("", &[("HIVE__ROOMS__MAX_ROMS", "1")]);
    assert!(message.contains("HIVE__ROOMS__MAX_ROMS"), "{message}");
}

#[test]
fn values_that_cannot_work_are_all_named_at_once() {
    let message = refused(
        "http: {workers: 0, max_body: 1}\nchannel: {duck_db: 3}\n",
        &[],
    );
    for path in ["`http.workers`", "`http.max_body`", "`channel.duck_db`"] {
        assert!(message.contains(path), "{path} is not in: {message}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let ended = run(hive().args(["serve", "--config", "no/such/file.yaml"]));
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains("no/such/file.yaml"), "{ended:?}");
}

#[test]
fn without_keys_nothing_is_served() {
    let message = refused("http: {bind: '127.0.0.1:0'}\n", &[]);
    assert!(
        message.contains("`auth.keys`") && message.contains("hive keys"),
        "{message}"
    );
}

#[test]
fn a_short_secret_is_refused_without_being_shown() {
    let message = refused("auth: {keys: {mine: swordfish}}\n", &[]);
    assert!(
        message.contains("`auth.keys.mine`") && message.contains("hive keys"),
        "{message}"
    );
    assert!(!message.contains("swordfish"), "{message}");
}
