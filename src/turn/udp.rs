//! Clients on UDP: one socket, one queue a client with an allocation, nothing for anybody else.

use std::{collections::HashMap, io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::UdpSocket,
    sync::mpsc::{self, Receiver, Sender, error::TrySendError},
    task::JoinSet,
    time::sleep,
};

use super::{
    framing::MAX_FRAME,
    link::Link,
    reception::{Reaction, Reception},
    session, telemetry,
};
use crate::auth::unix_seconds;

/// Frames that wait for a session; more are dropped, as the network would.
const QUEUE: usize = 64;

/// Serves the socket; does not end.
pub(super) async fn serve(socket: Arc<UdpSocket>, address: SocketAddr, reception: Arc<Reception>) {
    let mut listener = Listener {
        socket,
        address,
        reception,
        clients: HashMap::new(),
        sessions: JoinSet::new(),
    };
    let mut buffer = vec![0; MAX_FRAME + 1];
    loop {
        tokio::select! {
            received = listener.socket.recv_from(&mut buffer) => match received {
                Ok((len, client)) if len <= MAX_FRAME => listener.receive(&buffer[..len], client),
                Ok(_) => {}
                Err(error) => failed(&error).await,
            },
            Some(_) = listener.sessions.join_next() => {
                listener.clients.retain(|_, queue| !queue.is_closed());
            }
        }
    }
}

async fn failed(error: &io::Error) {
    // Answers to forged addresses come back as ICMP errors; anything else would repeat at once.
    if error.kind() != io::ErrorKind::ConnectionRefused {
        tracing::warn!(%error, "the TURN socket failed to receive");
        sleep(Duration::from_millis(100)).await;
    }
}

struct Listener {
    socket: Arc<UdpSocket>,
    address: SocketAddr,
    reception: Arc<Reception>,
    /// Clients with an allocation.
    clients: HashMap<SocketAddr, Sender<Vec<u8>>>,
    sessions: JoinSet<()>,
}

impl Listener {
    fn receive(&mut self, frame: &[u8], client: SocketAddr) {
        if let Some(queue) = self.clients.get(&client) {
            match queue.try_send(frame.to_vec()) {
                Ok(()) => return,
                Err(TrySendError::Full(_)) => return telemetry::dropped(1),
                // The session has just ended; this may be the first frame of another.
                Err(TrySendError::Closed(_)) => {}
            }
        }
        if !self.reception.may_answer(client, std::time::Instant::now()) {
            return;
        }
        match self.reception.receive(frame, client, unix_seconds()) {
            Reaction::Ignore => {}
            Reaction::Answer(answer) => send(&self.socket, &answer, client),
            Reaction::Open(opening) => {
                let (queue, frames) = mpsc::channel(QUEUE);
                self.clients.insert(client, queue);
                let (reception, server) = (Arc::clone(&self.reception), self.address);
                let mut link = UdpLink {
                    socket: Arc::clone(&self.socket),
                    client,
                    frames,
                };
                self.sessions.spawn(async move {
                    session::run(&mut link, &reception, *opening, client, server).await;
                });
            }
        }
    }
}

struct UdpLink {
    socket: Arc<UdpSocket>,
    client: SocketAddr,
    frames: Receiver<Vec<u8>>,
}

impl Link for UdpLink {
    async fn receive(&mut self) -> Option<Vec<u8>> {
        self.frames.recv().await
    }

    fn send(&mut self, frame: &[u8]) {
        send(&self.socket, frame, self.client);
    }
}

fn send(socket: &UdpSocket, frame: &[u8], client: SocketAddr) {
    if socket.try_send_to(frame, client).is_err() {
        telemetry::dropped(1);
    }
}
