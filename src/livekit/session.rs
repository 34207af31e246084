//! The actor of one client's WebSocket: it reads messages, answers pings, and writes what the queue
//! holds. Everything else is done beside it, because it only runs while the client reads.

#![allow(
    deprecated,
    reason = "WebSockets are required to be actix-web-actors actors"
)]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use actix::{Actor, ActorContext, AsyncContext, StreamHandler, WrapFuture};
use actix_web_actors::ws::{self, CloseReason, ProtocolError, WebsocketContext};
use hive_actors::livekit::proto::{Pong, signal_request, signal_response};
use tokio::sync::mpsc::{self, error::TrySendError};

use super::{
    assembly::{Assembled, Assembly},
    decode_request, kind,
    outgoing::{Heard, Outgoing, encode},
    verdict::{Judge, Verdict},
};
use crate::{
    config::{Rate, Signal},
    http::{Allowance, RateLimiter},
};

/// One client's signalling.
pub(super) struct Session {
    first: Option<signal_response::Message>,
    queue: Option<mpsc::Receiver<Outgoing>>,
    /// None once nothing more is taken from the client.
    inbox: Option<mpsc::Sender<signal_request::Message>>,
    judge: Judge,
    heard: Heard,
    rate: RateLimiter<()>,
    assembly: Assembly,
    ping_interval: Duration,
    /// Whether a close frame was written.
    closed: bool,
}

impl Session {
    /// Writes `first` and then what comes out of `queue`; puts what the client asks for into `inbox`.
    pub(super) fn new(
        first: signal_response::Message,
        queue: mpsc::Receiver<Outgoing>,
        inbox: mpsc::Sender<signal_request::Message>,
        judge: Judge,
        heard: Heard,
        limits: &Signal,
    ) -> Self {
        let rate = Rate {
            per_second: limits.per_second,
            burst: limits.burst,
            max_clients: 1,
        };
        Self {
            first: Some(first),
            queue: Some(queue),
            inbox: Some(inbox),
            judge,
            heard,
            rate: RateLimiter::new(&rate),
            assembly: Assembly::new(limits.max_frame),
            ping_interval: limits.ping_interval,
            closed: false,
        }
    }

    /// The pump says goodbye and closes; until then the client talks to nobody.
    fn refuse(&mut self, verdict: Verdict) {
        self.judge.pass(verdict);
        self.inbox = None;
    }

    fn take(&mut self, message: &[u8], ctx: &mut WebsocketContext<Self>) {
        if self.inbox.is_none() {
            return;
        }
        if let Allowance::In(_) = self.rate.ask((), Instant::now()) {
            return self.refuse(Verdict::Flood);
        }
        match decode_request(message) {
            Ok(Some(message)) => {
                kind::count_in(&message);
                self.ask(message, ctx);
            }
            Ok(None) => {
                metrics::counter!("hive_signal_refused_total", "reason" => "empty").increment(1);
            }
            Err(error) => {
                tracing::debug!(%error, "a client broke the protocol");
                self.refuse(Verdict::Malformed);
            }
        }
    }

    fn ask(&mut self, message: signal_request::Message, ctx: &mut WebsocketContext<Self>) {
        match message {
            signal_request::Message::Ping(_) => {
                say(signal_response::Message::Pong(unix_millis()), ctx);
            }
            signal_request::Message::PingReq(ping) => {
                let pong = Pong {
                    last_ping_timestamp: ping.timestamp,
                    timestamp: unix_millis(),
                };
                say(signal_response::Message::PongResp(pong), ctx);
            }
            message => {
                let Some(inbox) = &self.inbox else { return };
                match inbox.try_send(message) {
                    Ok(()) => {}
                    Err(TrySendError::Full(message)) => {
                        // Nothing more is read until there is room; who does not make any is found stuck.
                        let inbox = inbox.clone();
                        let put = async move {
                            // An inbox that is closed meanwhile is found so by the next message.
                            let _ = inbox.send(message).await;
                        };
                        ctx.wait(put.into_actor(self));
                    }
                    Err(TrySendError::Closed(_)) => self.inbox = None,
                }
            }
        }
    }

    fn close(&mut self, reason: Option<CloseReason>, ctx: &mut WebsocketContext<Self>) {
        self.inbox = None;
        if !self.closed {
            self.closed = true;
            ctx.close(reason);
        }
    }
}

/// Past the queue: this runs only while the client reads, so there is no more of it than of its pings.
fn say(message: signal_response::Message, ctx: &mut WebsocketContext<Session>) {
    kind::count_out(&message);
    ctx.binary(encode(message));
}

/// Milliseconds, because JavaScript has no room for nanoseconds.
fn unix_millis() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as i64)
}

impl Actor for Session {
    type Context = WebsocketContext<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        metrics::gauge!("hive_signal_connections").increment(1);
        if let Some(first) = self.first.take() {
            say(first, ctx);
        }
        // Browsers slow the timers of hidden pages down, and with them their pings, but always answer
        // these.
        ctx.run_interval(self.ping_interval, |session, ctx| {
            if !session.closed {
                ctx.ping(b"");
            }
        });
        if let Some(mut queue) = self.queue.take() {
            ctx.add_stream(futures_util::stream::poll_fn(move |cx| queue.poll_recv(cx)));
        }
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        metrics::gauge!("hive_signal_connections").decrement(1);
    }
}

impl StreamHandler<Outgoing> for Session {
    fn handle(&mut self, outgoing: Outgoing, ctx: &mut Self::Context) {
        match outgoing {
            Outgoing::Frame(frame) => ctx.binary(frame),
            Outgoing::Close(code, why) => {
                let description = (!why.is_empty()).then(|| why.to_owned());
                self.close(Some(CloseReason { code, description }), ctx);
            }
        }
    }

    /// The pump has gone, and with it all patience.
    fn finished(&mut self, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

impl StreamHandler<Result<ws::Message, ProtocolError>> for Session {
    fn handle(&mut self, message: Result<ws::Message, ProtocolError>, ctx: &mut Self::Context) {
        self.heard.again();
        match message {
            Ok(ws::Message::Binary(bytes)) => self.take(&bytes, ctx),
            Ok(ws::Message::Continuation(fragment)) => match self.assembly.push(fragment) {
                Assembled::Whole(bytes) => self.take(&bytes, ctx),
                Assembled::Part => {}
                Assembled::Text => self.refuse(Verdict::Text),
                Assembled::TooLarge => self.refuse(Verdict::Oversized),
            },
            Ok(ws::Message::Text(_)) => self.refuse(Verdict::Text),
            Ok(ws::Message::Ping(payload)) if !self.closed => ctx.pong(&payload),
            Ok(ws::Message::Ping(_) | ws::Message::Pong(_) | ws::Message::Nop) => {}
            Ok(ws::Message::Close(reason)) => {
                self.close(reason, ctx);
                ctx.stop();
            }
            // The socket is gone, and the client may resume.
            Err(ProtocolError::Io(_)) => ctx.stop(),
            Err(error) => {
                tracing::debug!(%error, "a client broke the WebSocket protocol");
                self.refuse(Verdict::Protocol);
            }
        }
    }
}
