//! A UDP socket whose datagrams cross a [`LinkModel`] each way.

use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use webrtc::runtime::{AsyncUdpSocket, RecvMeta, Transmit, UdpSockRef, UdpSocketState};

use super::damage::Damage;
use super::model::{Fate, LinkModel};
use super::runtime::LinkTraces;
use super::settings::LinkSettings;
use super::trace::{Trace, Transit, rtp_id};

/// Most received datagrams waiting for a peer that does not read; the oldest go first, as in a
/// kernel's socket buffer.
const RECEIVE_QUEUE: usize = 4096;

/// Largest datagram that crosses the link.
const LARGEST: usize = 2048;

/// What IPv4 and UDP add to a datagram on a wire of limited rate, bytes.
const HEADERS: usize = 28;

/// A datagram on its way.
#[derive(Debug, Clone)]
struct Datagram {
    bytes: Bytes,
    /// Destination on the way up, source on the way down.
    far_end: SocketAddr,
    entered: Instant,
    /// When it came out of the link; when it entered, while it is on its way.
    left: Instant,
    /// A broken one is no packet to anyone who counts them.
    broken: bool,
}

#[derive(Debug)]
struct Shared {
    up: Mutex<LinkModel<Datagram>>,
    down: Mutex<LinkModel<Datagram>>,
    damage: Mutex<Damage>,
    arrived: Mutex<Arrived>,
    traces: Arc<Mutex<LinkTraces>>,
    sent: Notify,
}

#[derive(Debug, Default)]
struct Arrived {
    queue: VecDeque<Datagram>,
    reader: Option<Waker>,
}

impl Shared {
    /// A datagram as it will come out of the link.
    fn datagram(&self, bytes: &[u8], far_end: SocketAddr, entered: Instant) -> Datagram {
        let struck = self.damage.lock().strike(bytes);
        Datagram {
            broken: struck.is_some(),
            bytes: struck.unwrap_or_else(|| Bytes::copy_from_slice(bytes)),
            far_end,
            entered,
            left: entered,
        }
    }
}

/// The wrapped socket; a task of its own moves datagrams when their time has come.
#[derive(Debug)]
pub struct LinkSocket {
    shared: Arc<Shared>,
    local_addr: SocketAddr,
    pump: AbortHandle,
}

