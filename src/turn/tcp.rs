//! Clients on TCP. TLS ends before: nginx's `stream` module, see docs/turn.md.

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    io::Interest,
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    framing::{self, MAX_FRAME},
    link::Link,
    queue::FrameQueue,
    quota::Quota,
    reception::{Opening, Reaction, Reception},
    session,
    telemetry::{self, Counted},
};
use crate::{auth::unix_seconds, http::client_network};

/// What the kernel may keep besides what is on its way, so that the queue decides what is too old.
const UNSENT: u32 = 32 * 1024;
/// Frames that a client may send before it has an allocation; it takes two.
const MAX_STRANGE_FRAMES: usize = 32;
/// Time in which a last answer has to be read.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Bounds of connections.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) connections: usize,
    pub(super) idle_timeout: Duration,
}

/// Serves the listener; does not end.
pub(super) async fn serve(
    listener: TcpListener,
    address: SocketAddr,
    reception: Arc<Reception>,
    limits: Limits,
) {
    let room = Arc::new(Semaphore::new(limits.connections));
    // Without an allocation one address has no more than a quarter, or it could keep everybody else out.
    let strangers = Quota::new(limits.connections, limits.connections.div_ceil(4));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        let (stream, client) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "the TURN listener failed to accept");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(stranger) = strangers.take(client_network(client.ip().to_canonical())) else {
            telemetry::rate_limited();
            continue;
        };
        let reception = Arc::clone(&reception);
        connections.spawn(async move {
            let _place = place;
            let _counted = Counted::connection();
            let Ok(mut link) = TcpLink::new(stream) else {
                return;
            };
            let coming_in = wait_for_opening(&mut link, &reception, client);
            if let Ok(Some(opening)) = timeout(limits.idle_timeout, coming_in).await {
                drop(stranger);
                session::run(&mut link, &reception, opening, client, address).await;
            }
            let _ = timeout(LAST_WORDS, link.flush()).await;
        });
    }
}

async fn wait_for_opening(
    link: &mut TcpLink,
    reception: &Reception,
    client: SocketAddr,
) -> Option<Opening> {
    for _ in 0..MAX_STRANGE_FRAMES {
        let frame = link.receive().await?;
        match reception.receive(&frame, client, unix_seconds()) {
            Reaction::Ignore => {}
            Reaction::Answer(answer) => link.send(&answer),
            Reaction::Open(opening) => return Some(*opening),
        }
    }
    None
}

struct TcpLink {
    stream: TcpStream,
    received: Vec<u8>,
    to_send: FrameQueue,
}

impl TcpLink {
    fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        socket2::SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT)?;
        Ok(Self {
            stream,
            received: Vec::with_capacity(MAX_FRAME),
            to_send: FrameQueue::default(),
        })
    }

    /// The first whole frame of what was received.
    fn take_frame(&mut self) -> io::Result<Option<Vec<u8>>> {
        let frame = framing::first_frame(&self.received)
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        Ok(frame.map(|frame| {
            let taken = self.received[..frame.len].to_vec();
            self.received.drain(..frame.padded);
            taken
        }))
    }

    /// Reads and writes what can be at once.
    fn turn_over(&mut self) -> io::Result<()> {
        self.write()?;
        let mut buffer = [0; MAX_FRAME];
        match self.stream.try_read(&mut buffer) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(len) => {
                self.received.extend_from_slice(&buffer[..len]);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn write(&mut self) -> io::Result<()> {
        let stream = &self.stream;
        let write = |bytes: &[u8]| stream.try_write(bytes);
        let dropped = self.to_send.write(Instant::now(), write)?;
        telemetry::dropped(dropped);
        Ok(())
    }

    async fn flush(&mut self) -> io::Result<()> {
        while !self.to_send.is_empty() {
            self.stream.writable().await?;
            self.write()?;
        }
        Ok(())
    }

    async fn next_frame(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(frame) = self.take_frame()? {
                return Ok(frame);
            }
            let interest = if self.to_send.is_empty() {
                Interest::READABLE
            } else {
                Interest::READABLE | Interest::WRITABLE
            };
            self.stream.ready(interest).await?;
            self.turn_over()?;
        }
    }
}

impl Link for TcpLink {
    async fn receive(&mut self) -> Option<Vec<u8>> {
        self.next_frame().await.ok()
    }

    fn send(&mut self, frame: &[u8]) {
        telemetry::dropped(self.to_send.push(Instant::now(), frame));
        // A broken connection is noticed when it is read.
        let _ = self.write();
    }
}
