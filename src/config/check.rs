//! Values that have the right shape but cannot work.

use std::{fmt, time::Duration};

use super::{Config, SHORTEST_SECRET, http::LEAST_SIGNAL_FRAME};

/// A key whose value cannot work, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// The key, dotted.
    pub path: String,
    /// What is wrong and what to do.
    pub advice: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.path, self.advice)
    }
}

impl Config {
    /// Everything that cannot work; empty is good. Missing keys are not among it: they are
    /// [`Config::missing_keys`], because `hive check` and `hive keys` work without.
    pub fn complaints(&self) -> Vec<Complaint> {
        let mut found = Vec::new();
        let mut complain = |path: &str, advice: String| {
            found.push(Complaint {
                path: path.to_owned(),
                advice,
            });
        };
        for (path, value) in [
            ("http.workers", self.http.workers),
            ("http.max_connections", self.http.max_connections),
            ("http.rate.per_second", self.http.rate.per_second as usize),
            ("http.rate.burst", self.http.rate.burst as usize),
            ("http.rate.max_clients", self.http.rate.max_clients),
            (
                "http.room_service.max_body",
                self.http.room_service.max_body,
            ),
            (
                "http.room_service.per_second",
                self.http.room_service.per_second as usize,
            ),
            (
                "http.room_service.burst",
                self.http.room_service.burst as usize,
            ),
            ("http.events.queue", self.http.events.queue),
            ("http.signal.inbox", self.http.signal.inbox),
            (
                "http.signal.per_second",
                self.http.signal.per_second as usize,
            ),
            ("http.signal.burst", self.http.signal.burst as usize),
            ("http.signal.queue", self.http.signal.queue),
            ("media.workers", self.media.workers),
            ("media.tcp_per_client", self.media.tcp_per_client),
            ("media.max_peers", self.media.max_peers),
            ("rooms.max_rooms", self.rooms.max_rooms),
            ("rooms.max_participants", self.rooms.max_participants),
        ] {
            if value == 0 {
                complain(path, "must be at least 1".to_owned());
            }
        }
        for (path, value) in [
            ("http.request_timeout", self.http.request_timeout),
            ("http.events.ping_interval", self.http.events.ping_interval),
            ("media.idle_timeout", self.media.idle_timeout),
            ("auth.default_ttl", self.auth.default_ttl),
        ] {
            if value.is_zero() {
                complain(path, "must be longer than nothing".to_owned());
            }
        }
        let (http, media) = (self.http.bind, self.media.bind.ip());
        let same_host = http.ip() == media || http.ip().is_unspecified() || media.is_unspecified();
        if self.media.tcp && same_host && self.media_ports().contains(&http.port()) {
            complain(
                "media.bind",
                "http.bind has this TCP port; take another one, or set media.tcp to false if every client has UDP"
                    .to_owned(),
            );
        }
        if self.http.header_timeout < Duration::from_secs(1) {
            complain(
                "http.header_timeout",
                "must be at least 1s: the clock behind it ticks twice a second".to_owned(),
            );
        }
        if self.http.max_body < 4096 {
            complain(
                "http.max_body",
                "must be at least 4096, or no browser's SDP offer fits".to_owned(),
            );
        }
        if self.http.events.max_frame < 125 {
            complain(
                "http.events.max_frame",
                "must be at least 125, the size of a pong (RFC 6455)".to_owned(),
            );
        }
        if self.http.events.pong_timeout <= self.http.events.ping_interval {
            complain(
                "http.events.pong_timeout",
                "must be longer than http.events.ping_interval, or every client counts as gone"
                    .to_owned(),
            );
        }
        if self.http.signal.max_frame < LEAST_SIGNAL_FRAME {
            complain(
                "http.signal.max_frame",
                format!(
                    "must be at least {LEAST_SIGNAL_FRAME}, or the offer of a client in a large room does not fit"
                ),
            );
        }
        for (path, value) in [
            ("http.signal.ping_interval", self.http.signal.ping_interval),
            ("http.signal.ping_timeout", self.http.signal.ping_timeout),
        ] {
            if value.as_secs() == 0 || value.subsec_nanos() != 0 {
                complain(
                    path,
                    "must be whole seconds, 1s or more: clients are told it in seconds".to_owned(),
                );
            }
        }
        if self.http.signal.ping_timeout <= self.http.signal.ping_interval {
            complain(
                "http.signal.ping_timeout",
                "must be longer than http.signal.ping_interval, or every client counts as gone"
                    .to_owned(),
            );
        }
        if self.auth.default_ttl > self.auth.max_ttl {
            complain(
                "auth.default_ttl",
                "must not be longer than auth.max_ttl".to_owned(),
            );
        }
        let port = usize::from(self.media.bind.port());
        if port != 0 && port + self.media.workers.saturating_sub(1) > usize::from(u16::MAX) {
            complain(
                "media.bind",
                "the port leaves no room for one port a worker; take a lower one".to_owned(),
            );
        }
        if let Some(url) = &self.http.public_url
            && !(url.starts_with("https://") || url.starts_with("http://"))
        {
            complain(
                "http.public_url",
                "must start with https:// or http://".to_owned(),
            );
        }
        for origin in &self.http.cors.origins {
            let is_origin = origin == "*"
                || origin.split_once("://").is_some_and(|(scheme, host)| {
                    !scheme.is_empty() && !host.is_empty() && !host.contains('/')
                });
            if !is_origin {
                complain(
                    "http.cors.origins",
                    format!(
                        "`{origin}` is no origin; write https://app.example.org, without a path, or *"
                    ),
                );
            }
        }
        for (key, secret) in &self.auth.keys {
            let path = format!("auth.keys.{key}");
            if key.is_empty()
                || !key
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            {
                complain(
                    &path,
                    "an API key has letters, digits, - and _ only; make one with `hive keys`"
                        .to_owned(),
                );
            }
            if secret.expose().len() < SHORTEST_SECRET {
                complain(
                    &path,
                    format!(
                        "the secret must have at least {SHORTEST_SECRET} bytes; make one with `hive keys`"
                    ),
                );
            }
        }
        for (index, key) in self.auth.service_keys.iter().enumerate() {
            if key.expose().len() < SHORTEST_SECRET {
                complain(
                    &format!("auth.service_keys[{index}]"),
                    format!(
                        "must have at least {SHORTEST_SECRET} bytes; make one with `hive keys`"
                    ),
                );
            }
        }
        if let Err(error) = tracing_subscriber::EnvFilter::try_new(&self.log.level) {
            complain(
                "log.level",
                format!("{error}; write error, warn, info, debug or trace"),
            );
        }
        found.extend(self.pipeline_complaints());
        found.extend(self.turn_complaints());
        found.extend(self.webhook_complaints());
        found
    }

