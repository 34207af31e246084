//! From the room to the client: the pump that fills the session's queue, and that ends the connection.
//!
//! actix-web runs the session's actor only while the client's socket takes bytes. The pump runs always:
//! it is where slow, silent and unwelcome clients are disconnected, and where the server's end is told.

use std::{
    cell::Cell,
    pin::{Pin, pin},
    rc::Rc,
    time::Duration,
};

use actix_web_actors::ws::CloseCode;
use futures_util::{Stream, StreamExt};
use hive_actors::livekit::proto::{
    DisconnectReason, SignalResponse, leave_request::Action, signal_response::Message,
};
use prost::Message as _;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until, timeout},
};

use super::{
    kind,
    verdict::{Judgement, Verdict, leave},
};
use crate::http::app::Doorway;

/// Time for a client to answer a close frame before its connection is cut.
const LINGER: Duration = Duration::from_secs(2);

/// What waits for the client.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// A message, encoded.
    Frame(Vec<u8>),
    /// The end, and why.
    Close(CloseCode, &'static str),
}

/// When the client was heard last. Session and pump share it; both live on the connection's thread.
#[derive(Clone, Debug)]
pub(super) struct Heard(Rc<Cell<Instant>>);

impl Heard {
    pub(super) fn now() -> Self {
        Self(Rc::new(Cell::new(Instant::now())))
    }

    pub(super) fn again(&self) {
        self.0.set(Instant::now());
    }

    /// Ends once nothing was heard for `patience`.
    async fn silence(&self, patience: Duration) {
        loop {
            let until = self.0.get() + patience;
            if Instant::now() >= until {
                return;
            }
            sleep_until(until).await;
        }
    }
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The socket is gone.
    SocketGone,
    /// The room said so.
    RoomSaid,
    /// The room let go of the connection and said nothing.
    Dropped,
    /// The client left, or had to.
    Judged(Verdict),
    /// The server goes down.
    Closing,
    /// The client sent nothing.
    Silent,
    /// The client did not read.
    TooSlow,
}

/// What the pump works with.
pub(super) struct Pump {
    pub(super) to: mpsc::Sender<Outgoing>,
    /// Time for which the queue may stay full.
    pub(super) patience: Duration,
    /// Time for which the client may be silent.
    pub(super) ping_timeout: Duration,
    pub(super) heard: Heard,
    pub(super) judgement: Judgement,
    pub(super) doorway: watch::Receiver<Doorway>,
    /// Whether the first message, which the session tells, is a goodbye already.
    pub(super) left: bool,
}

impl Pump {
    /// Carries messages into the client's queue until one side ends; then closes the WebSocket. `cut`
    /// ends the connection below it, for clients that do not take part in that.
    pub(super) async fn run(
        mut self,
        outbox: impl Stream<Item = Message>,
        cut: impl FnOnce(),
    ) -> Ended {
        let ended = match self.carry(pin!(outbox)).await {
            Ok(ended) | Err(ended) => ended,
        };
        match ended {
            Ended::SocketGone => return ended,
            Ended::TooSlow => {
                count_cut("slow");
                tracing::warn!(
                    patience_ms = self.patience.as_millis() as u64,
                    "a client that reads too slowly was disconnected"
                );
                cut();
                return ended;
            }
            Ended::Silent => {
                count_cut("silent");
                tracing::info!("a client fell silent and was disconnected");
            }
            Ended::RoomSaid | Ended::Dropped | Ended::Judged(_) | Ended::Closing => {}
        }
        // The queue has its end; the session drops it when the client has answered the close frame.
        if timeout(LINGER, self.to.closed()).await.is_err() {
            cut();
        }
        ended
    }

    /// Ends with the close frame in the queue, or with an error if it could not be put there.
    async fn carry(
        &mut self,
        mut outbox: Pin<&mut impl Stream<Item = Message>>,
    ) -> Result<Ended, Ended> {
        let ended = loop {
            if self.left {
                break Ended::RoomSaid;
            }
            match self.next(outbox.as_mut()).await {
                Err(ended) => break ended,
                Ok(message) => {
                    self.left = matches!(message, Message::Leave(_));
                    self.message(message).await?;
                }
            }
        };
        let farewell = match ended {
            Ended::SocketGone => return Err(ended),
            Ended::Closing => Some(leave(DisconnectReason::ServerShutdown, Action::Reconnect)),
            Ended::Judged(verdict) => verdict.farewell(),
            Ended::RoomSaid | Ended::Dropped | Ended::Silent | Ended::TooSlow => None,
        };
        if let Some(farewell) = farewell {
            self.message(Message::Leave(farewell)).await?;
        }
        // Clients resume after any close but a normal one.
        let (code, why) = match ended {
            Ended::Silent => (CloseCode::Away, "nothing was heard for ping_timeout"),
            Ended::Dropped => (CloseCode::Away, "the room let go of this connection"),
            _ => (CloseCode::Normal, ""),
        };
        self.send(Outgoing::Close(code, why)).await?;
        Ok(ended)
    }

    /// The next message, or why there is none.
    async fn next(
        &mut self,
        mut outbox: Pin<&mut impl Stream<Item = Message>>,
    ) -> Result<Message, Ended> {
        tokio::select! {
            biased;
            () = self.to.closed() => Err(Ended::SocketGone),
            verdict = self.judgement.passed() => Err(Ended::Judged(verdict)),
            _ = self.doorway.wait_for(|doorway| *doorway == Doorway::Closing) => {
                Err(Ended::Closing)
            }
            () = self.heard.silence(self.ping_timeout) => Err(Ended::Silent),
            message = outbox.next() => message.ok_or(Ended::Dropped),
        }
    }

    async fn message(&self, message: Message) -> Result<(), Ended> {
        kind::count_out(&message);
        self.send(Outgoing::Frame(encode(message))).await
    }

    async fn send(&self, outgoing: Outgoing) -> Result<(), Ended> {
        match timeout(self.patience, self.to.send(outgoing)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Ended::SocketGone),
            Err(_) => Err(Ended::TooSlow),
        }
    }
}

/// As it goes over the wire.
pub(super) fn encode(message: Message) -> Vec<u8> {
    let response = SignalResponse {
        message: Some(message),
    };
    response.encode_to_vec()
}

fn count_cut(reason: &'static str) {
    metrics::counter!("hive_signal_clients_cut_total", "reason" => reason).increment(1);
}

#[cfg(test)]
mod tests;
