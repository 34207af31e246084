//! The server: a thread of its own, so that neither rooms nor HTTP wait for what is relayed.

use std::{io, net::SocketAddr, sync::Arc};

use tokio::{
    net::{TcpListener, UdpSocket},
    sync::oneshot,
};

use super::{
    credentials::SharedSecret,
    door::Door,
    ice_servers::{self, IceServers},
    peers::{MediaAddress, Peers},
    quota::Quota,
    reception::Reception,
    sockets::TurnSockets,
    tcp::{self, Limits},
    udp,
};
use crate::config::Turn;

/// The server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartTurnError {
    /// There is nothing to relay to, or no address to tell.
    #[error("TURN has no media address to relay to; set `media.advertise` to this host's address")]
    NoMedia,
    /// The thread or its sockets.
    #[error("cannot start the thread of TURN: {0}")]
    Thread(#[from] io::Error),
}

/// A running server.
pub struct TurnHandle {
    address: SocketAddr,
    ice_servers: IceServers,
    /// Dropping it ends the server.
    stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<()>,
}

impl TurnHandle {
    /// Where it listens, on UDP and TCP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What to tell clients about it.
    pub fn ice_servers(&self) -> IceServers {
        self.ice_servers.clone()
    }

    /// Ends every allocation and the server.
    pub async fn stop(self) {
        drop(self.stop);
        // It errs if the thread is gone already.
        let _ = self.ended.await;
    }
}

/// Starts to serve. `media` are the addresses that may be relayed to.
///
/// # Errors
/// See [`StartTurnError`].
pub fn start(
    sockets: TurnSockets,
    config: &Turn,
    media: &[MediaAddress],
) -> Result<TurnHandle, StartTurnError> {
    let peers = Peers::new(media, &config.allow_peers);
    let public = peers.public_ip().ok_or(StartTurnError::NoMedia)?;
    let secret = config
        .shared_secret
        .as_ref()
        .map_or_else(SharedSecret::random, SharedSecret::new);
    let address = sockets.address;
    let urls = if config.urls.is_empty() {
        let host = config.advertise.clone();
        let host = host.unwrap_or_else(|| public.to_string());
        ice_servers::urls(&host, address.port())
    } else {
        config.urls.clone()
    };
    let ice_servers = IceServers::new(urls, secret.clone(), config.ttl);
    let door = Door::new(config.realm.clone(), secret);
    let quota = Quota::new(config.max_allocations, config.max_allocations_per_user);
    let reception = Reception::new(door, peers, quota, config.relay_ports);
    let limits = Limits {
        connections: config.max_connections,
        idle_timeout: config.idle_timeout,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (udp, tcp) = {
        let _in_runtime = runtime.enter();
        (
            UdpSocket::from_std(sockets.udp)?,
            TcpListener::from_std(sockets.tcp)?,
        )
    };
    let (stop, stopped) = oneshot::channel();
    let (end, ended) = oneshot::channel();
    std::thread::Builder::new()
        .name("hive-turn".to_owned())
        .spawn(move || {
            runtime.block_on(async move {
                let reception = Arc::new(reception);
                tokio::select! {
                    () = udp::serve(Arc::new(udp), address, Arc::clone(&reception)) => {}
                    () = tcp::serve(tcp, address, reception, limits) => {}
                    _ = stopped => {}
                }
            });
            drop(runtime);
            let _ = end.send(());
        })?;
    Ok(TurnHandle {
        address,
        ice_servers,
        stop,
        ended,
    })
}
