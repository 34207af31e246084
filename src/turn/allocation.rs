//! One client's allocation: `turn-server-proto`'s state machine, with time as an argument and without sockets.
//!
//! Each client has an instance of the library to itself. It therefore never searches among others' state, holds
//! one user and one nonce, and what goes wrong in it goes wrong for one client. The door has examined every
//! request before; the library, which insists on a nonce of its own, gets it signed anew.

#[cfg(test)]
mod tests;

use std::{net::SocketAddr, ops::Range};

use turn_server_proto::{
    api::{
        DelayedMessageOrChannelSend as Delayed, SocketAllocateError, Transmit, TurnServerApi,
        TurnServerPollRet,
    },
    server::TurnServer,
    types::{
        AddressFamily, Instant, TransportType,
        message::ALLOCATE,
        prelude::DelayedTransmitBuild,
        stun::{
            attribute::{
                AttributeType, Fingerprint, MessageIntegrity, MessageIntegritySha256, Nonce, Realm,
                Username,
            },
            message::{IntegrityAlgorithm, Message, MessageWriteVec},
            prelude::{
                Attribute, AttributeStaticType, AttributeWrite, MessageWrite, MessageWriteExt,
            },
        },
        transmit::TransmitBuild,
    },
};

use super::door::User;

/// The addresses that an allocation is between.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    pub(super) client: SocketAddr,
    /// Where the client wrote to.
    pub(super) server: SocketAddr,
    pub(super) relayed: SocketAddr,
}

/// One client's allocation.
pub(super) struct Allocation {
    server: TurnServer,
    ends: Ends,
    user: User,
    realm: String,
    nonce: String,
    exists: bool,
}

/// What the library wants sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outgoing {
    /// A frame to the client.
    Client(Vec<u8>),
    /// A part of a frame to a peer, from the relayed address.
    Peer {
        to: SocketAddr,
        frame: Vec<u8>,
        data: Range<usize>,
    },
}

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It exists; something may expire then.
    Until(Instant),
    /// It was never made, or is gone.
    Ended,
}

impl Allocation {
    /// Nothing is allocated before the first request.
    pub(super) fn new(ends: Ends, user: User, realm: &str, now: Instant) -> Self {
        // TCP is framed outside; to the library every client is one of UDP, which also closes its paths to peers
        // over TCP (RFC 6062).
        let mut server = TurnServer::new(TransportType::Udp, ends.server, realm.to_owned());
        server.set_nonce_expiry_duration(std::time::Duration::from_secs(u32::MAX.into()));
        let (name, password) = (user.credentials.username(), user.credentials.password());
        server.add_user(name.to_owned(), password.to_owned());
        let mut allocation = Self {
            server,
            ends,
            user,
            realm: realm.to_owned(),
            nonce: String::new(),
            exists: false,
        };
        allocation.nonce = allocation.ask_for_nonce(now);
        allocation
    }

    pub(super) fn ends(&self) -> Ends {
        self.ends
    }

    pub(super) fn user(&self) -> &User {
        &self.user
    }

    /// A request that the door let through.
    pub(super) fn request(&mut self, request: &Message<'_>, now: Instant) -> Option<Outgoing> {
        let adopted = self.adopt(request);
        self.client_sent(adopted, now)
    }

    /// A SEND indication or channel data, or a request of ours.
    pub(super) fn client_sent(&mut self, frame: Vec<u8>, now: Instant) -> Option<Outgoing> {
        let Ends { client, server, .. } = self.ends;
        let transmit = Transmit::new(frame, TransportType::Udp, client, server);
        let answer = self.server.recv(transmit, now);
        answer.map(|transmit| self.outgoing(transmit))
    }

    /// A datagram that came to the relayed address; what becomes of it for the client.
    pub(super) fn peer_sent(
        &mut self,
        peer: SocketAddr,
        data: &[u8],
        now: Instant,
    ) -> Option<Vec<u8>> {
        let transmit = Transmit::new(data, TransportType::Udp, peer, self.ends.relayed);
        let answer = self.server.recv(transmit, now)?;
        (answer.to == self.ends.client).then(|| answer.data.build())
    }

