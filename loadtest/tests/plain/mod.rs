//! A `webrtc` peer that answers WHIP and WHEP offers, and just enough HTTP to reach it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use parking_lot::Mutex;
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::sdp::RTCSessionDescription;
use rtc::rtp;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::{
    MediaEngine, PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler,
    RTCIceGatheringState, RTCPeerConnectionState, Registry, register_default_interceptors,
};

const SSRC: u32 = 77;

#[derive(Default)]
struct Seen {
    payloads: Mutex<Vec<Bytes>>,
    deleted: AtomicUsize,
    began_unix_ms: Mutex<f64>,
    peers: Mutex<Vec<Arc<dyn PeerConnection>>>,
}

pub(crate) struct Server {
    pub(crate) authority: String,
    seen: Arc<Seen>,
}

struct Handler {
    seen: Arc<Seen>,
    gathered: watch::Sender<bool>,
    connected: watch::Sender<bool>,
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            self.gathered.send_replace(true);
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        if state == RTCPeerConnectionState::Connected {
            self.connected.send_replace(true);
        }
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        let seen = self.seen.clone();
        tokio::spawn(async move {
            while let Some(event) = track.poll().await {
                if let TrackRemoteEvent::OnRtpPacket(packet) = event {
                    seen.payloads.lock().push(packet.payload);
                }
            }
        });
    }
}

impl Server {
    /// Answer offers; to WHEP offers send these payloads, 20 ms each.
    pub(crate) async fn start(to_send: Vec<Bytes>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let seen = Arc::new(Seen::default());
        let state = seen.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, state.clone(), to_send.clone()));
            }
        });
        Self { authority, seen }
    }

    pub(crate) fn payloads(&self) -> Vec<Bytes> {
        self.seen.payloads.lock().clone()
    }

    pub(crate) fn deleted(&self) -> usize {
        self.seen.deleted.load(Ordering::Relaxed)
    }

    pub(crate) fn began_unix_ms(&self) -> f64 {
        *self.seen.began_unix_ms.lock()
    }

    pub(crate) async fn received_at_least(&self, packets: usize) {
        until(|| self.seen.payloads.lock().len() >= packets).await;
    }
}

/// Poll for something that real sockets bring about.
pub(crate) async fn until(mut done: impl FnMut() -> bool) {
    let wait = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        while !done() {
            ticks.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait)
        .await
        .unwrap();
}

async fn serve(mut stream: TcpStream, seen: Arc<Seen>, to_send: Vec<Bytes>) {
    let mut request = Vec::new();
    let mut chunk = [0; 4096];
    let (head, body) = loop {
        let read = stream.read(&mut chunk).await.unwrap();
        if read == 0 {
            return;
        }
        request.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&request).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| {
                line.to_lowercase()
                    .strip_prefix("content-length:")?
                    .trim()
                    .parse()
                    .ok()
            })
            .unwrap_or(0usize);
        if body.len() >= length {
            break (head.to_owned(), body.to_owned());
        }
    };
    let answer = if head.starts_with("POST /auth/token/room") {
        http("200 OK", "", r#"{"token":"t"}"#)
    } else if head.starts_with("DELETE") {
        seen.deleted.fetch_add(1, Ordering::Relaxed);
        http("200 OK", "", "")
    } else {
        let to_send = if head.starts_with("POST /whep") {
            to_send
        } else {
            Vec::new()
        };
        let sdp = answer(body, seen, to_send).await;
        http(
            "201 Created",
            "Location: /session/1\r\nETag: \"1\"\r\n",
            &sdp,
        )
    };
    stream.write_all(answer.as_bytes()).await.unwrap();
}

fn http(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

async fn answer(offer: String, seen: Arc<Seen>, to_send: Vec<Bytes>) -> String {
    let mut media = MediaEngine::default();
    media.register_default_codecs().unwrap();
    let registry = register_default_interceptors(Registry::new(), &mut media).unwrap();
    let (gathered, mut on_gathered) = watch::channel(false);
    let (connected, mut on_connected) = watch::channel(false);
    let peer = PeerConnectionBuilder::new()
        .with_media_engine(media)
        .with_interceptor_registry(registry)
        .with_handler(Arc::new(Handler {
            seen: seen.clone(),
            gathered,
            connected,
        }))
        .with_udp_addrs(vec!["127.0.0.1:0"])
        .build()
        .await
        .unwrap();
    let peer: Arc<dyn PeerConnection> = Arc::new(peer);
    let track = Arc::new(TrackLocalStaticRTP::new(MediaStreamTrack::new(
        "stream".to_owned(),
        "track".to_owned(),
        "label".to_owned(),
        RtpCodecKind::Audio,
        vec![RTCRtpEncodingParameters {
            rtp_coding_parameters: RTCRtpCodingParameters {
                ssrc: Some(SSRC),
                ..Default::default()
            },
            codec: RTCRtpCodec {
                mime_type: "audio/opus".to_owned(),
                clock_rate: 48_000,
                channels: 2,
                sdp_fmtp_line: "minptime=10;useinbandfec=1".to_owned(),
                rtcp_feedback: vec![],
            },
            ..Default::default()
        }],
    )));
    if !to_send.is_empty() {
        peer.add_track(track.clone()).await.unwrap();
    }
    peer.set_remote_description(RTCSessionDescription::offer(offer).unwrap())
        .await
        .unwrap();
    let answer = peer.create_answer(None).await.unwrap();
    peer.set_local_description(answer).await.unwrap();
    on_gathered.wait_for(|done| *done).await.unwrap();
    if !to_send.is_empty() {
        let seen = seen.clone();
        tokio::spawn(async move {
            on_connected.wait_for(|done| *done).await.unwrap();
            send(&track, to_send, &seen).await;
        });
    }
    let sdp = peer.local_description().await.unwrap().sdp;
    seen.peers.lock().push(peer);
    sdp
}

async fn send(track: &TrackLocalStaticRTP, payloads: Vec<Bytes>, seen: &Seen) {
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    for (n, payload) in payloads.into_iter().enumerate() {
        ticks.tick().await;
        if n == 0 {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            *seen.began_unix_ms.lock() = now.as_secs_f64() * 1000.0;
        }
        let packet = rtp::Packet {
            header: rtp::Header {
                version: 2,
                payload_type: 111,
                sequence_number: n as u16,
                timestamp: (n * 960) as u32,
                ssrc: SSRC,
                ..Default::default()
            },
            payload,
        };
        track.write_rtp(packet).await.unwrap();
    }
}
