//! `hive keys` prints a working configuration, `hive token` makes tokens with it.

mod server;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;
use server::{Directory, hive, run};

#[test]
fn keys_make_tokens_with_the_asked_grants() {
    let keys = run(hive().arg("keys"));
    assert!(keys.status.success());
    let directory = Directory::new();
    let file = directory.write("hive.yaml", &keys.stdout);
    let made = run(hive()
        .args([
            "token",
            "--room",
            "demo",
            "--identity",
            "ann",
            "--publish",
            "false",
            "--ttl",
            "30m",
        ])
        .arg("--config")
        .arg(&file));
    assert!(made.status.success(), "{made:?}");
    let claims = made.stdout.split('.').nth(1).expect("three parts");
    let claims: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).expect("base64")).expect("JSON");
    assert_eq!(claims["sub"], "ann");
    assert_eq!(claims["video"]["room"], "demo");
    assert_eq!(claims["video"]["canPublish"], false);
    assert_eq!(claims["video"]["canSubscribe"], true);
    let life = claims["exp"]
        .as_u64()
        .zip(claims["nbf"].as_u64())
        .map(|(exp, nbf)| exp - nbf);
    assert_eq!(life, Some(1800));
}

#[test]
fn a_token_without_keys_says_how_to_get_them() {
    let ended = run(hive().args(["token", "--room", "demo", "--identity", "ann"]));
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains("hive keys"), "{ended:?}");
}

#[test]
fn names_and_durations_are_checked() {
    for arguments in [
        ["--room", "a/b", "--identity", "ann", "--ttl", "1h"],
        ["--room", "demo", "--identity", "", "--ttl", "1h"],
        ["--room", "demo", "--identity", "ann", "--ttl", "60"],
    ] {
        let ended = run(hive().arg("token").args(arguments));
        assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    }
}

#[test]
fn every_command_explains_itself() {
    for command in ["serve", "check", "keys", "token"] {
        let help = run(hive().args([command, "--help"]));
        assert!(help.status.success() && help.stdout.len() > 200, "{help:?}");
    }
    let help = run(hive().arg("--help"));
    assert!(help.stdout.contains("hive keys > hive.yaml"), "{help:?}");
}
