//! What becomes of a frame from a client without an allocation.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Instant,
};

use parking_lot::Mutex;
use turn_server_proto::types::{
    AddressFamily,
    attribute::{DontFragment, EvenPort, RequestedAddressFamily, ReservationToken},
    message::{ALLOCATE, CHANNEL_BIND, CREATE_PERMISSION, REFRESH},
    stun::{
        attribute::{AttributeType, ErrorCode},
        message::{BINDING, Message, MessageClass},
        prelude::AttributeStaticType,
    },
};

use super::{
    answer,
    door::{Door, Expiry, User},
    framing::Kind,
    peers::Peers,
    quota::{Exhausted, Permit, Quota},
    relay::{self, OpenRelayError, Relay},
    telemetry,
};
use crate::{
    config::{Rate, RelayPorts},
    http::{Allowance, RateLimiter, client_network},
};

/// Answers to one address (IPv6: one /64) that has shown no credentials yet. An office behind one NAT joins
/// within seconds; somebody whose address is forged gets no more than this.
const STRANGERS: Rate = Rate {
    per_second: 50,
    burst: 400,
    max_clients: 65_536,
};

/// What all clients share.
pub(super) struct Reception {
    pub(super) door: Door,
    pub(super) peers: Peers,
    allocations: Arc<Quota<String>>,
    ports: RelayPorts,
    strangers: Mutex<RateLimiter<IpAddr>>,
}

/// What to do about a frame.
pub(super) enum Reaction {
    /// Nothing.
    Ignore,
    /// Send this.
    Answer(Vec<u8>),
    /// Open an allocation.
    Open(Box<Opening>),
}

/// A client that may have an allocation, with all that it takes.
pub(super) struct Opening {
    pub(super) user: User,
    pub(super) relay: Relay,
    pub(super) permit: Permit<String>,
    /// The request that asked for it.
    pub(super) request: Vec<u8>,
}

impl Reception {
    pub(super) fn new(
        door: Door,
        peers: Peers,
        allocations: Arc<Quota<String>>,
        ports: RelayPorts,
    ) -> Self {
        Self {
            door,
            peers,
            allocations,
            ports,
            strangers: Mutex::new(RateLimiter::new(&STRANGERS)),
        }
    }

    /// Whether a stranger on UDP, where addresses can be forged, may be answered.
    pub(super) fn may_answer(&self, client: SocketAddr, now: Instant) -> bool {
        let network = client_network(client.ip().to_canonical());
        let allowed = self.strangers.lock().ask(network, now) == Allowance::Yes;
        if !allowed {
            telemetry::rate_limited();
        }
        allowed
    }

    /// Looks at a frame. `now` is Unix seconds.
    pub(super) fn receive(&self, frame: &[u8], client: SocketAddr, now: u64) -> Reaction {
        if Kind::of(frame) != Kind::Stun {
            return Reaction::Ignore;
        }
        let Ok(message) = Message::from_bytes(frame) else {
            return Reaction::Ignore;
        };
        if !message.has_class(MessageClass::Request) {
            return Reaction::Ignore;
        }
        let opened = match message.method() {
            BINDING => Err(answer::binding(&message, client)),
            ALLOCATE => self.open(&message, frame, client, now),
            REFRESH | CREATE_PERMISSION | CHANNEL_BIND => Err(self.mismatch(&message, client, now)),
            _ => Err(answer::unsigned(&message, ErrorCode::BAD_REQUEST)),
        };
        opened.map_or_else(Reaction::Answer, |opening| {
            Reaction::Open(Box::new(opening))
        })
    }

    fn open(
        &self,
        request: &Message<'_>,
        frame: &[u8],
        client: SocketAddr,
        now: u64,
    ) -> Result<Opening, Vec<u8>> {
        let user = self.door.examine(request, client, Expiry::Enforced, now)?;
        let refuse = |code| answer::refusal(request, code, &user.key);
        let unknown: Vec<AttributeType> =
            [EvenPort::TYPE, ReservationToken::TYPE, DontFragment::TYPE]
                .into_iter()
                .filter(|&kind| request.has_attribute(kind))
                .collect();
        if !unknown.is_empty() {
            return Err(answer::unknown(request, &unknown, &user.key));
        }
        let family = request.attribute::<RequestedAddressFamily>();
        let ipv4 = !family.is_ok_and(|asked| asked.family() == AddressFamily::IPV6);
        let permit = self.allocations.take(user.name.clone()).map_err(|full| {
            telemetry::allocation_refused();
            match full {
                Exhausted::Each => {
                    tracing::info!(user = user.name, "turn.max_allocations_per_user is reached");
                    refuse(ErrorCode::ALLOCATION_QUOTA_REACHED)
                }
                Exhausted::Total => {
                    tracing::warn!("turn.max_allocations is reached");
                    refuse(ErrorCode::INSUFFICIENT_CAPACITY)
                }
            }
        })?;
        let relay = relay::open(self.ports, &self.peers, ipv4, &mut rand::rng());
        let relay = relay.map_err(|error| match error {
            OpenRelayError::Family => refuse(ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED),
            OpenRelayError::Ports(_) => {
                telemetry::allocation_refused();
                tracing::warn!(%error, "an allocation was refused");
                refuse(ErrorCode::INSUFFICIENT_CAPACITY)
            }
        })?;
        Ok(Opening {
            user,
            relay,
            permit,
            request: frame.to_vec(),
        })
    }

