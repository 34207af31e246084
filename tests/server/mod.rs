//! A running `hive serve`, and the little that a client of it needs. Each test file uses what it needs of it.

#![allow(
    dead_code,
    unused_imports,
    reason = "every test file is a program of its own and uses a part of this"
)]

mod events;
mod program;
mod request;

pub(crate) use events::Events;
pub(crate) use program::{Directory, Finished, hive, run};
pub(crate) use request::{Answer, Request};

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tungstenite::client::IntoClientRequest;

pub(crate) const API_KEY: &str = "hivetests";
pub(crate) const API_SECRET: &str = "d8Qk1mZpX0aLw7vTn3RyUe5BhJc9GsFo";
pub(crate) const SERVICE_KEY: &str = "Zx4cVb7nMq1wEr5tYu8iOp2aSd6fGh9j";

/// Longest wait for anything; a loaded machine takes its time, and nobody waits in vain for long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A running server on free ports of 127.0.0.1.
pub(crate) struct Server {
    child: Child,
    log: Receiver<Value>,
    pub(crate) http: SocketAddr,
    pub(crate) media: SocketAddr,
    _directory: Directory,
}

impl Server {
    /// With keys and one decoder; `extra` is more YAML of sections other than `auth`, `log` and `engines`.
    pub(crate) fn start(extra: &str) -> Self {
        let directory = Directory::new();
        let sections = ["http", "media"].map(|section| {
            let given = extra.lines().any(|line| line == format!("{section}:"));
            if given {
                String::new()
            } else {
                format!("{section}: {{bind: 127.0.0.1:0}}\n")
            }
        });
        let config = directory.write(
            "hive.yaml",
            &format!(
                "auth: {{keys: {{{API_KEY}: {API_SECRET}}}, service_keys: [{SERVICE_KEY}]}}\n\
                 log: {{format: json}}\n\
                 engines: {{pocketsphinx: {{decoders: 1}}, apertium: {{children: 1}}, espeak: {{children: 1}}}}\n\
                 {}{extra}",
                sections.concat(),
            ),
        );
        let mut child = hive()
            .arg("serve")
            .arg("--config")
            .arg(config)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("hive starts");
        let log = follow(child.stderr.take().expect("piped"));
        let mut server = Self {
            child,
            log,
            http: SocketAddr::from(([127, 0, 0, 1], 0)),
            media: SocketAddr::from(([127, 0, 0, 1], 0)),
            _directory: directory,
        };
        let line = server.logged("hive is serving");
        server.http = line["http"]
            .as_str()
            .and_then(|text| text.parse().ok())
            .expect("the HTTP address");
        let media = line["media"]
            .as_str()
            .expect("the media addresses")
            .trim_matches(['[', ']']);
        server.media = media
            .split(", ")
            .next()
            .and_then(|text| text.parse().ok())
            .expect("a media address");
        server
    }

    /// Waits for a line of the log.
    pub(crate) fn logged(&self, message: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.log.recv_timeout(left) {
                Ok(line)
                    if line["message"]
                        .as_str()
                        .is_some_and(|text| text.contains(message)) =>
                {
                    return line;
                }
                Ok(line) => seen.push(line),
                Err(_) => panic!("the server did not log `{message}` but {seen:#?}"),
            }
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.http)
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> Request {
        Request::new(method, &self.url(path))
    }

    /// Opens a WHIP session.
    pub(crate) fn publish(&self, room: &str, token: &str) -> Answer {
        let opened = self
            .request("POST", &format!("/whip/{room}"))
            .bearer(token)
            .body("application/sdp", offer("publish.sdp"))
            .send();
        assert_eq!(opened.status, 201, "{opened:?}");
        opened
    }

    /// A plain connection, for what an HTTP client would not do.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.http).expect("the server accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream
    }

    /// The room's events as somebody with this token sees them.
    pub(crate) fn events(&self, room: &str, token: &str, query: &str) -> Events {
        let address = format!(
            "ws://{}/rooms/{room}/events?access_token={token}{query}",
            self.http
        );
        let request = address.into_client_request().expect("an address");
        let (socket, _) = tungstenite::client(request, self.connect()).expect("a WebSocket");
        Events::new(socket)
    }

    /// The most memory that the process has had so far, in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("the process runs");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = peak.and_then(|peak| peak.trim().split(' ').next()?.parse::<u64>().ok());
        kilobytes.expect("a number") * 1024
    }

    /// Asks the process to end.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &pid])
            .status()
            .expect("kill runs");
        assert!(sent.success());
    }

    /// How the process ended.
    pub(crate) fn wait(mut self) -> ExitStatus {
        self.child.wait().expect("an exit status")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads the log, so that the server never waits for a reader; lines that are not JSON become strings.
fn follow(from: impl Read + Send + 'static) -> Receiver<Value> {
    let (to, lines) = mpsc::sync_channel(1 << 16);
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            // A test that does not look at the log must not stop the server: what is too much is dropped.
            let _ = to.try_send(serde_json::from_str(&line).unwrap_or(Value::String(line)));
        }
    });
    lines
}

/// A token made by `hive token`.
pub(crate) fn token(room: &str, identity: &str, more: &[&str]) -> String {
    token_of(API_KEY, API_SECRET, room, identity, more)
}

/// A token of some API key.
pub(crate) fn token_of(
    key: &str,
    secret: &str,
    room: &str,
    identity: &str,
    more: &[&str],
) -> String {
    let made = run(hive()
        .env("HIVE__AUTH__KEYS", format!("{{{key}: {secret}}}"))
        .args(["token", "--room", room, "--identity", identity])
        .args(more));
    assert!(made.status.success(), "{made:?}");
    made.stdout.trim().to_owned()
}

/// An SDP offer from `tests/offers`.
pub(crate) fn offer(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/offers")
        .join(name);
    fs::read_to_string(path)
        .expect("an offer")
        .replace('\n', "\r\n")
}
