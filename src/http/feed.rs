//! The events WebSocket: an actor that writes frames, and the pump that feeds it.
//!
//! actix-web runs the actor only while the client's socket takes bytes. The pump runs always: it fills a bounded
//! queue, and when the queue stays full for too long, it cuts the connection.

#![allow(
    deprecated,
    reason = "the events WebSocket is required to be an actix-web-actors actor"
)]

use std::{
    future::Future,
    pin::{Pin, pin},
    time::Duration,
};

use actix::{Actor, ActorContext, AsyncContext, StreamHandler};
use actix_web_actors::ws::{self, CloseCode, CloseReason, ProtocolError, WebsocketContext};
use futures_util::{Stream, StreamExt};
use serde::Serialize;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, timeout},
};

use super::app::Doorway;
use crate::config::Events;

/// What waits for the client.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// One event, as JSON.
    Event(String),
    /// The end, and why.
    Close(CloseCode, &'static str),
}

/// Why a feed ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The client left.
    ClientLeft,
    /// The room ended.
    RoomGone,
    /// The server goes down.
    Closing,
    /// The client did not keep up and was cut off.
    TooSlow,
}

/// Carries events into the client's queue until one of them ends.
pub(super) async fn pump<E: Serialize>(
    events: impl Stream<Item = E>,
    to: mpsc::Sender<Outgoing>,
    patience: Duration,
    mut doorway: watch::Receiver<Doorway>,
    cut: impl FnOnce(),
) -> Ended {
    let mut events = pin!(events);
    let mut ended = pin!(doorway.wait_for(|doorway| *doorway == Doorway::Closing));
    loop {
        let (next, last) = match next(events.as_mut(), &to, ended.as_mut()).await {
            Next::ClientLeft => return Ended::ClientLeft,
            Next::Closing => (
                Outgoing::Close(CloseCode::Away, "the server is shutting down"),
                Some(Ended::Closing),
            ),
            Next::Event(None) => (
                Outgoing::Close(CloseCode::Normal, "the room has ended"),
                Some(Ended::RoomGone),
            ),
            Next::Event(Some(event)) => match serde_json::to_string(&event) {
                Ok(json) => (Outgoing::Event(json), None),
                Err(error) => {
                    tracing::error!(%error, "an event could not be written as JSON");
                    continue;
                }
            },
        };
        match timeout(patience, to.send(next)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Ended::ClientLeft,
            Err(_) => {
                metrics::counter!("hive_event_clients_cut_total", "reason" => "slow").increment(1);
                tracing::warn!(
                    patience_ms = patience.as_millis() as u64,
                    "a client that reads its events too slowly was disconnected"
                );
                cut();
                return Ended::TooSlow;
            }
        }
        if let Some(ended) = last {
            return ended;
        }
    }
}

enum Next<E> {
    ClientLeft,
    Closing,
    Event(Option<E>),
}

async fn next<E, C>(
    mut events: Pin<&mut impl Stream<Item = E>>,
    to: &mpsc::Sender<Outgoing>,
    closing: Pin<&mut impl Future<Output = C>>,
) -> Next<E> {
    tokio::select! {
        biased;
        () = to.closed() => Next::ClientLeft,
        _ = closing => Next::Closing,
        event = events.next() => Next::Event(event),
    }
}

/// The actor of one client.
pub(super) struct Feed {
    queue: Option<mpsc::Receiver<Outgoing>>,
    limits: Events,
    last_heard: Instant,
}

impl Feed {
    /// Writes what comes out of `queue`.
    pub(super) fn new(queue: mpsc::Receiver<Outgoing>, limits: Events) -> Self {
        Self {
            queue: Some(queue),
            limits,
            last_heard: Instant::now(),
        }
    }

    fn end(&self, ctx: &mut WebsocketContext<Self>, code: CloseCode, description: &str) {
        ctx.close(Some(CloseReason {
            code,
            description: Some(description.to_owned()),
        }));
        ctx.stop();
    }

    fn heartbeat(&mut self, ctx: &mut WebsocketContext<Self>) {
        if self.last_heard.elapsed() > self.limits.pong_timeout {
            metrics::counter!("hive_event_clients_cut_total", "reason" => "silent").increment(1);
            tracing::info!("a client of the events fell silent and was disconnected");
            self.end(ctx, CloseCode::Away, "no pong");
        } else {
            ctx.ping(b"");
        }
    }
}

impl Actor for Feed {
    type Context = WebsocketContext<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        metrics::gauge!("hive_event_clients").increment(1);
        ctx.run_interval(self.limits.ping_interval, Self::heartbeat);
        if let Some(mut queue) = self.queue.take() {
            ctx.add_stream(futures_util::stream::poll_fn(move |cx| queue.poll_recv(cx)));
        }
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        metrics::gauge!("hive_event_clients").decrement(1);
    }
}

