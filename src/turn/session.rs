//! A client with an allocation: its frames, its relayed address, and the end of both.

#[cfg(test)]
mod tests;

use std::{
    collections::HashSet,
    net::SocketAddr,
    time::{Duration, Instant as StdInstant},
};

use tokio::{net::UdpSocket, time::sleep_until};
use turn_server_proto::types::{
    Instant,
    attribute::XorPeerAddress,
    message::{ALLOCATE, CHANNEL_BIND, CREATE_PERMISSION, REFRESH, SEND},
    stun::{
        attribute::ErrorCode,
        message::{BINDING, Message, MessageClass, Method, TransactionId},
        prelude::{Attribute, AttributeFromRaw, AttributeStaticType},
    },
};

use super::{
    allocation::{Allocation, Ends, Outgoing, State},
    answer,
    door::Expiry,
    framing::{Kind, MAX_FRAME},
    link::Link,
    quota::Permit,
    reception::{Opening, Reception},
    relay::Relay,
    telemetry::{self, Counted, Direction},
};
use crate::auth::unix_seconds;

/// Peers of one allocation, in its whole life: a client has the candidates of a few media workers to try.
const MAX_PEERS: usize = 64;
/// How exactly expiry is kept; the library counts in nanoseconds, and nobody needs more wake-ups than this.
const TICK: Duration = Duration::from_secs(1);

/// Serves a client until its allocation or its link ends.
pub(super) async fn run(
    link: &mut impl Link,
    reception: &Reception,
    opening: Opening,
    client: SocketAddr,
    server: SocketAddr,
) {
    let (mut session, request) = Session::new(reception, opening, client, server);
    let mut buffer = vec![0; MAX_FRAME];
    session.client_sent(link, request);
    while let State::Until(due) = session.settle(link) {
        let wake = due.to_std(session.started).max(StdInstant::now() + TICK);
        tokio::select! {
            frame = link.receive() => match frame {
                Some(frame) => session.client_sent(link, frame),
                None => break,
            },
            received = session.relay.recv_from(&mut buffer) => {
                // An error is some peer's refusal (ICMP), which is none of the client's business.
                if let Ok((len, from)) = received {
                    session.peer_sent(link, from, &buffer[..len]);
                }
            }
            () = sleep_until(wake.into()) => {}
        }
    }
    tracing::debug!(
        user = session.allocation.user().name,
        "a TURN allocation ended"
    );
}

struct Session<'r> {
    reception: &'r Reception,
    allocation: Allocation,
    relay: UdpSocket,
    /// The library's clock begins here.
    started: StdInstant,
    /// Peers that the client was permitted; a port of 0 is the address alone.
    peers: HashSet<SocketAddr>,
    /// The peer it wrote to last.
    last: Option<SocketAddr>,
    /// The request that made the allocation, and its answer.
    made: Option<(TransactionId, Vec<u8>)>,
    _permit: Permit<String>,
    _counted: Counted,
}

impl<'r> Session<'r> {
    fn new(
        reception: &'r Reception,
        opening: Opening,
        client: SocketAddr,
        server: SocketAddr,
    ) -> (Self, Vec<u8>) {
        let Opening {
            user,
            relay: Relay { socket, address },
            permit,
            request,
        } = opening;
        tracing::debug!(user = user.name, "a TURN allocation is made");
        let ends = Ends {
            client,
            server,
            relayed: address,
        };
        let session = Self {
            allocation: Allocation::new(ends, user, reception.door.realm(), Instant::ZERO),
            reception,
            relay: socket,
            started: StdInstant::now(),
            peers: HashSet::new(),
            last: None,
            made: None,
            _permit: permit,
            _counted: Counted::allocation(),
        };
        (session, request)
    }

    fn now(&self) -> Instant {
        Instant::from_std(self.started)
    }

    fn settle(&mut self, link: &mut impl Link) -> State {
        let mut frames = Vec::new();
        let state = self.allocation.settle(self.now(), &mut frames);
        for frame in frames {
            // The library's only late answer is that to ALLOCATE.
            if let Ok(answer) = Message::from_bytes(&frame) {
                self.made = Some((answer.transaction_id(), frame.clone()));
            }
            link.send(&frame);
        }
        state
    }

