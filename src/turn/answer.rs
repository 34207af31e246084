//! STUN answers that the door gives, without the library's state.

use std::net::SocketAddr;

use turn_server_proto::types::stun::{
    attribute::{AttributeType, ErrorCode, Nonce, Realm, XorMappedAddress},
    message::{IntegrityAlgorithm, IntegrityKey, Message, MessageWriteVec},
    prelude::{AttributeWrite, MessageWrite, MessageWriteExt},
};

/// `BINDING`'s answer: what STUN is for.
pub(super) fn binding(request: &Message<'_>, client: SocketAddr) -> Vec<u8> {
    let mut answer = Message::builder_success(request, MessageWriteVec::new());
    let mapped = XorMappedAddress::new(client, request.transaction_id());
    add(&mut answer, &mapped);
    answer
        .add_fingerprint()
        .expect("a message without a fingerprint takes one");
    answer.finish()
}

/// An error that asks for credentials, or for newer ones: 401 or 438 (RFC 8489, section 9.2.4).
pub(super) fn challenge(request: &Message<'_>, code: u16, realm: &str, nonce: &str) -> Vec<u8> {
    let mut answer = error(request, code);
    add(
        &mut answer,
        &Realm::new(realm).expect("the configuration was checked: a realm fits"),
    );
    add(
        &mut answer,
        &Nonce::new(nonce).expect("nonces of ours are short"),
    );
    answer.finish()
}

/// An error to a client that did not get as far as showing credentials.
pub(super) fn unsigned(request: &Message<'_>, code: u16) -> Vec<u8> {
    error(request, code).finish()
}

/// An error that is signed, or the client would not believe it.
pub(super) fn refusal(request: &Message<'_>, code: u16, key: &IntegrityKey) -> Vec<u8> {
    signed(error(request, code), key)
}

/// 420, with what is not understood.
pub(super) fn unknown(
    request: &Message<'_>,
    attributes: &[AttributeType],
    key: &IntegrityKey,
) -> Vec<u8> {
    let answer = Message::unknown_attributes(request, attributes, MessageWriteVec::new());
    signed(answer, key)
}

fn error(request: &Message<'_>, code: u16) -> MessageWriteVec {
    let mut answer = Message::builder_error(request, MessageWriteVec::new());
    let code = ErrorCode::builder(code)
        .build()
        .expect("the codes used here are known to the library");
    add(&mut answer, &code);
    answer
}

fn signed(mut answer: MessageWriteVec, key: &IntegrityKey) -> Vec<u8> {
    answer
        .add_message_integrity_with_key(key, IntegrityAlgorithm::Sha1)
        .expect("an unsigned message can be signed");
    answer.finish()
}

fn add(answer: &mut MessageWriteVec, attribute: &dyn AttributeWrite) {
    answer
        .add_attribute(attribute)
        .expect("an unsigned message takes any attribute");
}
