//! The server as a process of its own, with a configuration made for the run.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use hyper::Method;
use rand::Rng;
use tokio::process::{Child, Command};

use crate::http::{Call, HttpClient, HttpError};
use crate::peer::Signalling;
use crate::process::ProcessTree;

/// Names the server's binary when `--server` does not.
pub const BINARY_VARIABLE: &str = "HIVE_BIN";

/// Longest wait for `/ready`: engines load and pools fill.
const READY_SECONDS: u64 = 90;

/// Time between looks at whether it is there.
const LOOK: Duration = Duration::from_millis(100);

/// How to start the server.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// The `hive` binary; by default the one beside this program.
    pub binary: Option<PathBuf>,
    /// Directory of the engines' models (`.deps`).
    pub assets: PathBuf,
    /// Where configuration and log are written.
    pub directory: PathBuf,
    /// Permit `POST /supervision/kill`.
    pub chaos: bool,
    /// People recognised at once.
    pub decoders: usize,
    /// Most peers on the media worker.
    pub max_peers: usize,
    /// Log level of the server.
    pub log_level: String,
}

/// Why the server is not there.
#[derive(Debug, thiserror::Error)]
pub enum StartServerError {
    /// No binary.
    #[error(
        "{} is missing: build it (`cargo build -p hive`), or name it with --server or {BINARY_VARIABLE}",
        .0.display()
    )]
    Missing(PathBuf),
    /// A file or the process could not be made.
    #[error("cannot start {}: {source}", what.display())]
    Io {
        /// The file.
        what: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It ended before it was ready; the end of its log follows.
    #[error("the server ended at once ({status}); the end of {} says:\n{tail}", log.display())]
    Ended {
        /// Exit status.
        status: String,
        /// Its log.
        log: PathBuf,
        /// The last lines of it.
        tail: String,
    },
    /// It is up and says that it cannot work.
    #[error("the server was not ready within {READY_SECONDS} s: {answer}; its log is {}", log.display())]
    NotReady {
        /// What /ready answers.
        answer: String,
        /// Its log.
        log: PathBuf,
    },
}

/// A running server; it is stopped when dropped.
pub struct HiveProcess {
    child: Child,
    http: HttpClient,
    service_key: String,
    log: PathBuf,
}

impl HiveProcess {
    /// Start `hive serve` on free ports of 127.0.0.1 and wait until it is ready.
    ///
    /// # Errors
    ///
    /// The binary is missing, it ends at once, or it is not ready within 90 s.
    pub async fn start(settings: &ServerSettings) -> Result<Self, StartServerError> {
        let binary = find_binary(settings.binary.as_deref())?;
        let io = |what: &Path| {
            let what = what.to_owned();
            move |source| StartServerError::Io { what, source }
        };
        let directory = &settings.directory;
        std::fs::create_dir_all(directory).map_err(io(directory))?;
        let service_key = secret();
        let config = directory.join("hive.yaml");
        write_private(&config, &configuration(settings, &service_key)).map_err(io(&config))?;
        let log = directory.join("server.log");
        let log_file = std::fs::File::create(&log).map_err(io(&log))?;
        let mut child = Command::new(&binary)
            .arg("serve")
            .arg("--config")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(log_file.try_clone().map_err(io(&log))?)
            .stderr(log_file)
            .kill_on_drop(true)
            .spawn()
            .map_err(io(&binary))?;
        let deadline = tokio::time::Instant::now() + Duration::from_secs(READY_SECONDS);
        let http = address(&mut child, &log, deadline).await?;
        let mut server = Self {
            child,
            http: HttpClient::new(http.to_string()),
            service_key,
            log,
        };
        server.wait_until_ready(deadline).await?;
        Ok(server)
    }