    fn client_sent(&mut self, link: &mut impl Link, frame: Vec<u8>) {
        let outgoing = match Kind::of(&frame) {
            Kind::Channel => self.allocation.client_sent(frame, self.now()),
            Kind::Stun => match Message::from_bytes(&frame) {
                Ok(message) if message.has_class(MessageClass::Request) => self
                    .request(&message)
                    .unwrap_or_else(|answer| Some(Outgoing::Client(answer))),
                Ok(message)
                    if message.get_type().has_class(MessageClass::Indication)
                        && message.has_method(SEND) =>
                {
                    self.allocation.client_sent(frame, self.now())
                }
                // Keepalives, answers to nothing, and garbage.
                _ => None,
            },
            Kind::Neither => None,
        };
        match outgoing {
            Some(Outgoing::Client(answer)) => link.send(&answer),
            Some(Outgoing::Peer { to, frame, data }) => self.forward(to, &frame[data]),
            None => {}
        }
    }

    /// `Err` is an answer that the library is not asked for.
    fn request(&mut self, request: &Message<'_>) -> Result<Option<Outgoing>, Vec<u8>> {
        let client = self.allocation.ends().client;
        if request.has_method(BINDING) {
            return Err(answer::binding(request, client));
        }
        let door = &self.reception.door;
        let asking = door.examine(request, client, Expiry::Waived, unix_seconds())?;
        let refuse = |code| Err(answer::refusal(request, code, &asking.key));
        let owner = self.allocation.user().credentials.username();
        if asking.credentials.username() != owner {
            return refuse(ErrorCode::WRONG_CREDENTIALS);
        }
        if let Some((transaction, answer)) = &self.made
            && *transaction == request.transaction_id()
        {
            // The answer was lost and the request came again (RFC 8656, section 7.2).
            return Err(answer.clone());
        }
        match request.method() {
            ALLOCATE | REFRESH => {}
            method @ (CREATE_PERMISSION | CHANNEL_BIND) => {
                if let Err(code) = self.permit(request, method) {
                    return refuse(code);
                }
            }
            _ => return refuse(ErrorCode::BAD_REQUEST),
        }
        Ok(self.allocation.request(request, self.now()))
    }

    /// Checks every peer that a request names; the error is a code.
    fn permit(&mut self, request: &Message<'_>, method: Method) -> Result<(), u16> {
        for (_, attribute) in request.iter_attributes() {
            if attribute.get_type() != XorPeerAddress::TYPE {
                continue;
            }
            let Ok(peer) = XorPeerAddress::from_raw(attribute) else {
                return Err(ErrorCode::BAD_REQUEST);
            };
            let mut peer = peer.addr(request.transaction_id());
            let reached = if method == CHANNEL_BIND {
                self.reception.peers.route(peer).is_some()
            } else {
                peer.set_port(0);
                self.reception.peers.may_permit(peer.ip())
            };
            if !reached {
                telemetry::peer_refused();
                tracing::debug!(user = self.allocation.user().name, %peer, "a peer was refused");
                return Err(ErrorCode::FORBIDDEN);
            }
            if !self.peers.contains(&peer) && self.peers.len() >= MAX_PEERS {
                return Err(ErrorCode::INSUFFICIENT_CAPACITY);
            }
            self.peers.insert(peer);
        }
        Ok(())
    }

    /// The last look at where something goes, whatever was permitted before.
    fn forward(&mut self, peer: SocketAddr, data: &[u8]) {
        let Some(route) = self.reception.peers.route(peer) else {
            telemetry::peer_refused();
            return;
        };
        self.last = Some(peer);
        match self.relay.try_send_to(data, route) {
            Ok(sent) => telemetry::relayed(Direction::ToPeer, sent),
            Err(_) => telemetry::dropped(1),
        }
    }

    fn peer_sent(&mut self, link: &mut impl Link, from: SocketAddr, data: &[u8]) {
        let Some(peer) = self.reception.peers.origin(from, self.last) else {
            return;
        };
        if let Some(frame) = self.allocation.peer_sent(peer, data, self.now()) {
            telemetry::relayed(Direction::ToClient, data.len());
            link.send(&frame);
        }
    }
}
