//! A client's connection to its room, as the session sees it, so that sessions can be tested without
//! rooms.

use std::pin::Pin;

use futures_util::{Stream, future::LocalBoxFuture, stream};
use hive_actors::livekit::{
    Client, Outbox,
    proto::{DisconnectReason, signal_request, signal_response},
};

/// One signalling connection; [`Client`] is one, and its methods of the same names say what they do.
pub trait SignalClient {
    /// See [`Client::sid`].
    fn sid(&self) -> &str;
    /// See [`Client::handle`].
    fn handle(&self, message: signal_request::Message) -> LocalBoxFuture<'_, ()>;
    /// See [`Client::leave`].
    fn leave(&self, reason: DisconnectReason);
}

/// What a client is told, in order; see [`Outbox`].
pub type SignalOutbox = Pin<Box<dyn Stream<Item = signal_response::Message>>>;

/// Both directions of a connection.
pub type SignalConnection = (Box<dyn SignalClient>, SignalOutbox);

impl SignalClient for Client {
    fn sid(&self) -> &str {
        Client::sid(self)
    }

    fn handle(&self, message: signal_request::Message) -> LocalBoxFuture<'_, ()> {
        Box::pin(Client::handle(self, message))
    }

    fn leave(&self, reason: DisconnectReason) {
        Client::leave(self, reason);
    }
}

/// The service's two halves as the session takes them.
pub(crate) fn boxed((client, outbox): (Client, Outbox)) -> SignalConnection {
    let outbox = stream::unfold(outbox, |mut outbox| async move {
        let message = outbox.next().await?;
        Some((message, outbox))
    });
    (Box::new(client), Box::pin(outbox))
}

/// Who was not let in but is to be told why over the WebSocket.
pub(super) struct Nobody;

impl SignalClient for Nobody {
    fn sid(&self) -> &str {
        ""
    }

    fn handle(&self, _: signal_request::Message) -> LocalBoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    fn leave(&self, _: DisconnectReason) {}
}