    /// Does what is due. Frames for the client are added to `out`.
    pub(super) fn settle(&mut self, now: Instant, out: &mut Vec<Vec<u8>>) -> State {
        loop {
            while let Some(transmit) = self.server.poll_transmit(now) {
                out.push(transmit.data);
            }
            match self.server.poll(now) {
                TurnServerPollRet::AllocateSocket {
                    transport,
                    listen_addr,
                    client_addr,
                    allocation_transport,
                    family,
                } => {
                    let ours = (family == AddressFamily::IPV4) == self.ends.relayed.is_ipv4();
                    let made = if ours {
                        Ok(self.ends.relayed)
                    } else {
                        Err(SocketAllocateError::AddressFamilyNotSupported)
                    };
                    self.exists |= made.is_ok();
                    self.server.allocated_socket(
                        transport,
                        listen_addr,
                        client_addr,
                        allocation_transport,
                        family,
                        made,
                        now,
                    );
                }
                TurnServerPollRet::WaitUntil(due) if self.exists => return State::Until(due),
                // The last two are of peers over TCP, which nobody gets as far as asking for.
                TurnServerPollRet::WaitUntil(_)
                | TurnServerPollRet::SocketClose { .. }
                | TurnServerPollRet::TcpConnect { .. }
                | TurnServerPollRet::TcpClose { .. } => {
                    self.exists = false;
                    return State::Ended;
                }
            }
        }
    }

    /// The library's nonce for this client, which it tells who asks without credentials.
    fn ask_for_nonce(&mut self, now: Instant) -> String {
        let request = Message::builder_request(ALLOCATE, MessageWriteVec::new()).finish();
        let answer = self.client_sent(request, now);
        let Some(Outgoing::Client(answer)) = answer else {
            return String::new();
        };
        let answer = Message::from_bytes(&answer).ok();
        answer
            .and_then(|answer| {
                answer
                    .attribute::<Nonce>()
                    .ok()
                    .map(|n| n.nonce().to_owned())
            })
            .unwrap_or_default()
    }

    /// The same request with the library's nonce, signed for it. What the client did not sign stays behind, and
    /// so do attributes that a server may ignore: not each of them is safe with the library.
    fn adopt(&self, request: &Message<'_>) -> Vec<u8> {
        let mut adopted = Message::builder(
            request.get_type(),
            request.transaction_id(),
            MessageWriteVec::new(),
        );
        let signed = request
            .iter_attributes()
            .map(|(_, attribute)| attribute)
            .take_while(|attribute| !is_last(attribute.get_type()));
        for attribute in signed {
            let kind = attribute.get_type();
            if kind.comprehension_required()
                && ![Nonce::TYPE, Realm::TYPE, Username::TYPE].contains(&kind)
            {
                adopted
                    .add_attribute(&attribute)
                    .expect("an unsigned message takes any attribute");
            }
        }
        let attributes = (
            Username::new(self.user.credentials.username()),
            Realm::new(&self.realm),
            Nonce::new(&self.nonce),
        );
        if let (Ok(username), Ok(realm), Ok(nonce)) = attributes {
            for attribute in [&username as &dyn AttributeWrite, &realm, &nonce] {
                adopted
                    .add_attribute(attribute)
                    .expect("an unsigned message takes any attribute");
            }
        }
        adopted
            .add_message_integrity_with_key(&self.user.key, IntegrityAlgorithm::Sha1)
            .expect("an unsigned message can be signed");
        adopted.finish()
    }

    fn outgoing(&self, transmit: TransmitBuild<Delayed<Vec<u8>>>) -> Outgoing {
        if transmit.from != self.ends.relayed {
            return Outgoing::Client(transmit.data.build());
        }
        let to = transmit.to;
        match transmit.data {
            Delayed::Range(frame, data) => Outgoing::Peer { to, frame, data },
            other => {
                let frame = other.build();
                let data = 0..frame.len();
                Outgoing::Peer { to, frame, data }
            }
        }
    }
}

/// Whether an attribute begins what a signature does not cover.
fn is_last(kind: AttributeType) -> bool {
    [
        MessageIntegrity::TYPE,
        MessageIntegritySha256::TYPE,
        Fingerprint::TYPE,
    ]
    .contains(&kind)
}
