//! A `webrtc` runtime whose UDP sockets are behind a link.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use webrtc::runtime::{
    AsyncInterval, AsyncTcpListener, AsyncTcpStream, AsyncUdpSocket, JoinHandle, Runtime,
    TokioRuntime,
};

use super::settings::LinkSettings;
use super::socket::LinkSocket;
use super::trace::Trace;

/// What went each way over a link.
#[derive(Debug, Default)]
pub struct LinkTraces {
    /// From the peer to the server.
    pub up: Trace,
    /// From the server to the peer.
    pub down: Trace,
}

/// tokio, with a link under every UDP socket.
///
/// Give one to one peer connection: all of its sockets share the traces.
#[derive(Debug)]
pub struct LinkRuntime {
    settings: LinkSettings,
    traces: Arc<Mutex<LinkTraces>>,
}

impl LinkRuntime {
    /// A runtime with this link under its sockets.
    pub fn new(settings: LinkSettings) -> Self {
        Self {
            settings,
            traces: Arc::default(),
        }
    }

    /// What went over the link, growing while the peer lives.
    pub fn traces(&self) -> Arc<Mutex<LinkTraces>> {
        self.traces.clone()
    }
}

impl Runtime for LinkRuntime {
    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) -> Box<dyn JoinHandle> {
        TokioRuntime.spawn(future)
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        Ok(Arc::new(LinkSocket::new(
            socket,
            self.settings,
            self.traces.clone(),
        )?))
    }

    fn wrap_tcp_listener(
        &self,
        listener: std::net::TcpListener,
    ) -> io::Result<Arc<dyn AsyncTcpListener>> {
        TokioRuntime.wrap_tcp_listener(listener)
    }

    fn connect_tcp<'a>(
        &'a self,
        remote_addr: SocketAddr,
    ) -> Pin<Box<dyn Future<Output = io::Result<Arc<dyn AsyncTcpStream>>> + Send + 'a>> {
        TokioRuntime.connect_tcp(remote_addr)
    }

    fn resolve_host<'a>(
        &'a self,
        host: &'a str,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>> {
        TokioRuntime.resolve_host(host)
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        TokioRuntime.sleep(duration)
    }

    fn interval(&self, period: Duration) -> Box<dyn AsyncInterval> {
        TokioRuntime.interval(period)
    }

    fn block_on(&self, future: Pin<Box<dyn Future<Output = ()> + '_>>) {
        TokioRuntime.block_on(future);
    }

    fn yield_now(&self) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        TokioRuntime.yield_now()
    }

    fn name(&self) -> &'static str {
        "tokio behind a link"
    }
}