    /// Says what is missing before anybody can join: there are no default keys.
    pub fn missing_keys(&self) -> Option<Complaint> {
        self.auth.keys.is_empty().then(|| Complaint {
            path: "auth.keys".to_owned(),
            advice: "there is no API key, so nobody could join; run `hive keys` and put what it prints into the \
                     configuration"
                .to_owned(),
        })
    }

    /// Keys that everybody knows, because they stand in some documentation.
    pub fn well_known_keys(&self) -> Vec<String> {
        let well_known = |text: &str| {
            let text = text.to_ascii_lowercase();
            [
                "devkey",
                "secret",
                "changeme",
                "change-me",
                "example",
                "password",
            ]
            .iter()
            .any(|known| text.contains(known))
                || text.bytes().all(|b| Some(b) == text.bytes().next())
        };
        self.auth
            .keys
            .iter()
            .filter(|(key, secret)| key.as_str() == "devkey" || well_known(secret.expose()))
            .map(|(key, _)| format!("auth.keys.{key}"))
            .chain(
                self.auth
                    .service_keys
                    .iter()
                    .enumerate()
                    .filter(|(_, key)| well_known(key.expose()))
                    .map(|(index, _)| format!("auth.service_keys[{index}]")),
            )
            .chain(
                self.turn
                    .shared_secret
                    .iter()
                    .filter(|secret| well_known(secret.expose()))
                    .map(|_| "turn.shared_secret".to_owned()),
            )
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    fn paths(config: &Config) -> Vec<String> {
        config
            .complaints()
            .into_iter()
            .map(|complaint| complaint.path)
            .collect()
    }

    #[test]
    fn the_defaults_can_work_but_for_the_keys() {
        assert_eq!(Config::default().complaints(), vec![]);
        let missing = Config::default()
            .missing_keys()
            .expect("no keys by default");
        assert!(missing.to_string().contains("hive keys"));
    }

    #[test]
    fn every_complaint_names_its_key() {
        let mut config = Config::default();
        config.http.workers = 0;
        config.http.max_body = 10;
        config.http.events.pong_timeout = Duration::from_secs(1);
        config.http.signal.burst = 0;
        config.http.signal.max_frame = 4096;
        config.http.signal.ping_interval = Duration::from_millis(1500);
        config.http.signal.ping_timeout = Duration::from_secs(1);
        config.auth.default_ttl = Duration::from_secs(1 << 30);
        config
            .auth
            .keys
            .insert("a b".to_owned(), Secret::new("short"));
        config.auth.service_keys.push(Secret::new("short"));
        config.http.cors.origins = vec!["example.org".to_owned()];
        config.http.public_url = Some("hive.example.org".to_owned());
        config.log.level = "hive=loud".to_owned();
        config.media.bind.set_port(65535);
        config.media.workers = 2;
        let paths = paths(&config);
        for path in [
            "http.workers",
            "http.max_body",
            "http.events.pong_timeout",
            "http.signal.burst",
            "http.signal.max_frame",
            "http.signal.ping_interval",
            "http.signal.ping_timeout",
            "auth.default_ttl",
            "auth.keys.a b",
            "auth.service_keys[0]",
            "http.cors.origins",
            "http.public_url",
            "log.level",
            "media.bind",
        ] {
            assert!(
                paths.iter().any(|found| found == path),
                "{path} is not in {paths:?}"
            );
        }
    }

    #[test]
    fn http_and_media_share_no_tcp_port() {
        let mut config = Config::default();
        config.http.bind.set_port(3479);
        config.media.workers = 2;
        assert_eq!(paths(&config), ["media.bind"]);
        config.media.tcp = false;
        assert_eq!(config.complaints(), vec![]);
        config.media.tcp = true;
        config.http.bind = "127.0.0.1:3479".parse().expect("an address");
        config.media.bind = "203.0.113.1:3478".parse().expect("an address");
        assert_eq!(config.complaints(), vec![]);
    }

    #[test]
    fn known_keys_are_found_without_being_shown() {
        let mut config = Config::default();
        config.auth.keys.insert(
            "devkey".to_owned(),
            Secret::new("d8Qk1mZpX0aLw7vTn3RyUe5BhJc9GsFo"),
        );
        config.auth.keys.insert(
            "good".to_owned(),
            Secret::new("d8Qk1mZpX0aLw7vTn3RyUe5BhJc9GsFo"),
        );
        config.auth.service_keys.push(Secret::new("a".repeat(40)));
        config.turn.shared_secret = Some(Secret::new("changeme".repeat(4)));
        assert_eq!(
            config.well_known_keys(),
            [
                "auth.keys.devkey",
                "auth.service_keys[0]",
                "turn.shared_secret"
            ]
        );
    }
}
