//! Datagrams in, and how each is handed to the engine.

use std::net::UdpSocket;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::outbound::Outbound;
use crate::clock::Now;
use crate::engine::{Engine, Path, TcpPath};
use crate::net::{Deframer, Ended, ReceiveBatch};
use crate::stun::demux::{DatagramKind, classify};

/// Bytes read from one connection in one turn: some packets of video, so that others wait little.
const READ: usize = 8 * 1024;

/// The buffers of both transports.
pub(super) struct Inbound {
    batch: ReceiveBatch,
    stream: Box<[u8]>,
}

impl Inbound {
    pub(super) fn new() -> Inbound {
        Inbound {
            batch: ReceiveBatch::new(),
            stream: vec![0; READ].into_boxed_slice(),
        }
    }

    /// Takes a batch of datagrams. Returns whether there may be more.
    pub(super) fn udp(
        &mut self,
        engine: &mut Engine,
        socket: &UdpSocket,
        out: &mut Outbound,
    ) -> bool {
        let (count, more) = self.batch.receive(socket);
        let now = Now::read();
        for at in 0..count {
            let Some(received) = self.batch.get(at) else {
                continue;
            };
            if received.cut {
                engine.totals_mut().datagrams_in += 1;
                engine.totals_mut().oversized += 1;
                continue;
            }
            handle(engine, &now, Path::Udp(received.from), received.bytes, out);
        }
        more
    }

    /// Lets the connections that have something to do, do some of it. What is left, the next turn does.
    pub(super) fn tcp(&mut self, engine: &mut Engine, out: &mut Outbound) {
        let now = Now::read();
        if let Some(tcp) = &mut out.tcp {
            tcp.turn(now.mono);
        }
        while let Some(path) = out.tcp.as_mut().and_then(|tcp| tcp.next_readable()) {
            let read = out
                .tcp
                .as_mut()
                .and_then(|tcp| tcp.read(path, &mut self.stream));
            let Some((mut bytes, mut deframer)) = read else {
                continue;
            };
            let sound = take_frames(engine, &now, path, &mut deframer, &mut bytes, out);
            if let Some(tcp) = &mut out.tcp {
                match sound {
                    Sound::Yes => tcp.put_back(path, deframer),
                    Sound::No => tcp.end(path.id, Ended::Malformed),
                }
            }
        }
    }
}

/// Whether what came over a connection made sense.
enum Sound {
    Yes,
    No,
}

/// Hands over the frames of what was read. Until a check has made the connection a path of a peer,
/// nothing but checks is taken.
fn take_frames(
    engine: &mut Engine,
    now: &Now,
    path: TcpPath,
    deframer: &mut Deframer,
    bytes: &mut &[u8],
    out: &mut Outbound,
) -> Sound {
    loop {
        let frame = match deframer.next(bytes) {
            Ok(Some(frame)) => frame,
            Ok(None) => return Sound::Yes,
            Err(error) => {
                tracing::debug!(from = %path.remote, %error, "a TCP connection makes no sense");
                return Sound::No;
            }
        };
        // The frame before may have closed the peer, and with it the connection.
        let Some(proven) = out.tcp.as_ref().and_then(|tcp| tcp.is_proven(path)) else {
            return Sound::Yes;
        };
        if !proven && classify(frame) != DatagramKind::Stun {
            return Sound::No;
        }
        engine.totals_mut().tcp_frames_in += 1;
        handle(engine, now, Path::Tcp(path), frame, out);
        if !proven
            && engine.is_path(Path::Tcp(path))
            && let Some(tcp) = &mut out.tcp
        {
            tcp.prove(path);
        }
    }
}

fn handle(engine: &mut Engine, now: &Now, from: Path, bytes: &mut [u8], out: &mut Outbound) {
    // A defect that one datagram meets must not end every conversation.
    let handled = catch_unwind(AssertUnwindSafe(|| {
        engine.handle_datagram(now, from, bytes, out);
    }));
    if handled.is_err() {
        engine.totals_mut().datagrams_panicked += 1;
        tracing::error!(%from, "handling a datagram panicked; it was dropped");
    }
}