    /// A request about an allocation that there is not.
    fn mismatch(&self, request: &Message<'_>, client: SocketAddr, now: u64) -> Vec<u8> {
        match self.door.examine(request, client, Expiry::Waived, now) {
            Ok(user) => answer::refusal(request, ErrorCode::ALLOCATION_MISMATCH, &user.key),
            Err(answer) => answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use turn_server_proto::types::stun::{
        attribute::{Nonce, XorMappedAddress},
        message::Method,
    };

    use super::*;
    use crate::{
        config::Secret,
        turn::{
            Credentials, MediaAddress, SharedSecret,
            test_client::{Asking, ask, code},
        },
    };

    const NOW: u64 = 1000;

    fn client() -> SocketAddr {
        "192.0.2.1:5000".parse().expect("an address")
    }

    /// A reception with room for two allocations, one a user.
    fn reception() -> Reception {
        let media = SocketAddr::from(([127, 0, 0, 1], 9));
        let media = MediaAddress {
            bound: media,
            candidates: vec![media],
        };
        let door = Door::new("hive".to_owned(), SharedSecret::new(&Secret::new("north")));
        let peers = Peers::new(&[media], &[]);
        Reception::new(door, peers, Quota::new(2, 1), RelayPorts::default())
    }

    fn credentials(identity: &str) -> Credentials {
        SharedSecret::new(&Secret::new("north")).credentials(identity, 2000)
    }

    fn answer(reaction: Reaction) -> Vec<u8> {
        match reaction {
            Reaction::Answer(answer) => answer,
            Reaction::Ignore => panic!("ignored"),
            Reaction::Open(_) => panic!("opened"),
        }
    }

    fn nonce(reception: &Reception) -> String {
        let challenge = answer(reception.receive(&ask(&Asking::default()), client(), NOW));
        let challenge = Message::from_bytes(&challenge).expect("STUN");
        let nonce = challenge.attribute::<Nonce>().expect("a nonce");
        nonce.nonce().to_owned()
    }

    fn opened(reception: &Reception, identity: &str) -> Result<Box<Opening>, u16> {
        let request = ask(&Asking {
            nonce: Some(&nonce(reception)),
            credentials: Some(&credentials(identity)),
            ..Asking::default()
        });
        match reception.receive(&request, client(), NOW) {
            Reaction::Open(opening) => Ok(opening),
            other => Err(code(&answer(other))),
        }
    }

    #[tokio::test]
    async fn allocations_are_counted_by_user_and_in_all() {
        let reception = reception();
        let ann = opened(&reception, "ann").expect("the first");
        assert!(ann.relay.address.ip().is_loopback());
        assert_eq!(opened(&reception, "ann").err(), Some(486));
        let _bob = opened(&reception, "bob").expect("the second");
        assert_eq!(opened(&reception, "cem").err(), Some(508));
        drop(ann);
        assert!(opened(&reception, "cem").is_ok());
    }

    #[tokio::test]
    async fn what_is_not_supported_is_said() {
        let reception = reception();
        let nonce = nonce(&reception);
        let credentials = credentials("ann");
        let refused = |more: &dyn turn_server_proto::types::stun::prelude::AttributeWrite| {
            let request = ask(&Asking {
                nonce: Some(&nonce),
                credentials: Some(&credentials),
                more: &[more],
                ..Asking::default()
            });
            code(&answer(reception.receive(&request, client(), NOW)))
        };
        assert_eq!(refused(&EvenPort::new(true)), 420);
        assert_eq!(refused(&DontFragment::new()), 420);
        let ipv6 = RequestedAddressFamily::new(AddressFamily::IPV6);
        assert_eq!(refused(&ipv6), 440, "no media worker has IPv6");
    }

    #[test]
    fn strangers_are_told_their_address_and_nothing_more() {
        let reception = reception();
        let binding = ask(&Asking {
            method: BINDING,
            ..Asking::default()
        });
        let told = answer(reception.receive(&binding, client(), NOW));
        let told = Message::from_bytes(&told).expect("STUN");
        let address = told.attribute::<XorMappedAddress>().expect("an address");
        assert_eq!(address.addr(told.transaction_id()), client());
        let asked = |method: Method| {
            let request = ask(&Asking {
                method,
                ..Asking::default()
            });
            code(&answer(reception.receive(&request, client(), NOW)))
        };
        assert_eq!(asked(REFRESH), 401);
        assert_eq!(asked(CREATE_PERMISSION), 401);
        // CONNECT of RFC 6062.
        assert_eq!(asked(Method::new(0x000a)), 400);
    }

    #[test]
    fn requests_without_an_allocation_mismatch() {
        let reception = reception();
        let request = ask(&Asking {
            method: REFRESH,
            nonce: Some(&nonce(&reception)),
            credentials: Some(&credentials("ann")),
            ..Asking::default()
        });
        let refused = answer(reception.receive(&request, client(), NOW));
        assert_eq!(code(&refused), 437);
    }

    #[test]
    fn garbage_is_not_answered() {
        let reception = reception();
        let mut truncated = ask(&Asking::default());
        truncated.pop();
        for garbage in [
            &[][..],
            &[0; 40],
            &[0x40, 0, 0, 0],
            &[0xff; 100],
            &truncated,
        ] {
            assert!(matches!(
                reception.receive(garbage, client(), NOW),
                Reaction::Ignore
            ));
        }
    }

    #[test]
    fn strangers_of_one_network_are_answered_so_often_and_no_more() {
        let (reception, now) = (reception(), Instant::now());
        let ask = |address: &str| {
            let address = format!("[{address}]:5000");
            reception.may_answer(address.parse().expect("an address"), now)
        };
        let answered = (0..1000).filter(|_| ask("2001:db8::1")).count();
        assert_eq!(answered, 400);
        assert!(!ask("2001:db8::2"), "the same /64");
        assert!(ask("2001:db8:0:1::1"));
    }
}
