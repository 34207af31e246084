//! One run of the program, to its end.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::{
        atomic::{AtomicU32, Ordering},
        mpsc::{self, Receiver},
    },
    thread,
};

use super::PATIENCE;

/// The program under test.
pub(crate) fn hive() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hive"));
    command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("HIVE_") {
            command.env_remove(name);
        }
    }
    command
}

/// A directory that is removed in the end.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("hive-test-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).expect("a directory for the test");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).expect("a file for the test");
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What one run of the program printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the program to its end; one that goes on for too long is killed and fails the test.
pub(crate) fn run(command: &mut Command) -> Finished {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("hive starts");
    let stdout = collect(child.stdout.take().expect("piped"));
    let stderr = collect(child.stderr.take().expect("piped"));
    // The program closes its ends when it ends.
    let (stdout, stderr) = match (stdout.recv_timeout(PATIENCE), stderr.recv_timeout(PATIENCE)) {
        (Ok(stdout), Ok(stderr)) => (stdout, stderr),
        _ => {
            let _ = child.kill();
            panic!("hive did not end: {command:?}");
        }
    };
    Finished {
        status: child.wait().expect("an exit status"),
        stdout,
        stderr,
    }
}

fn collect(mut from: impl Read + Send + 'static) -> Receiver<String> {
    let (to, all) = mpsc::sync_channel(1);
    thread::spawn(move || {
        let mut text = String::new();
        let _ = from.read_to_string(&mut text);
        let _ = to.send(text);
    });
    all
}
