//! `turn`: a relay for clients whose network lets no UDP through to the media workers.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{Complaint, Config, SHORTEST_SECRET, Secret};

/// The embedded TURN server, or credentials for another one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Turn {
    /// Whether the embedded server runs.
    pub enabled: bool,
    /// UDP and TCP address of the embedded server.
    pub bind: SocketAddr,
    /// Name or address that clients reach it at; empty is the first address of the media workers.
    pub advertise: Option<String>,
    /// URLs told to clients instead of those that `advertise` and the port make.
    pub urls: Vec<String>,
    /// The realm of the credentials.
    pub realm: String,
    /// Ports of relayed addresses.
    pub relay_ports: RelayPorts,
    /// Time for which credentials can open an allocation; a living one outlasts them.
    #[serde(with = "super::duration")]
    pub ttl: Duration,
    /// What the credentials are derived from; empty is a random one a start.
    pub shared_secret: Option<Secret>,
    /// Allocations at once.
    pub max_allocations: usize,
    /// Allocations of one identity at once.
    pub max_allocations_per_user: usize,
    /// TCP connections at once.
    pub max_connections: usize,
    /// Time in which a TCP connection has to open an allocation.
    #[serde(with = "super::duration")]
    pub idle_timeout: Duration,
    /// Networks that may be relayed to besides this server's own media workers.
    pub allow_peers: Vec<IpNet>,
    /// A TURN server elsewhere, instead of the embedded one.
    pub external: Option<ExternalTurn>,
}

/// First and last port of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RelayPorts {
    /// Lowest.
    pub first: u16,
    /// Highest.
    pub last: u16,
}

impl Default for RelayPorts {
    /// The dynamic ports, as RFC 8656 (section 7.2) asks.
    fn default() -> Self {
        Self {
            first: 49152,
            last: 65535,
        }
    }
}

/// A TURN server that derives passwords from a secret it shares with HIVE, as coturn's `use-auth-secret` does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExternalTurn {
    /// Where it is.
    pub urls: Vec<String>,
    /// coturn's `static-auth-secret`.
    pub shared_secret: Secret,
}

impl Default for Turn {
    fn default() -> Self {
        Self {
            enabled: false,
            bind: SocketAddr::from(([0, 0, 0, 0], 3479)),
            advertise: None,
            urls: Vec::new(),
            realm: "hive".to_owned(),
            relay_ports: RelayPorts::default(),
            ttl: Duration::from_secs(12 * 3600),
            shared_secret: None,
            max_allocations: 1000,
            max_allocations_per_user: 20,
            max_connections: 1000,
            idle_timeout: Duration::from_secs(10),
            allow_peers: Vec::new(),
            external: None,
        }
    }
}

impl Config {
    pub(super) fn turn_complaints(&self) -> Vec<Complaint> {
        let turn = &self.turn;
        let ports = turn.relay_ports;
        let range = usize::from(ports.last.saturating_sub(ports.first)) + 1;
        let wrong = [
            (
                turn.enabled && turn.external.is_some(),
                "turn.external",
                "is instead of the embedded server; set turn.enabled to false or leave it out",
            ),
            (
                turn.enabled && self.media_ports().contains(&turn.bind.port()),
                "turn.bind",
                "a media worker has this port (media.bind and one above for each worker); take another one",
            ),
            (
                turn.enabled && turn.bind.port() != 0 && turn.bind.port() == self.http.bind.port(),
                "turn.bind",
                "http.bind has this TCP port; take another one",
            ),
            (
                turn.advertise.as_deref().is_some_and(|host| !is_host(host)),
                "turn.advertise",
                "must be a name or an address, such as turn.example.org, without scheme and port",
            ),
            (
                !turn.urls.iter().all(|url| is_ice_url(url)),
                "turn.urls",
                "must be URLs such as turns:turn.example.org:443?transport=tcp",
            ),
            (
                turn.realm.is_empty()
                    || turn.realm.len() > 127
                    || turn
                        .realm
                        .chars()
                        .any(|c| c.is_control() || "\"\\".contains(c)),
                "turn.realm",
                "must have 1 to 127 bytes and neither quotes nor backslashes",
            ),
            (
                ports.first < 1024 || ports.last < ports.first,
                "turn.relay_ports",
                "first must be 1024 or more, and last no less than first",
            ),
            (
                ports.last >= ports.first && range < turn.max_allocations,
                "turn.relay_ports",
                "has fewer ports than turn.max_allocations; every allocation takes one",
            ),
            (
                turn.ttl < Duration::from_secs(60),
                "turn.ttl",
                "must be at least 1m: credentials expire before a client can use them",
            ),
            (
                turn.shared_secret
                    .as_ref()
                    .is_some_and(|secret| secret.expose().len() < SHORTEST_SECRET),
                "turn.shared_secret",
                "must have at least 32 bytes; `hive keys` prints secrets that do",
            ),
            (
                turn.max_allocations == 0,
                "turn.max_allocations",
                "must be at least 1",
            ),
            (
                turn.max_allocations_per_user == 0,
                "turn.max_allocations_per_user",
                "must be at least 1",
            ),
            (
                turn.max_connections == 0,
                "turn.max_connections",
                "must be at least 1",
            ),
            (
                turn.idle_timeout < Duration::from_secs(1),
                "turn.idle_timeout",
                "must be at least 1s, or slow clients never come in",
            ),
            (
                turn.allow_peers.iter().any(|net| net.prefix_len() == 0),
                "turn.allow_peers",
                "must not hold every address: that makes an open relay of this server",
            ),
            (
                turn.external.as_ref().is_some_and(|other| {
                    other.urls.is_empty() || !other.urls.iter().all(|url| is_ice_url(url))
                }),
                "turn.external.urls",
                "must be URLs such as turn:turn.example.org:3478?transport=udp",
            ),
            (
                turn.external
                    .as_ref()
                    .is_some_and(|other| other.shared_secret.expose().is_empty()),
                "turn.external.shared_secret",
                "must be the server's secret (coturn's static-auth-secret)",
            ),
        ];
        wrong
            .into_iter()
            .filter(|(is_wrong, _, _)| *is_wrong)
            .map(|(_, path, advice)| Complaint {
                path: path.to_owned(),
                advice: advice.to_owned(),
            })
            .collect()
    }

