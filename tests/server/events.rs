//! The events WebSocket.

use std::net::TcpStream;

use serde_json::Value;
use tungstenite::{Message, WebSocket};

/// An events WebSocket.
pub(crate) struct Events {
    pub(crate) socket: WebSocket<TcpStream>,
}

impl Events {
    pub(super) fn new(socket: WebSocket<TcpStream>) -> Self {
        Self { socket }
    }

    /// The first event from now on that fits.
    pub(crate) fn find(&mut self, fits: impl Fn(&Value) -> bool) -> Value {
        let mut seen = Vec::new();
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => {
                    let event: Value = serde_json::from_str(&text).expect("events are JSON");
                    if fits(&event) {
                        return event;
                    }
                    seen.push(event);
                }
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                other => panic!("the event did not come: {other:?} after {seen:#?}"),
            }
        }
    }

    /// The code that the server closes with.
    pub(crate) fn closed(&mut self) -> Option<u16> {
        loop {
            match self.socket.read() {
                Ok(Message::Close(frame)) => return frame.map(|frame| frame.code.into()),
                Ok(_) => {}
                Err(error) => panic!("the server did not close with a frame: {error}"),
            }
        }
    }
}
