//! LiveKit's signalling over WebSocket, as a client of protocol 16 and later speaks it.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use futures_util::{SinkExt, StreamExt};
use prost::Message as _;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::proto::{
    JoinRequest, JoinResponse, Ping, SignalRequest, SignalResponse, WrappedJoinRequest,
    signal_request, signal_response, wrapped_join_request::Compression,
};
use crate::http::HttpError;
use crate::peer::{Role, Signalling};

/// Most messages that wait in either direction.
const QUEUE: usize = 256;

/// Time between pings if the server does not say.
const PING_SECONDS: i32 = 10;

/// Why a participant is not in its room.
#[derive(Debug, thiserror::Error)]
pub enum LivekitError {
    /// No token.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The WebSocket failed.
    #[error("LiveKit signalling failed: {0}")]
    Signal(String),
    /// The server closed the WebSocket, or asked the participant to leave.
    #[error("the server sent the participant away: {0}")]
    SentAway(String),
    /// The socket failed.
    #[error("a participant's socket failed: {0}")]
    Io(#[from] std::io::Error),
    /// The WebRTC stack refused.
    #[error("a participant's WebRTC stack failed: {0}")]
    Rtc(#[from] str0m::RtcError),
    /// A description or candidate was not understood.
    #[error("the server's answer is not understood: {0}")]
    Answer(String),
    /// The connection died.
    #[error("a participant lost its connection")]
    Lost,
}

/// One WebSocket; a task of its own reads, writes and pings.
pub struct SignalClient {
    to: mpsc::Sender<signal_request::Message>,
    from: mpsc::Receiver<signal_response::Message>,
    task: AbortHandle,
}

impl Drop for SignalClient {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl SignalClient {
    /// Join a room.
    ///
    /// # Errors
    ///
    /// The server refuses, or its first message is no `JoinResponse`.
    pub async fn join(
        signalling: &Signalling,
        (room, identity, role): (&str, &str, Role),
        request: &JoinRequest,
    ) -> Result<(Self, JoinResponse), LivekitError> {
        let token = signalling.token(room, identity, role).await?;
        let wrapped = WrappedJoinRequest {
            compression: Compression::None.into(),
            join_request: request.encode_to_vec(),
        };
        let join_request = URL_SAFE.encode(wrapped.encode_to_vec());
        let authority = signalling.http().authority();
        let failed = |error: &dyn std::fmt::Display| LivekitError::Signal(error.to_string());
        let stream = TcpStream::connect(authority)
            .await
            .map_err(|e| failed(&e))?;
        stream.set_nodelay(true).map_err(|e| failed(&e))?;
        let url =
            format!("ws://{authority}/rtc/v1?access_token={token}&join_request={join_request}");
        let (mut socket, _) = tokio_tungstenite::client_async(url, stream)
            .await
            .map_err(|e| failed(&e))?;
        let join = loop {
            match next(&mut socket).await? {
                signal_response::Message::Join(join) => break join,
                signal_response::Message::Leave(leave) => {
                    return Err(LivekitError::SentAway(format!("{:?}", leave.reason())));
                }
                _ => {}
            }
        };
        let seconds = match join.ping_interval {
            1.. => join.ping_interval,
            _ => PING_SECONDS,
        };
        let (to, requests) = mpsc::channel(QUEUE);
        let (responses, from) = mpsc::channel(QUEUE);
        let every = Duration::from_secs(seconds.unsigned_abs().into());
        let task = tokio::spawn(attend(socket, requests, responses, every)).abort_handle();
        Ok((Self { to, from, task }, join))
    }

    /// Tell the server something.
    ///
    /// # Errors
    ///
    /// The WebSocket is closed, or the server reads nothing.
    pub fn tell(&self, message: signal_request::Message) -> Result<(), LivekitError> {
        self.to
            .try_send(message)
            .map_err(|e| LivekitError::Signal(e.to_string()))
    }

    /// What the server tells next; cancel-safe.
    ///
    /// # Errors
    ///
    /// The WebSocket is closed, or the server asks the participant to leave.
    pub async fn told(&mut self) -> Result<signal_response::Message, LivekitError> {
        match self.from.recv().await {
            Some(signal_response::Message::Leave(leave)) => {
                Err(LivekitError::SentAway(format!("{:?}", leave.reason())))
            }
            Some(message) => Ok(message),
            None => Err(LivekitError::SentAway("the WebSocket is closed".to_owned())),
        }
    }
}

type Socket = WebSocketStream<TcpStream>;

/// The next message of the server, past pongs and the like.
async fn next(socket: &mut Socket) -> Result<signal_response::Message, LivekitError> {
    let failed = |error: String| LivekitError::Signal(error);
    loop {
        let message = socket.next().await.ok_or(LivekitError::Lost)?;
        let bytes = match message.map_err(|e| failed(e.to_string()))? {
            Message::Binary(bytes) => bytes,
            Message::Close(_) => {
                return Err(LivekitError::SentAway("the WebSocket is closed".to_owned()));
            }
            _ => continue,
        };
        let response = SignalResponse::decode(bytes).map_err(|e| failed(e.to_string()))?;
        if let Some(message) = response.message {
            return Ok(message);
        }
    }
}

/// Carry messages both ways until either side is gone.
async fn attend(
    mut socket: Socket,
    mut requests: mpsc::Receiver<signal_request::Message>,
    responses: mpsc::Sender<signal_response::Message>,
    every: Duration,
) {
    let mut pings = tokio::time::interval(every);
    loop {
        let message = tokio::select! {
            response = next(&mut socket) => {
                let Ok(response) = response else { return };
                if responses.send(response).await.is_err() {
                    return;
                }
                continue;
            }
            request = requests.recv() => match request {
                Some(request) => request,
                None => return,
            },
            _ = pings.tick() => signal_request::Message::PingReq(Ping::default()),
        };
        let request = SignalRequest {
            message: Some(message),
        };
        let bytes = request.encode_to_vec();
        if socket.send(Message::Binary(bytes.into())).await.is_err() {
            return;
        }
    }
}
