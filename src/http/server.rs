//! The HTTP server itself: sockets, limits, and its end.

use std::{io, net::SocketAddr, time::Duration};

use actix_web::{App, HttpServer, dev::ServerHandle, middleware::from_fn, web};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::watch;

use super::{
    app::{Door, Doorway, routes},
    backend::Backend,
    connection::Connection,
    guard::guard,
};
use crate::{config::Config, turn::IceServers};

/// The HTTP server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartHttpError {
    /// Somebody else has the port.
    #[error(
        "the TCP address {address} is in use; stop what listens there (`ss -ltnp`) or change `http.bind`"
    )]
    InUse {
        /// The address.
        address: SocketAddr,
    },
    /// The address cannot be had.
    #[error("cannot listen on the TCP address {address} ({error}); change `http.bind`")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        error: io::Error,
    },
}

impl StartHttpError {
    fn new(address: SocketAddr, error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::AddrInUse {
            Self::InUse { address }
        } else {
            Self::Bind { address, error }
        }
    }
}

/// A running server.
pub struct HttpServerHandle {
    server: ServerHandle,
    doorway: watch::Sender<Doorway>,
    address: SocketAddr,
}

impl HttpServerHandle {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on new sessions are refused with 503, `/ready` fails and events clients are told goodbye.
    pub fn close(&self) {
        self.doorway.send_replace(Doorway::Closing);
    }

    /// Answers what is under way, then ends.
    pub async fn stop(&self) {
        self.server.stop(true).await;
    }

    /// Ends at once.
    pub async fn abort(&self) {
        self.server.stop(false).await;
    }
}

/// Binds `http.bind`, so that a port that is in use is found out before anything else is started.
///
/// # Errors
/// See [`StartHttpError`].
pub fn bind(address: SocketAddr) -> Result<std::net::TcpListener, StartHttpError> {
    let socket = || {
        let socket = socket2::Socket::new(
            socket2::Domain::for_address(address),
            socket2::Type::STREAM,
            Some(socket2::Protocol::TCP),
        )?;
        // A restarted server must not wait for its predecessor's connections to time out.
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(1024)?;
        socket.set_nonblocking(true)?;
        Ok(socket.into())
    };
    socket().map_err(|error| StartHttpError::new(address, error))
}

/// Starts to answer on `listener`. `backend` makes each HTTP thread's handle to the rooms; `ice_servers` are told
/// to clients.
///
/// # Errors
/// See [`StartHttpError`].
pub fn start(
    listener: std::net::TcpListener,
    config: &Config,
    backend: impl Backend,
    ice_servers: IceServers,
    metrics: PrometheusHandle,
) -> Result<HttpServerHandle, StartHttpError> {
    let asked = config.http.bind;
    let address = listener
        .local_addr()
        .map_err(|error| StartHttpError::new(asked, error))?;
    let (doorway, door_state) = watch::channel(Doorway::Open);
    let door = web::Data::new(Door::new(
        config,
        Box::new(backend),
        ice_servers,
        metrics,
        door_state,
    ));
    let http = &config.http;
    let app = move || {
        App::new()
            .app_data(door.clone())
            .wrap(from_fn(guard))
            .configure(routes)
    };
    let server = HttpServer::new(app)
        .workers(http.workers)
        .max_connections(http.max_connections.div_ceil(http.workers))
        .client_request_timeout(http.header_timeout)
        .client_disconnect_timeout(Duration::from_secs(2))
        .keep_alive(http.keep_alive)
        .shutdown_timeout(http.shutdown_timeout.as_secs().max(1))
        .on_connect(Connection::remember)
        .disable_signals()
        .listen(listener)
        .map_err(|error| StartHttpError::new(address, error))?
        .run();
    let handle = server.handle();
    actix_web::rt::spawn(async move {
        if let Err(error) = server.await {
            tracing::error!(%error, "the HTTP server ended");
        }
    });
    Ok(HttpServerHandle {
        server: handle,
        doorway,
        address,
    })
}
