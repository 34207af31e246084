//! `hive check`: can the server run here, and if not, what to do.

use std::{
    fmt::Write as _,
    net::{SocketAddr, TcpListener, UdpSocket},
    process::ExitCode,
};

use hive_models::{
    mt::{
        Translate,
        apertium::{ApertiumPool, ApertiumSettings},
    },
    stt::pocketsphinx::{Model, SearchSettings},
    tts::{
        Synthesise,
        espeak::{EspeakPool, EspeakSettings},
    },
    vad::SileroVad,
};

use super::{Source, print};
use crate::{
    config::{Config, parse_receiver},
    http,
    livekit::webhook,
    turn,
};

/// What came of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Good(String),
    /// It runs, but should not stay so.
    Doubtful(String),
    /// It does not run; with what to do.
    Bad(String),
}

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    what: &'static str,
    outcome: Outcome,
}

/// Runs all checks and prints them.
pub(super) fn run(source: &Source) -> ExitCode {
    let lines = match source.load() {
        Err(error) => vec![Line {
            what: "configuration",
            outcome: Outcome::Bad(error.to_string()),
        }],
        Ok(config) => {
            let read = source.config.as_ref().map_or_else(
                || "no file given: everything has its default".to_owned(),
                |path| path.display().to_string(),
            );
            let mut lines = vec![Line {
                what: "configuration",
                outcome: Outcome::Good(read),
            }];
            lines.extend(keys(&config));
            lines.extend(webhooks(&config));
            lines.extend(ports(&config));
            lines.extend(engines(&config));
            lines
        }
    };
    let bad = lines
        .iter()
        .filter(|line| matches!(line.outcome, Outcome::Bad(_)))
        .count();
    let mut text: String = lines.iter().map(render).collect();
    let _ = match bad {
        0 => writeln!(text, "\nThe server can run here: hive serve"),
        1 => writeln!(text, "\n1 thing has to be put right first."),
        _ => writeln!(text, "\n{bad} things have to be put right first."),
    };
    if print(&text).is_err() || bad > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn render(line: &Line) -> String {
    let (mark, text) = match &line.outcome {
        Outcome::Good(text) => ("✓", text),
        Outcome::Doubtful(text) => ("!", text),
        Outcome::Bad(text) => ("✗", text),
    };
    format!("{mark} {}: {}\n", line.what, text.replace('\n', "\n    "))
}

fn keys(config: &Config) -> Vec<Line> {
    let mut lines = Vec::new();
    lines.push(match config.missing_keys() {
        Some(complaint) => Line {
            what: "API keys",
            outcome: Outcome::Bad(complaint.to_string()),
        },
        None => Line {
            what: "API keys",
            outcome: Outcome::Good(format!("{} configured", config.auth.keys.len())),
        },
    });
    for key in config.well_known_keys() {
        let advice = format!("{key} is publicly known; replace it by one from `hive keys`");
        lines.push(Line {
            what: "API keys",
            outcome: Outcome::Doubtful(advice),
        });
    }
    let services = config.auth.service_keys.len();
    lines.push(Line {
        what: "service keys",
        outcome: if services == 0 {
            Outcome::Doubtful(
                "none, so POST /auth/token/room and /supervision are closed; `hive keys` makes one"
                    .to_owned(),
            )
        } else {
            Outcome::Good(format!("{services} configured"))
        },
    });
    lines
}

fn webhooks(config: &Config) -> Option<Line> {
    let urls = &config.webhook.urls;
    if urls.is_empty() {
        return None;
    }
    let in_the_clear = urls.iter().filter_map(|url| {
        let url = parse_receiver(url).ok()?;
        let host = url.host()?;
        let is_local = host == "localhost" || host.starts_with("127.") || host == "[::1]";
        (url.scheme_str() == Some("http") && !is_local).then(|| host.to_owned())
    });
    let in_the_clear = list(in_the_clear);
    let outcome = match webhook::check(config) {
        Err(error) => Outcome::Bad(error.to_string()),
        Ok(()) if !in_the_clear.is_empty() => Outcome::Doubtful(format!(
            "who is in which room goes unencrypted to {in_the_clear}; use https://"
        )),
        Ok(()) => Outcome::Good(format!(
            "{} configured, signed with {}",
            urls.len(),
            config.webhook.api_key.as_deref().unwrap_or_default()
        )),
    };
    Some(Line {
        what: "webhooks",
        outcome,
    })
}

fn ports(config: &Config) -> Vec<Line> {
    let tcp = match http::bind(config.http.bind) {
        Ok(_) => Outcome::Good(format!("{} is free", config.http.bind)),
        Err(error) => Outcome::Bad(error.to_string()),
    };
    let mut lines = vec![Line {
        what: "http.bind (TCP)",
        outcome: tcp,
    }];
    for worker in 0..config.media.workers {
        let address = worker_address(config.media.bind, worker);
        let outcome = match UdpSocket::bind(address) {
            Ok(_) => Outcome::Good(format!("{address} is free")),
            Err(error) => Outcome::Bad(format!(
                "cannot listen on UDP {address} ({error}); stop what has it (`ss -lunp`) or change `media.bind`"
            )),
        };
        lines.push(Line {
            what: "media.bind (UDP)",
            outcome,
        });
        if config.media.tcp {
            lines.push(Line {
                what: "media.bind (TCP)",
                outcome: media_tcp(address),
            });
        }
    }
    lines.extend(turn(config));
    lines
}

fn turn(config: &Config) -> Option<Line> {
    let turn = &config.turn;
    let outcome = match (&turn.external, turn.enabled) {
        (Some(external), _) => Outcome::Good(format!(
            "clients are sent to {}",
            list(external.urls.iter().cloned())
        )),
        (None, false) => return None,
        (None, true) => match turn::bind(turn.bind) {
            Ok(_) => Outcome::Good(format!("{} is free on UDP and TCP", turn.bind)),
            Err(error) => Outcome::Bad(error.to_string()),
        },
    };
    Some(Line {
        what: "turn",
        outcome,
    })
}

/// Whether clients without UDP can be served at a worker's address.
fn media_tcp(address: SocketAddr) -> Outcome {
    match TcpListener::bind(address) {
        Ok(_) => Outcome::Good(format!("{address} is free")),
        Err(error) => Outcome::Bad(format!(
            "cannot listen on TCP {address} ({error}); stop what has it (`ss -ltnp`), change `media.bind`, or set \
             `media.tcp` to false if every client has UDP"
        )),
    }
}

fn worker_address(first: SocketAddr, worker: usize) -> SocketAddr {
    let mut address = first;
    if first.port() != 0 {
        // The configuration was checked: the last worker's port exists.
        let port = usize::from(first.port()) + worker;
        address.set_port(u16::try_from(port).unwrap_or(u16::MAX));
    }
    address
}

/// Starts each engine for a moment, as the server would: what works here works there.
fn engines(config: &Config) -> Vec<Line> {
    let assets = &config.engines.assets;
    let vad = SileroVad::load(assets)
        .map(|_| "Silero is loaded".to_owned())
        .map_err(|error| error.to_string());
    let stt = Model::open(assets, SearchSettings::default())
        .map(|_| "PocketSphinx's model for en is whole".to_owned())
        .map_err(|error| error.to_string());
    let mt = ApertiumPool::start(ApertiumSettings {
        pipelines: 1,
        ..ApertiumSettings::default()
    })
    .map(|pool| format!("Apertium translates {}", list(pool.pairs())))
    .map_err(|error| error.to_string());
    let tts = EspeakPool::start(EspeakSettings {
        children: 1,
        voices: config.engines.espeak.voices.clone(),
        ..EspeakSettings::default()
    })
    .map(|pool| format!("eSpeak NG speaks {} languages", pool.languages().len()))
    .map_err(|error| error.to_string());
    [
        ("voice activity", vad),
        ("speech recognition", stt),
        ("translation", mt),
        ("speech synthesis", tts),
    ]
    .into_iter()
    .map(|(what, outcome)| Line {
        what,
        outcome: outcome.map_or_else(Outcome::Bad, Outcome::Good),
    })
    .collect()
}

fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    items
        .into_iter()
        .map(|item| item.to_string())
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    #[test]
    fn a_line_says_what_and_how_it_went() {
        let line = |outcome| render(&Line { what: "x", outcome });
        assert_eq!(line(Outcome::Good("a".to_owned())), "✓ x: a\n");
        assert_eq!(line(Outcome::Doubtful("b".to_owned())), "! x: b\n");
        assert_eq!(line(Outcome::Bad("c\nd".to_owned())), "✗ x: c\n    d\n");
    }

    #[test]
    fn a_taken_port_is_found_with_the_key_to_change() {
        let taken = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let taken_tcp = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let mut config = Config::default();
        config.media.bind = taken.local_addr().expect("bound");
        config.http.bind = taken_tcp.local_addr().expect("bound");
        config.media.tcp = false;
        config.turn.enabled = true;
        config.turn.bind = config.media.bind;
        let lines = ports(&config);
        assert_eq!(lines.len(), 3);
        for (line, key) in lines
            .iter()
            .zip(["`http.bind`", "`media.bind`", "`turn.bind`"])
        {
            assert!(
                matches!(&line.outcome, Outcome::Bad(advice) if advice.contains(key)),
                "{line:?}"
            );
        }
    }

    #[test]
    fn a_port_that_is_free_on_udp_alone_is_found_too() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let mut config = Config::default();
        config.http.bind = "127.0.0.1:0".parse().expect("an address");
        config.media.bind = taken.local_addr().expect("bound");
        let lines = ports(&config);
        assert_eq!(lines.len(), 3);
        assert!(
            matches!(&lines[2].outcome, Outcome::Bad(advice) if advice.contains("`media.tcp`")),
            "{lines:?}"
        );
    }

    #[test]
    fn webhooks_in_the_clear_are_doubtful_unless_they_stay_here() {
        let outcome = |url: &str| {
            let mut config = Config::default();
            config.webhook.urls.push(Secret::new(url));
            webhooks(&config).map(|line| line.outcome)
        };
        assert_eq!(webhooks(&Config::default()), None);
        assert!(matches!(
            outcome("http://localhost:3000/x"),
            Some(Outcome::Good(_))
        ));
        let remote = outcome("http://app.example.org/hook?token=swordfish");
        assert!(
            matches!(&remote, Some(Outcome::Doubtful(advice))
                if advice.contains("app.example.org") && !advice.contains("swordfish")),
            "{remote:?}"
        );
        assert!(matches!(outcome("x://y"), Some(Outcome::Bad(_))));
    }

    #[test]
    fn each_worker_has_its_own_port() {
        let first: SocketAddr = "127.0.0.1:5000".parse().expect("an address");
        assert_eq!(worker_address(first, 2).port(), 5002);
        let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        assert_eq!(worker_address(any, 2).port(), 0);
    }
}
