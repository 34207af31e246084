//! The thread: the only loop that reads clocks and sockets.

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::queue::{Command, Shared, Work};
use crate::clock::Now;
use crate::engine::{CloseReason, Engine, MediaEvent};
use crate::net::{self, ReceiveBatch, SendBatch};

/// Tells [`Shared`] when the thread ends, however it ends.
struct Ending<'a>(&'a Shared);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

pub(super) fn run(
    mut engine: Engine,
    socket: UdpSocket,
    local: SocketAddr,
    shared: &Shared,
    mut events: impl FnMut(MediaEvent),
) {
    let _ending = Ending(shared);
    let sending = match socket.try_clone() {
        Ok(sending) => sending,
        Err(error) => {
            tracing::error!(%error, "the media worker cannot share its socket and stops");
            return;
        }
    };
    let mut out = SendBatch::new(sending, local);
    let mut receive = ReceiveBatch::new();
    let mut work = Work::default();
    let mut more = false;
    tracing::info!(address = %local, "media worker started");
    loop {
        let mut now = Now::read();
        if shared.waker.take() {
            shared.take_work(&mut work);
            do_work(&mut engine, &now, &mut work, &mut out);
        }
        let stopping = shared.is_stopping();
        if stopping {
            engine.close_all(&now, CloseReason::Shutdown, &mut out);
        }
        if engine.poll_timeout().is_some_and(|at| at <= now.mono) {
            engine.handle_timeout(&now, &mut out);
        }
        finish_turn(&mut engine, &mut out, shared, &mut events);
        if stopping {
            break;
        }
        if !more {
            let timeout = engine
                .poll_timeout()
                .map(|at| at.saturating_duration_since(now.mono))
                .map(|timeout| timeout.max(Duration::from_micros(100)));
            net::wait([socket.as_fd(), shared.waker.as_fd()], timeout);
        }
        let (count, full) = receive.receive(&socket);
        more = full;
        now = Now::read();
        for at in 0..count {
            let Some(received) = receive.get(at) else {
                continue;
            };
            if received.cut {
                engine.totals_mut().datagrams_in += 1;
                engine.totals_mut().oversized += 1;
                continue;
            }
            // A defect that one datagram meets must not end every conversation.
            let handled = catch_unwind(AssertUnwindSafe(|| {
                engine.handle_datagram(&now, received.from, received.bytes, &mut out);
            }));
            if handled.is_err() {
                engine.totals_mut().datagrams_panicked += 1;
                tracing::error!(from = %received.from, "handling a datagram panicked; it was dropped");
            }
        }
        finish_turn(&mut engine, &mut out, shared, &mut events);
    }
    tracing::info!(address = %local, "media worker stopped");
}

/// Sends what was collected, publishes the counters and tells what happened.
fn finish_turn(
    engine: &mut Engine,
    out: &mut SendBatch,
    shared: &Shared,
    events: &mut impl FnMut(MediaEvent),
) {
    out.flush();
    let totals = engine.totals_mut();
    totals.datagrams_out += std::mem::take(&mut out.sent);
    totals.bytes_out += std::mem::take(&mut out.sent_bytes);
    totals.send_errors += std::mem::take(&mut out.failed);
    *shared.totals.lock() = *totals;
    while let Some(event) = engine.poll_event() {
        if catch_unwind(AssertUnwindSafe(|| events(event))).is_err() {
            tracing::error!("the media event callback panicked; the event is lost");
        }
    }
}

/// Does what other threads asked for. Replies nobody waits for any more are dropped.
fn do_work(engine: &mut Engine, now: &Now, work: &mut Work, out: &mut SendBatch) {
    for command in work.commands.drain(..) {
        match command {
            Command::Accept {
                room,
                peer,
                role,
                offer,
                reply,
            } => {
                let accepted = engine.accept(now, room, peer, &offer, role);
                // A caller that went away will never close the peer.
                if let Err(Ok(_)) = reply.send(accepted) {
                    engine.close(now, peer, CloseReason::Requested, out);
                }
            }
            Command::Trickle {
                peer,
                fragment,
                reply,
            } => {
                let _ = reply.send(engine.trickle(peer, &fragment));
            }
            Command::Negotiate {
                room,
                peer,
                offer,
                plan,
                reply,
            } => {
                let _ = reply.send(engine.negotiate(now, room, peer, &offer, &plan));
            }
            Command::Offer {
                room,
                peer,
                plays,
                channels,
                restart,
                reply,
            } => {
                let _ = reply.send(engine.offer(now, room, peer, &plays, channels, restart));
            }
            Command::Answered {
                peer,
                answer,
                reply,
            } => {
                let _ = reply.send(engine.answered(peer, &answer));
            }
            Command::SetPlaying(peer, track, playing) => {
                engine.set_playing(now, peer, track, playing);
            }
            Command::SendData { to, label, payload } => {
                engine.send_data(now, &to, label, &payload, out);
            }
            Command::Mute(track, muted) => engine.mute(track, muted),
            Command::Close(peer) => engine.close(now, peer, CloseReason::Requested, out),
            Command::Tap(track, tap) => engine.tap(track, tap),
            Command::AddSource(room, track) => engine.add_named_source(now, room, track),
            Command::RemoveSource(track) => engine.remove_source(track),
            Command::Subscribe {
                listener,
                subscription,
                reply,
            } => {
                let _ = reply.send(engine.subscribe(listener, subscription));
            }
            Command::Exclude {
                listener,
                publisher,
                excluded,
            } => engine.exclude(listener, publisher, excluded),
            Command::Stats(reply) => {
                let _ = reply.send(engine.stats(now.mono));
            }
        }
    }
    for frame in work.frames.drain(..) {
        engine.write_source(
            now,
            frame.track,
            &frame.payload,
            frame.timestamp,
            frame.level,
            out,
        );
    }
    engine.totals_mut().source_frames_dropped += std::mem::take(&mut work.frames_dropped);
}
