//! The thread: the only loop that reads clocks and sockets.

use std::collections::VecDeque;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::inbound::Inbound;
use super::outbound::Outbound;
use super::queue::{Command, DataWork, Shared, Work};
use crate::clock::Now;
use crate::engine::{CloseReason, Engine, MediaEvent};
use crate::ids::PeerId;
use crate::net::{self, SendBatch, TcpConnections};

/// Messages of data channels that are sent in one turn, one for each recipient.
const DATA_SENDS: usize = 256;

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
    tcp: Option<TcpConnections>,
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
    let mut out = Outbound {
        udp: SendBatch::new(sending, local),
        tcp,
    };
    let mut inbound = Inbound::new();
    let mut work = Work::default();
    let mut data = VecDeque::new();
    let mut more = false;
    tracing::info!(address = %local, tcp = out.tcp.is_some(), "media worker started");
    loop {
        let now = Now::read();
        if shared.waker.take() {
            shared.take_work(&mut work);
            do_work(&mut engine, &now, &mut work, &mut data, &mut out);
        }
        do_data(&mut engine, &now, &mut data, &mut out);
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
        let tcp_at = out.tcp.as_ref().and_then(|tcp| tcp.next_at());
        // While datagrams queue, nobody asks the poller, so that connections get their turn each time.
        let mut tcp_ready = more && out.tcp.is_some();
        if !more {
            let timeout = engine
                .poll_timeout()
                .into_iter()
                .chain(tcp_at)
                .min()
                .map(|at| at.saturating_duration_since(now.mono))
                .map(|timeout| timeout.max(Duration::from_micros(100)));
            let timeout = match data.is_empty() {
                true => timeout,
                false => Some(Duration::ZERO),
            };
            let tcp = out.tcp.as_ref().map(|tcp| tcp.as_fd());
            let readable = [Some(socket.as_fd()), Some(shared.waker.as_fd()), tcp];
            [_, _, tcp_ready] = net::wait(readable, timeout);
        }
        more = inbound.udp(&mut engine, &socket, &mut out);
        finish_turn(&mut engine, &mut out, shared, &mut events);
        if tcp_ready || tcp_at.is_some_and(|at| at <= now.mono) {
            inbound.tcp(&mut engine, &mut out);
            finish_turn(&mut engine, &mut out, shared, &mut events);
        }
    }
    tracing::info!(address = %local, "media worker stopped");
}

/// Sends what was collected, publishes the counters and tells what happened.
fn finish_turn(
    engine: &mut Engine,
    out: &mut Outbound,
    shared: &Shared,
    events: &mut impl FnMut(MediaEvent),
) {
    out.flush(engine);
    *shared.totals.lock() = *engine.totals();
    while let Some(event) = engine.poll_event() {
        if catch_unwind(AssertUnwindSafe(|| events(event))).is_err() {
            tracing::error!("the media event callback panicked; the event is lost");
        }
    }
}

/// Does what other threads asked for, but for what is about data channels, which is put into `data`.
fn do_work(
    engine: &mut Engine,
    now: &Now,
    work: &mut Work,
    data: &mut VecDeque<DataWork>,
    out: &mut Outbound,
) {
    for command in work.commands.drain(..) {
        let peer = command.peer();
        contain(engine, now, peer, out, |engine, out| {
            do_command(engine, now, command, data, out);
        });
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

/// A defect that one command meets must not end every conversation: only the peer that it is about goes.
fn contain(
    engine: &mut Engine,
    now: &Now,
    peer: Option<PeerId>,
    out: &mut Outbound,
    work: impl FnOnce(&mut Engine, &mut Outbound),
) {
    if catch_unwind(AssertUnwindSafe(|| work(engine, out))).is_ok() {
        return;
    }
    engine.totals_mut().commands_panicked += 1;
    tracing::error!(?peer, "a command to the media worker panicked");
    let Some(peer) = peer else { return };
    let close = || engine.close(now, peer, CloseReason::Requested, out);
    if catch_unwind(AssertUnwindSafe(close)).is_err() {
        tracing::error!(%peer, "closing the peer panicked, too");
    }
}

/// Does a part of what is to be done about data channels, so that media waits for a part only.
fn do_data(engine: &mut Engine, now: &Now, data: &mut VecDeque<DataWork>, out: &mut Outbound) {
    let mut left = DATA_SENDS;
    while left > 0
        && let Some(work) = data.pop_front()
    {
        match work {
            DataWork::Send {
                from,
                mut to,
                label,
                payload,
            } => {
                let part = to.split_off(to.len().saturating_sub(left));
                left -= part.len();
                if !to.is_empty() {
                    let payload = payload.clone();
                    data.push_front(DataWork::Send {
                        from,
                        to,
                        label,
                        payload,
                    });
                }
                contain(engine, now, None, out, |engine, out| {
                    engine.send_data(now, from, &part, label, &payload, out);
                });
            }
            DataWork::Taken { peer, len, pause } => {
                left -= 1;
                contain(engine, now, Some(peer), out, |engine, out| {
                    engine.data_taken(now, peer, len, pause, out);
                });
            }
        }
    }
}

/// Does one thing that another thread asked for. Replies nobody waits for any more are dropped.
fn do_command(
    engine: &mut Engine,
    now: &Now,
    command: Command,
    data: &mut VecDeque<DataWork>,
    out: &mut Outbound,
) {
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
        Command::Data(work) => data.push_back(work),
        Command::Mute(track, muted) => engine.mute(now, track, muted),
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
        #[cfg(test)]
        Command::Panic(_) => panic!("as a test wants it"),
    }
}
