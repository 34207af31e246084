//! A client that blocks.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use hive_actors::livekit::proto::{
    LeaveRequest, SignalRequest, SignalResponse, signal_request, signal_response,
};
use prost::Message as _;
use tungstenite::{
    Error, HandshakeError, Message, WebSocket,
    client::IntoClientRequest,
    protocol::{WebSocketConfig, frame::coding::CloseCode},
};

use super::header;

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the server says to a request that is no WebSocket.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Answer {
    /// The problem's name.
    pub(super) fn problem(&self) -> String {
        let body: serde_json::Value = serde_json::from_str(&self.body).expect("a problem");
        let name = body["type"].as_str().expect("a type");
        name.trim_start_matches("/problems/").to_owned()
    }
}

fn tcp(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(server).expect("connected");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    stream
}

/// One request over a connection of its own.
pub(super) fn get(server: SocketAddr, address: &str, headers: &[(&str, &str)]) -> Answer {
    let mut stream = tcp(server);
    let mut request = format!("GET {address} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    Answer {
        status: status.expect("a status"),
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    }
}

/// A WebSocket that speaks LiveKit's protocol.
#[derive(Debug)]
pub(super) struct Socket(pub(super) WebSocket<TcpStream>);

impl Socket {
    pub(super) fn connect(
        server: SocketAddr,
        address: &str,
        bearer: Option<&str>,
    ) -> Result<Self, Answer> {
        let mut request = format!("ws://{server}{address}")
            .into_client_request()
            .expect("an address");
        if let Some(token) = bearer {
            let value = format!("Bearer {token}").parse().expect("a value");
            request.headers_mut().insert("authorization", value);
        }
        // Not cut into frames, whatever the size.
        let config = WebSocketConfig::default().max_frame_size(None);
        match tungstenite::client::client_with_config(request, tcp(server), Some(config)) {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(HandshakeError::Failure(Error::Http(response))) => {
                let (head, body) = response.into_parts();
                let body = body.unwrap_or_default();
                Err(Answer {
                    status: head.status.as_u16(),
                    head: format!("{:?}", head.headers.get(header::CONTENT_TYPE.as_str())),
                    body: String::from_utf8_lossy(&body).into_owned(),
                })
            }
            Err(error) => panic!("{error}"),
        }
    }

    pub(super) fn say(&mut self, message: signal_request::Message) {
        let request = SignalRequest {
            message: Some(message),
        };
        self.send(Message::binary(request.encode_to_vec()));
    }

    /// As it is; a server that has closed already need not take it.
    pub(super) fn send(&mut self, message: Message) {
        let _ = self.0.send(message);
    }

    /// The next message but for fresh tokens, which come when they come; None once the server has closed.
    pub(super) fn message(&mut self) -> Option<signal_response::Message> {
        self.any(|message| !matches!(message, Some(signal_response::Message::RefreshToken(_))))
    }

    /// The next fresh token.
    pub(super) fn fresh_token(&mut self) -> String {
        let is_token = |message: &Option<signal_response::Message>| {
            matches!(message, Some(signal_response::Message::RefreshToken(_)))
        };
        match self.any(is_token) {
            Some(signal_response::Message::RefreshToken(token)) => token,
            other => panic!("no token but {other:?}"),
        }
    }

    fn any(
        &mut self,
        fits: impl Fn(&Option<signal_response::Message>) -> bool,
    ) -> Option<signal_response::Message> {
        loop {
            match self.0.read() {
                Ok(Message::Binary(bytes)) => {
                    let message = SignalResponse::decode(bytes).expect("a response").message;
                    if fits(&message) {
                        return message;
                    }
                }
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// The goodbye and the code of the close frame after it.
    pub(super) fn ended(&mut self) -> (Option<LeaveRequest>, Option<CloseCode>) {
        let mut leave = None;
        loop {
            match self.0.read() {
                Ok(Message::Binary(bytes)) => {
                    let response = SignalResponse::decode(bytes).expect("a response");
                    if let Some(signal_response::Message::Leave(said)) = response.message {
                        assert!(leave.replace(said).is_none(), "one goodbye is enough");
                    } else {
                        assert!(leave.is_none(), "nothing comes after the goodbye");
                    }
                }
                Ok(Message::Close(frame)) => return (leave, frame.map(|frame| frame.code)),
                Ok(_) => {}
                Err(_) => return (leave, None),
            }
        }
    }
}