    /// The ports that the media workers will take; none if the system picks them.
    pub(super) fn media_ports(&self) -> BTreeSet<u16> {
        let first = self.media.bind.port();
        (0..u16::try_from(self.media.workers).unwrap_or(u16::MAX))
            .take_while(|_| first != 0)
            .filter_map(|worker| first.checked_add(worker))
            .collect()
    }
}

fn is_host(text: &str) -> bool {
    text.parse::<std::net::IpAddr>().is_ok()
        || (!text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte)))
}

/// RFC 7064 and RFC 7065, as far as a header needs it: the right scheme, and nothing that ends a URL early.
fn is_ice_url(text: &str) -> bool {
    ["turn:", "turns:", "stun:", "stuns:"]
        .iter()
        .any(|scheme| text.len() > scheme.len() && text.starts_with(scheme))
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"<>\"".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(change: impl FnOnce(&mut Config)) -> Vec<String> {
        let mut config = Config::default();
        config.turn.enabled = true;
        change(&mut config);
        let complaints = config.complaints();
        complaints.into_iter().map(|found| found.path).collect()
    }

    #[test]
    fn the_embedded_server_fits_beside_the_default_media_worker() {
        assert_eq!(paths(|_| {}), Vec::<String>::new());
    }

    #[test]
    fn every_complaint_names_its_key() {
        let paths = paths(|config| {
            config.media.workers = 2;
            let turn = &mut config.turn;
            turn.advertise = Some("turn:example.org".to_owned());
            turn.urls = vec!["https://example.org".to_owned()];
            turn.realm = "a\"b".to_owned();
            turn.relay_ports = RelayPorts {
                first: 50000,
                last: 50010,
            };
            turn.ttl = Duration::from_secs(1);
            turn.shared_secret = Some(Secret::new("short"));
            turn.max_allocations_per_user = 0;
            turn.max_connections = 0;
            turn.idle_timeout = Duration::ZERO;
            turn.allow_peers = vec!["0.0.0.0/0".parse().expect("a net")];
            turn.external = Some(ExternalTurn {
                urls: Vec::new(),
                shared_secret: Secret::new(""),
            });
        });
        assert_eq!(
            paths,
            [
                "turn.external",
                "turn.bind",
                "turn.advertise",
                "turn.urls",
                "turn.realm",
                "turn.relay_ports",
                "turn.ttl",
                "turn.shared_secret",
                "turn.max_allocations_per_user",
                "turn.max_connections",
                "turn.idle_timeout",
                "turn.allow_peers",
                "turn.external.urls",
                "turn.external.shared_secret",
            ]
        );
    }

    #[test]
    fn a_url_cannot_leave_its_brackets() {
        assert!(is_ice_url("turns:turn.example.org:443?transport=tcp"));
        for bad in ["turn:", "turn:a>; rel=\"next\"", "http://a", "turn:a b"] {
            assert!(!is_ice_url(bad), "{bad}");
        }
    }
}
