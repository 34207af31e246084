//! Requests of a client, for tests.

use std::net::SocketAddr;

use turn_server_proto::types::{
    attribute::{RequestedTransport, XorPeerAddress},
    message::ALLOCATE,
    stun::{
        attribute::{ErrorCode, Nonce, Realm, Username},
        message::{
            IntegrityAlgorithm, LongTermCredentials, Message, MessageClass, MessageType,
            MessageWriteVec, Method, TransactionId,
        },
        prelude::{AttributeWrite, MessageWrite, MessageWriteExt},
    },
};

use super::credentials::Credentials;

/// What a request is made of.
pub(super) struct Asking<'a> {
    pub(super) method: Method,
    pub(super) peers: &'a [SocketAddr],
    pub(super) more: &'a [&'a dyn AttributeWrite],
    pub(super) nonce: Option<&'a str>,
    pub(super) credentials: Option<&'a Credentials>,
    pub(super) transaction: Option<TransactionId>,
}

impl Default for Asking<'_> {
    fn default() -> Self {
        Self {
            method: ALLOCATE,
            peers: &[],
            more: &[],
            nonce: None,
            credentials: None,
            transaction: None,
        }
    }
}

/// A request's bytes. ALLOCATE gets its REQUESTED-TRANSPORT.
pub(super) fn ask(asking: &Asking<'_>) -> Vec<u8> {
    let transaction = asking.transaction.unwrap_or_else(TransactionId::generate);
    let kind = MessageType::from_class_method(MessageClass::Request, asking.method);
    let mut request = Message::builder(kind, transaction, MessageWriteVec::new());
    let mut add = |attribute: &dyn AttributeWrite| {
        request.add_attribute(attribute).expect("an attribute");
    };
    if asking.method == ALLOCATE {
        add(&RequestedTransport::new(RequestedTransport::UDP));
    }
    for &peer in asking.peers {
        add(&XorPeerAddress::new(peer, transaction));
    }
    for attribute in asking.more {
        add(*attribute);
    }
    if let Some(nonce) = asking.nonce {
        add(&Nonce::new(nonce).expect("a nonce"));
        add(&Realm::new("hive").expect("a realm"));
    }
    if let Some(credentials) = asking.credentials {
        add(&Username::new(&credentials.username).expect("a name"));
        let password = credentials.credential.expose().to_owned();
        let key = LongTermCredentials::new(credentials.username.clone(), password)
            .to_key("hive".to_owned())
            .make_key(IntegrityAlgorithm::Sha1);
        request
            .add_message_integrity_with_key(&key, IntegrityAlgorithm::Sha1)
            .expect("a signature");
    }
    request.finish()
}

/// An answer's error code; 0 is a success.
pub(super) fn code(answer: &[u8]) -> u16 {
    let answer = Message::from_bytes(answer).expect("STUN");
    answer
        .attribute::<ErrorCode>()
        .map_or(0, |error| error.code())
}
