//! A client of LiveKit's signalling that says whatever a test wants it to say.

#![allow(
    dead_code,
    reason = "every test file is a program of its own and uses a part of this"
)]

use std::net::TcpStream;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use livekit_protocol::{
    JoinRequest, JoinResponse, LeaveRequest, Ping, SessionDescription, SignalRequest,
    SignalResponse, WrappedJoinRequest, signal_request, signal_response,
};
use prost::Message as _;
use tungstenite::{Error, HandshakeError, Message, WebSocket, client::IntoClientRequest};

use crate::server::Server;

/// A connected client.
#[derive(Debug)]
pub(crate) struct Signal {
    socket: WebSocket<TcpStream>,
    pub(crate) join: JoinResponse,
}

impl Signal {
    /// Joins with one peer connection, and no offer yet.
    pub(crate) fn join(server: &Server, token: &str) -> Signal {
        Signal::try_join(server, token).expect("the server lets it in")
    }

    /// The same, or the status and the text by which the server refuses.
    pub(crate) fn try_join(server: &Server, token: &str) -> Result<Signal, (u16, String)> {
        let request = JoinRequest {
            client_info: Some(livekit_protocol::ClientInfo::default()),
            connection_settings: Some(livekit_protocol::ConnectionSettings {
                auto_subscribe: true,
                ..Default::default()
            }),
            ..Default::default()
        };
        let wrapped = WrappedJoinRequest {
            compression: 0,
            join_request: request.encode_to_vec(),
        };
        let address = format!(
            "ws://{}/rtc/v1?access_token={token}&join_request={}",
            server.http,
            URL_SAFE_NO_PAD.encode(wrapped.encode_to_vec())
        );
        let request = address.into_client_request().expect("an address");
        let socket = match tungstenite::client(request, server.connect()) {
            Ok((socket, _)) => socket,
            Err(HandshakeError::Failure(Error::Http(answer))) => {
                let said = answer.body().as_deref().unwrap_or_default();
                let said = String::from_utf8_lossy(said).into_owned();
                return Err((answer.status().as_u16(), said));
            }
            Err(error) => panic!("neither a WebSocket nor a refusal: {error}"),
        };
        let mut signal = Signal {
            socket,
            join: JoinResponse::default(),
        };
        signal.join = signal.wait(|message| match message {
            signal_response::Message::Join(join) => Some(join),
            _ => None,
        });
        Ok(signal)
    }

    pub(crate) fn say(&mut self, message: signal_request::Message) {
        let request = SignalRequest {
            message: Some(message),
        };
        self.say_bytes(request.encode_to_vec());
    }

    /// Sends a frame of anything. That the server may have hung up meanwhile is no failure of the test.
    pub(crate) fn say_bytes(&mut self, bytes: Vec<u8>) {
        let _ = self.socket.send(Message::binary(bytes));
    }

    /// Offers; the answer is for [`Signal::wait`].
    pub(crate) fn offer(&mut self, id: u32, sdp: &str) {
        self.say(signal_request::Message::Offer(SessionDescription {
            r#type: "offer".to_owned(),
            sdp: sdp.to_owned(),
            id,
            ..Default::default()
        }));
    }

    /// The first message from now on of which `pick` makes something.
    pub(crate) fn wait<T>(&mut self, pick: impl Fn(signal_response::Message) -> Option<T>) -> T {
        loop {
            match self.read() {
                Some(message) => {
                    if let Some(picked) = pick(message) {
                        return picked;
                    }
                }
                None => panic!("the server closed before the message came"),
            }
        }
    }

    /// Waits until the server sends the client away, and gives its last words.
    pub(crate) fn sent_away(&mut self) -> LeaveRequest {
        self.wait(|message| match message {
            signal_response::Message::Leave(leave) => Some(leave),
            _ => None,
        })
    }

    /// Reads until the connection is over.
    pub(crate) fn until_closed(&mut self) {
        while self.read().is_some() {}
    }

    /// Whether the server still answers.
    pub(crate) fn is_served(&mut self) -> bool {
        self.say(signal_request::Message::PingReq(Ping {
            timestamp: 7,
            rtt: 0,
        }));
        self.wait(|message| match message {
            signal_response::Message::PongResp(pong) => Some(pong.last_ping_timestamp == 7),
            signal_response::Message::Leave(leave) => panic!("sent away: {leave:?}"),
            _ => None,
        })
    }