impl LinkSocket {
    /// Put a bound socket behind a link. Called inside a tokio runtime.
    ///
    /// # Errors
    ///
    /// The system refuses to use the socket without blocking.
    pub fn new(
        socket: std::net::UdpSocket,
        settings: LinkSettings,
        traces: Arc<Mutex<LinkTraces>>,
    ) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let socket = UdpSocket::from_std(socket)?;
        let local_addr = socket.local_addr()?;
        // Turns the kernel's receive timestamps on, and coalescing of datagrams.
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        let shared = Arc::new(Shared {
            up: Mutex::new(LinkModel::new(settings.reseeded(1)).limited(settings.rate_up)),
            down: Mutex::new(LinkModel::new(settings.reseeded(2)).limited(settings.rate_down)),
            damage: Mutex::new(Damage::new(settings.corrupt, settings.reseeded(3).seed)),
            arrived: Mutex::default(),
            traces,
            sent: Notify::new(),
        });
        let pump = tokio::spawn(pump(socket, state, shared.clone())).abort_handle();
        Ok(Self {
            shared,
            local_addr,
            pump,
        })
    }

    /// Where the socket is bound.
    pub fn address(&self) -> SocketAddr {
        self.local_addr
    }

    /// The schedules of the link's rates begin at `origin`, and not at their first datagrams.
    pub fn start_schedule(&self, origin: Instant) {
        self.shared.up.lock().start_schedule(origin);
        self.shared.down.lock().start_schedule(origin);
    }

    /// Send a datagram over the link.
    pub fn send(&self, bytes: &[u8], to: SocketAddr) {
        let now = Instant::now();
        let datagram = self.shared.datagram(bytes, to, now);
        let (broken, length) = (datagram.broken, bytes.len() + HEADERS);
        if self.shared.up.lock().offer(now, length, datagram) == Fate::Lost || broken {
            record(&mut self.shared.traces.lock().up, bytes, now, None);
        }
        self.shared.sent.notify_one();
    }

    /// The next datagram that came over the link, where from and when; cancel-safe.
    pub async fn receive(&self) -> (Bytes, SocketAddr, Instant) {
        std::future::poll_fn(|cx| {
            let mut arrived = self.shared.arrived.lock();
            match arrived.queue.pop_front() {
                Some(datagram) => Poll::Ready((datagram.bytes, datagram.far_end, datagram.left)),
                None => {
                    arrived.reader = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}

impl Drop for LinkSocket {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

impl AsyncUdpSocket for LinkSocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local_addr)
    }

    fn poll_send(&self, _: &mut Context<'_>, transmit: &Transmit<'_>) -> Poll<io::Result<usize>> {
        // One segment a call: max_gso_segments stays 1.
        self.send(transmit.contents, transmit.destination);
        Poll::Ready(Ok(transmit.contents.len()))
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut arrived = self.shared.arrived.lock();
        let mut filled = 0;
        for (buf, meta) in bufs.iter_mut().zip(meta.iter_mut()) {
            let Some(datagram) = arrived.queue.pop_front() else {
                break;
            };
            let length = datagram.bytes.len().min(buf.len());
            buf[..length].copy_from_slice(&datagram.bytes[..length]);
            *meta = RecvMeta::default();
            meta.addr = datagram.far_end;
            meta.len = length;
            meta.stride = length.max(1);
            filled += 1;
        }
        if filled == 0 {
            arrived.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(filled))
    }
}

/// Trace a datagram that left the link, unless it was traced as lost when it was broken.
fn record_left(trace: &mut Trace, datagram: &Datagram, left: Instant) {
    if !datagram.broken {
        record(trace, &datagram.bytes, datagram.entered, Some(left));
    }
}

/// Trace a datagram if it is RTP. Times are those at which it really passed, timers and all.
fn record(trace: &mut Trace, datagram: &[u8], entered: Instant, left: Option<Instant>) {
    if let Some(id) = rtp_id(datagram) {
        trace.record(id, Transit { entered, left });
    }
}

/// Receive into the downlink, and let datagrams out of both directions on time.
async fn pump(socket: UdpSocket, state: UdpSocketState, shared: Arc<Shared>) {
    let mut buffer = vec![0u8; state.gro_segments() * LARGEST];
    loop {
        let next_up = shared.up.lock().next_at();
        let next_down = shared.down.lock().next_at();
        let next = match (next_up, next_down) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        tokio::select! {
            _ = socket.readable() => receive(&socket, &state, &mut buffer, &shared),
            () = shared.sent.notified() => {}
            () = sleep_until(next) => {}
        }
        let now = Instant::now();
        loop {
            let Some(datagram) = shared.up.lock().poll(now) else {
                break;
            };
            record_left(&mut shared.traces.lock().up, &datagram, Instant::now());
            // As on a real network, a datagram that cannot be sent is lost.
            let _ = socket.send_to(&datagram.bytes, datagram.far_end).await;
        }
        leave_downlink(&shared, now);
    }
}

/// Take everything that the socket has into the downlink.
fn receive(socket: &UdpSocket, state: &UdpSocketState, buffer: &mut [u8], shared: &Shared) {
    loop {
        let mut meta = [RecvMeta::default()];
        let received = socket.try_io(Interest::READABLE, || {
            let mut buffers = [IoSliceMut::new(buffer)];
            state.recv(UdpSockRef::from(socket), &mut buffers, &mut meta)
        });
        // An error is an empty socket, or an ICMP answer to an earlier send: the peer's ICE deals
        // with that.
        let Ok(1..) = received else {
            return;
        };
        let [meta] = meta;
        let entered = received_at(&meta);
        for datagram in buffer[..meta.len].chunks(meta.stride.max(1)) {
            enter_downlink(shared, datagram, meta.addr, entered);
        }
    }
}

/// When the kernel received a datagram. On loopback that is when the server sent it, however long
/// this program was kept waiting for a CPU since.
fn received_at(meta: &RecvMeta) -> Instant {
    let now = Instant::now();
    let unix_now = SystemTime::now().duration_since(UNIX_EPOCH);
    let age = match (meta.timestamp, unix_now) {
        (Some(then), Ok(unix_now)) => unix_now.saturating_sub(then),
        _ => Duration::ZERO,
    };
    // A step of the system clock in between must not move a packet far.
    now - age.min(Duration::from_secs(1))
}

fn enter_downlink(shared: &Shared, bytes: &[u8], from: SocketAddr, entered: Instant) {
    let datagram = shared.datagram(bytes, from, entered);
    let broken = datagram.broken;
    let length = bytes.len() + HEADERS;
    if shared.down.lock().offer(entered, length, datagram) == Fate::Lost || broken {
        record(&mut shared.traces.lock().down, bytes, entered, None);
    }
}

fn leave_downlink(shared: &Shared, now: Instant) {
    let mut down = shared.down.lock();
    let mut arrived = shared.arrived.lock();
    let mut any = false;
    while let Some(due) = down.next_at()
        && let Some(mut datagram) = down.poll(now)
    {
        record_left(&mut shared.traces.lock().down, &datagram, now);
        datagram.left = due;
        if arrived.queue.len() == RECEIVE_QUEUE {
            arrived.queue.pop_front();
        }
        arrived.queue.push_back(datagram);
        any = true;
    }
    if any && let Some(reader) = arrived.reader.take() {
        reader.wake();
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
