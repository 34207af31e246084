//! An engine that is not installed stops the start, with the package or the step that is missing.

mod server;

use server::{API_KEY, API_SECRET, Directory, Finished, hive, run};

fn serve(variable: &str, value: &str) -> Finished {
    run(hive()
        .arg("serve")
        .env("HIVE__AUTH__KEYS", format!("{{{API_KEY}: {API_SECRET}}}"))
        .env("HIVE__HTTP__BIND", "127.0.0.1:0")
        .env("HIVE__MEDIA__BIND", "127.0.0.1:0")
        .env(variable, value))
}

/// A search path with every program of /usr/bin but one.
fn path_without(missing: &str) -> Directory {
    let directory = Directory::new();
    for entry in std::fs::read_dir("/usr/bin").expect("/usr/bin").flatten() {
        let name = entry.file_name();
        if name.to_string_lossy() != missing {
            // Names that clash or vanish meanwhile are none that is needed here.
            let _ = std::os::unix::fs::symlink(entry.path(), directory.path().join(name));
        }
    }
    directory
}

#[test]
fn a_missing_program_is_named_with_its_debian_package() {
    for (program, package) in [
        ("espeak-ng", "espeak-ng"),
        ("apertium-transfer", "apertium"),
        ("lt-proc", "lttoolbox"),
    ] {
        let path = path_without(program);
        let ended = serve("PATH", &path.path().to_string_lossy());
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
        let wanted = format!("apt install {package}");
        assert!(
            ended.stderr.contains(program) && ended.stderr.contains(&wanted),
            "{ended:?}"
        );
    }
}

#[test]
fn missing_models_are_named_with_the_step_that_gets_them() {
    let empty = Directory::new();
    let ended = serve("HIVE__ENGINES__ASSETS", &empty.path().to_string_lossy());
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(
        ended.stderr.contains("scripts/setup") && ended.stderr.contains("engines.assets"),
        "{ended:?}"
    );
}
