//! What clients are told, so that they can use a TURN server.

use std::{fmt::Write as _, net::IpAddr, sync::Arc, time::Duration};

use super::credentials::{Credentials, SharedSecret};
use crate::config::{ExternalTurn, Secret};

/// A TURN server and how to get in (the `RTCIceServer` of WebRTC).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IceServer {
    /// Its addresses: RFC 7065.
    pub urls: Vec<String>,
    /// The user name.
    pub username: String,
    /// The password.
    pub credential: Secret,
}

/// The TURN servers there are; a cheap handle.
#[derive(Clone, Debug, Default)]
pub struct IceServers(Option<Arc<Source>>);

#[derive(Debug)]
struct Source {
    urls: Vec<String>,
    secret: SharedSecret,
    ttl: Duration,
}

impl IceServers {
    /// No server: clients reach the media workers by themselves.
    pub fn none() -> Self {
        Self::default()
    }

    /// A server elsewhere.
    pub fn external(server: &ExternalTurn, ttl: Duration) -> Self {
        let secret = SharedSecret::new(&server.shared_secret);
        Self::new(server.urls.clone(), secret, ttl)
    }

    pub(super) fn new(urls: Vec<String>, secret: SharedSecret, ttl: Duration) -> Self {
        Self(Some(Arc::new(Source { urls, secret, ttl })))
    }

    /// What to tell a participant at `now`, in Unix seconds. Each gets credentials of their own.
    pub fn for_identity(&self, identity: &str, now: u64) -> Vec<IceServer> {
        let server = self.0.as_deref().map(|source| {
            let expires_at = now.saturating_add(source.ttl.as_secs());
            let Credentials {
                username,
                credential,
            } = source.secret.credentials(identity, expires_at);
            IceServer {
                urls: source.urls.clone(),
                username,
                credential,
            }
        });
        server.into_iter().collect()
    }
}

impl IceServer {
    /// The `Link` headers of RFC 9725, section 4.6: one a URL.
    pub fn link_headers(&self) -> impl Iterator<Item = String> {
        self.urls.iter().map(|url| {
            let mut link = format!("<{url}>; rel=\"ice-server\"");
            if url.starts_with("turn") {
                let _ = write!(
                    link,
                    "; username=\"{}\"; credential=\"{}\"; credential-type=\"password\"",
                    self.username,
                    self.credential.expose()
                );
            }
            link
        })
    }
}

/// The URLs of the embedded server.
pub(super) fn urls(host: &str, port: u16) -> Vec<String> {
    let host = match host.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) => format!("[{address}]"),
        _ => host.to_owned(),
    };
    ["udp", "tcp"]
        .map(|transport| format!("turn:{host}:{port}?transport={transport}"))
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn external(urls: &[&str]) -> IceServers {
        let server = ExternalTurn {
            urls: urls.iter().map(|&url| url.to_owned()).collect(),
            shared_secret: Secret::new("north"),
        };
        IceServers::external(&server, Duration::from_secs(3600))
    }

    #[test]
    fn credentials_expire_after_the_ttl() {
        let servers = external(&["turn:turn.example.org"]).for_identity("ann", 1000);
        assert_eq!(servers.len(), 1);
        assert_eq!(servers[0].username, "4600:ann");
        assert_eq!(IceServers::none().for_identity("ann", 1000), []);
    }

    #[test]
    fn links_are_those_of_whip() {
        let servers = external(&["turn:a.example.org?transport=udp", "stun:b.example.org"]);
        let server = &servers.for_identity("ann", 1000)[0];
        let links: Vec<String> = server.link_headers().collect();
        let credential = server.credential.expose();
        assert_eq!(
            links,
            [
                format!(
                    "<turn:a.example.org?transport=udp>; rel=\"ice-server\"; username=\"4600:ann\"; \
                     credential=\"{credential}\"; credential-type=\"password\""
                ),
                "<stun:b.example.org>; rel=\"ice-server\"".to_owned(),
            ]
        );
    }

    #[test]
    fn addresses_of_both_kinds_make_urls() {
        assert_eq!(
            urls("2001:db8::1", 3479),
            [
                "turn:[2001:db8::1]:3479?transport=udp",
                "turn:[2001:db8::1]:3479?transport=tcp"
            ]
        );
        assert_eq!(
            urls("turn.example.org", 443)[0],
            "turn:turn.example.org:443?transport=udp"
        );
    }
}