impl StreamHandler<Outgoing> for Feed {
    fn handle(&mut self, outgoing: Outgoing, ctx: &mut Self::Context) {
        match outgoing {
            Outgoing::Event(json) => {
                metrics::counter!("hive_events_sent_total").increment(1);
                ctx.text(json);
            }
            Outgoing::Close(code, description) => self.end(ctx, code, description),
        }
    }

    /// The pump has gone; its last word, if it had one, was a `Close`.
    fn finished(&mut self, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

impl StreamHandler<Result<ws::Message, ProtocolError>> for Feed {
    fn handle(&mut self, message: Result<ws::Message, ProtocolError>, ctx: &mut Self::Context) {
        self.last_heard = Instant::now();
        match message {
            Ok(ws::Message::Ping(payload)) => ctx.pong(&payload),
            Ok(ws::Message::Pong(_) | ws::Message::Nop) => {}
            Ok(ws::Message::Close(reason)) => {
                ctx.close(reason);
                ctx.stop();
            }
            Ok(ws::Message::Text(_) | ws::Message::Binary(_) | ws::Message::Continuation(_)) => {
                self.end(ctx, CloseCode::Unsupported, "this WebSocket only sends");
            }
            Err(error) => {
                metrics::counter!("hive_event_clients_cut_total", "reason" => "protocol")
                    .increment(1);
                let (code, description) = match error {
                    ProtocolError::Overflow => (
                        CloseCode::Size,
                        "the frame is larger than http.events.max_frame",
                    ),
                    _ => (CloseCode::Protocol, "that was no WebSocket frame"),
                };
                self.end(ctx, code, description);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use std::cell::Cell;

    const PATIENCE: Duration = Duration::from_secs(5);

    fn doorway() -> (watch::Sender<Doorway>, watch::Receiver<Doorway>) {
        watch::channel(Doorway::Open)
    }

    fn event(outgoing: Option<Outgoing>) -> Option<String> {
        match outgoing {
            Some(Outgoing::Event(json)) => Some(json),
            _ => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_is_cut_off_once_its_queue_was_full_for_too_long() {
        let ((_open, doorway), cut) = (doorway(), Cell::new(false));
        let (to, mut queue) = mpsc::channel(2);
        let started = Instant::now();
        let ended = pump(stream::repeat(1), to, PATIENCE, doorway, || cut.set(true)).await;
        assert_eq!(ended, Ended::TooSlow);
        assert!(cut.get());
        assert_eq!(started.elapsed(), PATIENCE);
        assert_eq!(event(queue.recv().await).as_deref(), Some("1"));
        assert_eq!(event(queue.recv().await).as_deref(), Some("1"));
        assert!(
            queue.recv().await.is_none(),
            "no more than the queue's bound was kept"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_keeps_up_gets_everything_in_order_and_the_rooms_end() {
        let (_open, doorway) = doorway();
        let (to, mut queue) = mpsc::channel(1);
        let reader = async {
            let mut got = Vec::new();
            while let Some(outgoing) = queue.recv().await {
                match outgoing {
                    Outgoing::Event(json) => got.push(json),
                    Outgoing::Close(code, _) => assert_eq!(code, CloseCode::Normal),
                }
            }
            got
        };
        let (ended, got) = futures_util::join!(
            pump(stream::iter(0..100), to, PATIENCE, doorway, || panic!(
                "not slow"
            )),
            reader
        );
        assert_eq!(ended, Ended::RoomGone);
        assert_eq!(got, (0..100).map(|n| n.to_string()).collect::<Vec<_>>());
    }

    #[tokio::test(start_paused = true)]
    async fn shutting_down_says_goodbye() {
        let (open, doorway) = doorway();
        let (to, mut queue) = mpsc::channel(1);
        open.send_replace(Doorway::Closing);
        assert_eq!(
            pump(stream::pending::<u8>(), to, PATIENCE, doorway, || ()).await,
            Ended::Closing
        );
        assert!(matches!(
            queue.recv().await,
            Some(Outgoing::Close(CloseCode::Away, _))
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn when_the_client_leaves_the_pump_ends_without_waiting_for_an_event() {
        let (_open, doorway) = doorway();
        let (to, queue) = mpsc::channel(1);
        drop(queue);
        assert_eq!(
            pump(stream::pending::<u8>(), to, PATIENCE, doorway, || ()).await,
            Ended::ClientLeft
        );
    }
}