    /// Waits until the room has taken all that the client said before. A ping is answered by the front door; this is
    /// answered by the room, which takes one message after the other.
    pub(crate) fn is_through(&mut self) -> bool {
        self.say(signal_request::Message::PublishDataTrackRequest(
            Default::default(),
        ));
        self.wait(|message| match message {
            signal_response::Message::RequestResponse(_) => Some(true),
            signal_response::Message::Leave(leave) => panic!("sent away: {leave:?}"),
            _ => None,
        })
    }

    fn read(&mut self) -> Option<signal_response::Message> {
        loop {
            match self.socket.read() {
                Ok(Message::Binary(bytes)) => {
                    let response =
                        SignalResponse::decode(bytes).expect("the server speaks protobuf");
                    return response.message;
                }
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                Ok(_) | Err(_) => return None,
            }
        }
    }
}

/// The codecs of an offer of Chromium's to receive video, and what each says of itself.
const VIDEO: [(u8, &str, &str); 18] = [
    (96, "VP8/90000", ""),
    (97, "rtx/90000", "apt=96"),
    (
        103,
        "H264/90000",
        "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f",
    ),
    (104, "rtx/90000", "apt=103"),
    (
        107,
        "H264/90000",
        "level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42001f",
    ),
    (108, "rtx/90000", "apt=107"),
    (
        109,
        "H264/90000",
        "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
    ),
    (114, "rtx/90000", "apt=109"),
    (
        115,
        "H264/90000",
        "level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f",
    ),
    (116, "rtx/90000", "apt=115"),
    (
        39,
        "H264/90000",
        "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=4d001f",
    ),
    (40, "rtx/90000", "apt=39"),
    (45, "AV1/90000", "level-idx=5;profile=0;tier=0"),
    (46, "rtx/90000", "apt=45"),
    (98, "VP9/90000", "profile-id=0"),
    (99, "rtx/90000", "apt=98"),
    (100, "VP9/90000", "profile-id=2"),
    (101, "rtx/90000", "apt=100"),
];

/// An offer to receive so many videos, each section of which says as much as Chromium's do.
pub(crate) fn watching(sections: usize) -> String {
    let fingerprint = ["AB"; 32].join(":");
    let payloads: Vec<String> = VIDEO.iter().map(|it| it.0.to_string()).collect();
    let mut section = format!(
        "m=video 9 UDP/TLS/RTP/SAVPF {}\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n\
         a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\na=ice-options:trickle\r\n\
         a=fingerprint:sha-256 {fingerprint}\r\na=setup:actpass\r\na=recvonly\r\na=rtcp-mux\r\n\
         a=rtcp-rsize\r\n",
        payloads.join(" ")
    );
    for (id, extension) in [
        "urn:ietf:params:rtp-hdrext:toffset",
        "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
        "urn:3gpp:video-orientation",
        "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
        "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
        "http://www.webrtc.org/experiments/rtp-hdrext/video-content-type",
        "http://www.webrtc.org/experiments/rtp-hdrext/video-timing",
        "http://www.webrtc.org/experiments/rtp-hdrext/color-space",
        "urn:ietf:params:rtp-hdrext:sdes:mid",
        "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
        "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
    ]
    .into_iter()
    .enumerate()
    {
        section += &format!("a=extmap:{} {extension}\r\n", id + 1);
    }
    for (payload, codec, parameters) in VIDEO {
        section += &format!("a=rtpmap:{payload} {codec}\r\n");
        if !codec.starts_with("rtx") {
            for feedback in ["goog-remb", "transport-cc", "ccm fir", "nack", "nack pli"] {
                section += &format!("a=rtcp-fb:{payload} {feedback}\r\n");
            }
        }
        if !parameters.is_empty() {
            section += &format!("a=fmtp:{payload} {parameters}\r\n");
        }
    }
    let mids: Vec<String> = (0..sections).map(|mid| mid.to_string()).collect();
    let mut sdp = format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {}\r\n",
        mids.join(" ")
    );
    for mid in mids {
        sdp += &format!("{section}a=mid:{mid}\r\n");
    }
    sdp
}

/// An offer of so many sections in which the client receives audio.
pub(crate) fn receiving(sections: usize) -> String {
    let mids: Vec<String> = (0..sections).map(|mid| mid.to_string()).collect();
    let fingerprint = ["AB"; 32].join(":");
    let mut sdp = format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {}\r\n",
        mids.join(" ")
    );
    for mid in mids {
        sdp += &format!(
            "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:{mid}\r\n\
             a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\na=setup:actpass\r\n\
             a=fingerprint:sha-256 {fingerprint}\r\na=recvonly\r\na=rtcp-mux\r\n\
             a=rtpmap:111 opus/48000/2\r\n"
        );
    }
    sdp
}