    async fn wait_until_ready(
        &mut self,
        deadline: tokio::time::Instant,
    ) -> Result<(), StartServerError> {
        loop {
            still_runs(&mut self.child, &self.log)?;
            let answer = match self.http.expect(Call::new(Method::GET, "/ready")).await {
                Ok(_) => return Ok(()),
                Err(error) => error.to_string(),
            };
            if tokio::time::Instant::now() > deadline {
                return Err(StartServerError::NotReady {
                    answer,
                    log: self.log.clone(),
                });
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Signalling against this server.
    pub fn signalling(&self) -> Signalling {
        Signalling::new(self.http.clone(), &self.service_key)
    }

    /// The supervision tree as the server tells it.
    ///
    /// # Errors
    ///
    /// The server does not answer, or with something else than JSON.
    pub async fn supervision(&self) -> Result<serde_json::Value, HttpError> {
        supervision(&self.http, &self.service_key).await
    }

    /// Its HTTP client and service key, for tasks that outlive a borrow.
    pub fn control(&self) -> (HttpClient, String) {
        (self.http.clone(), self.service_key.clone())
    }

    /// The text of `/metrics`.
    ///
    /// # Errors
    ///
    /// The server does not answer.
    pub async fn metrics(&self) -> Result<String, HttpError> {
        let call = Call::new(Method::GET, "/metrics");
        self.http.expect(call).await.map(|answer| answer.body)
    }

    /// The process and its children, for CPU time and memory.
    pub fn process(&self) -> Option<ProcessTree> {
        self.child.id().map(ProcessTree::new)
    }

    /// Where it logs.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Ask it to stop and wait up to 15 s; then it is killed. Gives the exit status if it stopped.
    pub async fn stop(mut self) -> Option<std::process::ExitStatus> {
        if let Some(pid) = self.child.id() {
            // SAFETY: the child has not been waited for, so the id is still its own.
            unsafe { libc::kill(pid as libc::pid_t, libc::SIGTERM) };
        }
        let stopped = tokio::time::timeout(Duration::from_secs(15), self.child.wait()).await;
        stopped.ok().and_then(Result::ok)
    }
}

/// The supervision tree of a server.
///
/// # Errors
///
/// The server does not answer, or with something else than JSON.
pub async fn supervision(
    http: &HttpClient,
    service_key: &str,
) -> Result<serde_json::Value, HttpError> {
    let path = "/supervision";
    let call = Call::new(Method::GET, path).bearer(service_key);
    let answer = http.expect(call).await?;
    serde_json::from_str(&answer.body).map_err(|e| HttpError::Body {
        path: path.to_owned(),
        reason: e.to_string(),
    })
}

/// The binary named, or the one in the environment, or the one beside this program.
fn find_binary(named: Option<&Path>) -> Result<PathBuf, StartServerError> {
    let from_environment = || std::env::var_os(BINARY_VARIABLE).map(PathBuf::from);
    let beside = || {
        let mut directory = std::env::current_exe().ok()?;
        directory.pop();
        // Tests run from target/<profile>/deps.
        if directory.ends_with("deps") {
            directory.pop();
        }
        Some(directory.join("hive"))
    };
    let binary = named
        .map(Path::to_owned)
        .or_else(from_environment)
        .or_else(beside)
        .unwrap_or_else(|| PathBuf::from("hive"));
    if binary.is_file() {
        Ok(binary)
    } else {
        Err(StartServerError::Missing(binary))
    }
}

/// The address of its HTTP, as its log tells it: a port that is picked before the server binds it may be somebody
/// else's by then.
async fn address(
    child: &mut Child,
    log: &Path,
    deadline: tokio::time::Instant,
) -> Result<SocketAddr, StartServerError> {
    loop {
        let text = std::fs::read_to_string(log).unwrap_or_default();
        if let Some(address) = text.lines().find_map(served_address) {
            return Ok(address);
        }
        still_runs(child, log)?;
        if tokio::time::Instant::now() > deadline {
            return Err(StartServerError::NotReady {
                answer: "it never said that it is serving".to_owned(),
                log: log.to_owned(),
            });
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The address in the line of the log that says that the server is serving.
fn served_address(line: &str) -> Option<SocketAddr> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    (line["message"] == "hive is serving")
        .then(|| line["http"].as_str()?.parse().ok())
        .flatten()
}

fn still_runs(child: &mut Child, log: &Path) -> Result<(), StartServerError> {
    match child.try_wait() {
        Ok(Some(status)) => Err(StartServerError::Ended {
            status: status.to_string(),
            log: log.to_owned(),
            tail: tail(log),
        }),
        _ => Ok(()),
    }
}

/// 256 random bits in hexadecimal.
fn secret() -> String {
    let mut rng = rand::rng();
    (0..4)
        .map(|_| format!("{:016x}", rng.random::<u64>()))
        .collect()
}

/// Write a file that only this user can read: it holds keys.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path)?.write_all(text.as_bytes())
}

/// The run's configuration. JSON is YAML, and needs no quoting rules of our own.
fn configuration(settings: &ServerSettings, service_key: &str) -> String {
    let config = serde_json::json!({
        "http": {
            "bind": "127.0.0.1:0",
            // All of a run's peers come from one address.
            "rate": { "per_second": 1000, "burst": 10_000 },
        },
        "media": {
            "bind": "127.0.0.1:0",
            "advertise": ["127.0.0.1"],
            "max_peers": settings.max_peers,
        },
        // All of a run's peers may be in one room, or each in its own.
        "rooms": {
            "max_rooms": settings.max_peers.max(100),
            "max_participants": settings.max_peers.max(200),
        },
        "auth": {
            "keys": { "loadtest": secret() },
            "service_keys": [service_key],
        },
        "engines": {
            "assets": settings.assets,
            "pocketsphinx": { "decoders": settings.decoders },
        },
        // Whatever the level, the addresses that the system picked are told.
        "log": { "level": format!("{},hive::cli::serve=info", settings.log_level), "format": "json" },
        "chaos": { "enabled": settings.chaos },
    });
    format!("# Written by hive-loadtest for one run.\n{config:#}\n")
}

/// The last lines of a file.
fn tail(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines = text.lines().collect::<Vec<_>>();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_binary_is_named_with_the_cure() {
        let error = find_binary(Some(Path::new("/nonexistent/hive")))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("/nonexistent/hive") && error.contains("--server"),
            "{error}"
        );
    }

    #[test]
    fn the_address_is_read_from_the_line_that_tells_it() {
        let line = r#"{"level":"INFO","message":"hive is serving","http":"127.0.0.1:4242","media":"[127.0.0.1:5]"}"#;
        assert_eq!(
            served_address(line),
            Some(SocketAddr::from(([127, 0, 0, 1], 4242)))
        );
        assert_eq!(served_address(r#"{"message":"hive is serving"}"#), None);
        assert_eq!(served_address("thread 'main' panicked"), None);
    }

    #[test]
    fn secrets_are_long_and_never_the_same() {
        assert_eq!(secret().len(), 64);
        assert_ne!(secret(), secret());
    }
}
