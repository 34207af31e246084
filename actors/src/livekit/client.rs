//! A client's connection, as the front door holds it.

use super::proto::{DisconnectReason, signal_request, signal_response};

/// One signalling connection of a participant. Dropping it without [`Client::leave`] is a cut
/// connection: the participant stays for a while and may resume.
pub struct Client {}

/// What a client is told, in order. The first message is a `Join` or a `Reconnect`; after a `Leave`
/// there is none.
pub struct Outbox {}

impl Client {
    /// The participant's `PA_…`.
    pub fn sid(&self) -> &str {
        todo!()
    }

    /// Does what a client asks for. Answers go to the [`Outbox`]; a client that breaks the protocol
    /// gets a `Leave` there.
    pub async fn handle(&self, message: signal_request::Message) {
        let _ = message;
        todo!()
    }

    /// The client is gone for good, or has to go: its tracks are unpublished and everybody is told.
    pub fn leave(&self, reason: DisconnectReason) {
        let _ = reason;
        todo!()
    }
}

impl Outbox {
    /// The next message; cancel-safe. None once the connection is over.
    pub async fn next(&mut self) -> Option<signal_response::Message> {
        todo!()
    }
}
