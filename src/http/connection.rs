//! A second handle to a client's TCP connection, to cut it from outside.
//!
//! While a client does not read, actix-web does not poll the response's body, so a WebSocket actor cannot end
//! its own connection: it never runs. The watch over slow readers therefore shuts the socket itself.

use std::{
    any::Any,
    net::{Shutdown, TcpStream},
    os::fd::AsFd,
    sync::Arc,
};

use actix_web::{dev::Extensions, rt::net};

/// The connection that a request came on.
#[derive(Clone, Debug)]
pub(crate) struct Connection(Arc<TcpStream>);

impl Connection {
    /// `HttpServer::on_connect`.
    pub(crate) fn remember(io: &dyn Any, extensions: &mut Extensions) {
        if let Some(stream) = io.downcast_ref::<net::TcpStream>()
            && let Ok(handle) = stream.as_fd().try_clone_to_owned()
        {
            extensions.insert(Self(Arc::new(TcpStream::from(handle))));
        }
    }

    /// Ends both directions at once; the server's own handle then fails and is dropped.
    pub(crate) fn cut(&self) {
        // It fails only if the connection is gone already.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}
