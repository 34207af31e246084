//! `webhook`: who is told what happens to rooms.

use std::time::Duration;

use actix_web::http::Uri;
use serde::{Deserialize, Serialize};

use super::{Complaint, Config, Secret};

/// Receivers of webhooks, and how patiently they are told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Webhook {
    /// Addresses that every event is posted to. Whoever knows such an address can post there, too, so none is
    /// logged whole.
    pub urls: Vec<Secret>,
    /// The key of `auth.keys` whose secret signs the posts.
    pub api_key: Option<String>,
    /// Time in which a receiver has to answer.
    #[serde(with = "super::duration")]
    pub timeout: Duration,
    /// How often an event is posted before it is given up.
    pub max_attempts: u32,
    /// Wait after the first failed attempt; it doubles from one to the next.
    #[serde(with = "super::duration")]
    pub backoff: Duration,
    /// Longest wait.
    #[serde(with = "super::duration")]
    pub max_backoff: Duration,
    /// Events that wait for a receiver.
    pub queue: usize,
}

impl Default for Webhook {
    fn default() -> Self {
        Self {
            urls: Vec::new(),
            api_key: None,
            timeout: Duration::from_secs(5),
            max_attempts: 5,
            backoff: Duration::from_secs(1),
            max_backoff: Duration::from_secs(30),
            queue: 256,
        }
    }
}

/// What a URL of a receiver may not be. None of the texts holds the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReceiver {
    /// No URL at all.
    #[error("must be a URL such as https://app.example.org/hooks/hive")]
    Url,
    /// Another scheme.
    #[error("must start with https:// or http://")]
    Scheme,
    /// With user and password.
    #[error(
        "must not hold a user or password: a receiver knows HIVE by the signature (docs/http.md, Webhooks)"
    )]
    Credentials,
}

/// Reads the URL of a receiver.
///
/// # Errors
/// See [`InvalidReceiver`].
pub fn parse_receiver(url: &Secret) -> Result<Uri, InvalidReceiver> {
    let url: Uri = url.expose().parse().map_err(|_| InvalidReceiver::Url)?;
    let authority = url.authority().ok_or(InvalidReceiver::Url)?;
    if !matches!(url.scheme_str(), Some("https" | "http")) {
        return Err(InvalidReceiver::Scheme);
    }
    if authority.as_str().contains('@') {
        return Err(InvalidReceiver::Credentials);
    }
    if authority.host().is_empty() {
        return Err(InvalidReceiver::Url);
    }
    Ok(url)
}

impl Config {
    pub(super) fn webhook_complaints(&self) -> Vec<Complaint> {
        let webhook = &self.webhook;
        let mut found = Vec::new();
        let mut complain = |path: String, advice: String| found.push(Complaint { path, advice });
        for (index, url) in webhook.urls.iter().enumerate() {
            if let Err(error) = parse_receiver(url) {
                complain(format!("webhook.urls[{index}]"), error.to_string());
            }
        }
        match &webhook.api_key {
            Some(key) if !self.auth.keys.contains_key(key) => complain(
                "webhook.api_key".to_owned(),
                format!("`{key}` is none of auth.keys; name the key whose secret signs webhooks"),
            ),
            None if !webhook.urls.is_empty() => complain(
                "webhook.api_key".to_owned(),
                "must name one of auth.keys: its secret signs webhooks".to_owned(),
            ),
            _ => {}
        }
        for (path, wrong, advice) in [
            (
                "webhook.timeout",
                webhook.timeout.is_zero(),
                "must be longer than nothing",
            ),
            (
                "webhook.max_attempts",
                webhook.max_attempts == 0,
                "must be at least 1",
            ),
            (
                "webhook.backoff",
                webhook.backoff.is_zero(),
                "must be longer than nothing, or a failing receiver is stormed",
            ),
            (
                "webhook.max_backoff",
                webhook.max_backoff < webhook.backoff,
                "must not be shorter than webhook.backoff",
            ),
            ("webhook.queue", webhook.queue == 0, "must be at least 1"),
        ] {
            if wrong {
                complain(path.to_owned(), advice.to_owned());
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(webhook: Webhook) -> Vec<String> {
        let mut config = Config {
            webhook,
            ..Config::default()
        };
        let secret = Secret::new("d8Qk1mZpX0aLw7vTn3RyUe5BhJc9GsFo");
        config.auth.keys.insert("key".to_owned(), secret);
        let found = config.webhook_complaints();
        found.into_iter().map(|complaint| complaint.path).collect()
    }

    fn to(url: &str) -> Webhook {
        Webhook {
            urls: vec![Secret::new(url)],
            api_key: Some("key".to_owned()),
            ..Webhook::default()
        }
    }

    #[test]
    fn a_receiver_is_a_url_without_credentials() {
        for good in [
            "https://app.example.org/hook?t=1",
            "http://127.0.0.1:3000",
            "http://[::1]:1/x",
        ] {
            assert_eq!(complaints(to(good)), [""; 0], "{good}");
        }
        for bad in [
            "",
            "app.example.org/hook",
            "/hook",
            "ftp://app.example.org/",
            "https://ann:secret@app.example.org/",
        ] {
            assert_eq!(complaints(to(bad)), ["webhook.urls[0]"], "{bad}");
        }
    }

    #[test]
    fn a_key_has_to_sign() {
        let mut webhook = to("https://app.example.org");
        webhook.api_key = None;
        assert_eq!(complaints(webhook.clone()), ["webhook.api_key"]);
        webhook.api_key = Some("other".to_owned());
        assert_eq!(complaints(webhook), ["webhook.api_key"]);
        assert_eq!(complaints(Webhook::default()), [""; 0], "nobody is told");
    }

    #[test]
    fn limits_have_sense() {
        let senseless = Webhook {
            timeout: Duration::ZERO,
            max_attempts: 0,
            backoff: Duration::ZERO,
            queue: 0,
            ..Webhook::default()
        };
        assert_eq!(
            complaints(senseless),
            [
                "webhook.timeout",
                "webhook.max_attempts",
                "webhook.backoff",
                "webhook.queue"
            ]
        );
    }

    #[test]
    fn a_receivers_url_is_not_shown() {
        let shown = format!("{:?}", to("https://app.example.org/hook?token=swordfish"));
        assert!(!shown.contains("swordfish"), "{shown}");
    }
}
