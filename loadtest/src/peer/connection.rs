//! A `webrtc` peer connection for Opus audio over a link.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rtc::interceptor::{NackGeneratorBuilder, NackResponderBuilder, Slot};
use rtc::peer_connection::configuration::media_engine::{MIME_TYPE_OPUS, MediaEngine};
use rtc::peer_connection::sdp::RTCSessionDescription;
use rtc::rtp_transceiver::rtp_sender::{
    RTCPFeedback, RTCRtpCodec, RTCRtpCodecParameters, RTCRtpHeaderExtensionCapability, RtpCodecKind,
};
use tokio::sync::{mpsc, watch};
use webrtc::media_stream::track_remote::TrackRemote;
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCIceGatheringState,
    RTCPeerConnectionState, Registry, configure_rtcp_reports,
};

use super::sender_reports::{Eavesdropper, Overheard};
use super::signalling::{PeerError, Session, Signalling};
use crate::link::LinkSettings;
use crate::link::runtime::{LinkRuntime, LinkTraces};

/// Longest wait for ICE and DTLS: a lossy link can cost several of DTLS's 1 s retransmissions.
const CONNECT_SECONDS: u64 = 20;

/// URI of the client-to-mixer audio level (RFC 6464).
pub(super) const AUDIO_LEVEL: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";

/// Slot of the eavesdropper: closest to the application, after all that read RTCP.
const EAVESDROPPER: usize = 14_000;

/// Most tracks that wait to be read.
const TRACKS: usize = 64;

/// What happens to a connection, as the application hears of it.
struct Handler {
    gathered: watch::Sender<bool>,
    state: watch::Sender<RTCPeerConnectionState>,
    tracks: mpsc::Sender<Arc<dyn TrackRemote>>,
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            self.gathered.send_replace(true);
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        self.state.send_replace(state);
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        if self.tracks.try_send(track).is_err() {
            tracing::warn!("a track came that nobody listens to");
        }
    }
}

/// A peer connection before and after it is signalled.
pub(super) struct Connection {
    pub(super) peer: Arc<dyn PeerConnection>,
    pub(super) traces: Arc<Mutex<LinkTraces>>,
    pub(super) reports: Overheard,
    pub(super) tracks: mpsc::Receiver<Arc<dyn TrackRemote>>,
    gathered: watch::Receiver<bool>,
    state: watch::Receiver<RTCPeerConnectionState>,
}

/// The Opus codec as offered: in-band FEC, NACK.
pub(super) fn opus_codec() -> RTCRtpCodec {
    RTCRtpCodec {
        mime_type: MIME_TYPE_OPUS.to_owned(),
        clock_rate: 48_000,
        channels: 2,
        sdp_fmtp_line: "minptime=10;useinbandfec=1".to_owned(),
        rtcp_feedback: vec![RTCPFeedback {
            typ: "nack".to_owned(),
            parameter: String::new(),
        }],
    }
}

impl Connection {
    /// A connection whose socket is behind a link.
    pub(super) async fn new(link: LinkSettings) -> Result<Self, PeerError> {
        let mut media = MediaEngine::default();
        media.register_codec(
            RTCRtpCodecParameters {
                rtp_codec: opus_codec(),
                payload_type: 111,
            },
            RtpCodecKind::Audio,
        )?;
        media.register_header_extension(
            RTCRtpHeaderExtensionCapability {
                uri: AUDIO_LEVEL.to_owned(),
            },
            RtpCodecKind::Audio,
            None,
        )?;
        let reports = Overheard::default();
        let registry = configure_rtcp_reports(Registry::new())
            .with(Slot::NackResponder, NackResponderBuilder::new().build())
            .with(Slot::NackGenerator, NackGeneratorBuilder::new().build())
            .with(Slot::from(EAVESDROPPER), Eavesdropper::new(reports.clone()));
        let runtime = LinkRuntime::new(link);
        let traces = runtime.traces();
        let (gathered_tx, gathered) = watch::channel(false);
        let (state_tx, state) = watch::channel(RTCPeerConnectionState::New);
        let (tracks_tx, tracks) = mpsc::channel(TRACKS);
        let peer = PeerConnectionBuilder::new()
            .with_media_engine(media)
            .with_interceptor_registry(registry)
            .with_runtime(Arc::new(runtime))
            .with_handler(Arc::new(Handler {
                gathered: gathered_tx,
                state: state_tx,
                tracks: tracks_tx,
            }))
            .with_udp_addrs(vec!["127.0.0.1:0"])
            .build()
            .await?;
        Ok(Self {
            peer: Arc::new(peer),
            traces,
            reports,
            tracks,
            gathered,
            state,
        })
    }

    /// Offer, signal, and wait until media can flow.
    pub(super) async fn join(
        &mut self,
        signalling: &Signalling,
        path: &str,
        token: &str,
    ) -> Result<Session, PeerError> {
        let offer = self.peer.create_offer(None).await?;
        self.peer.set_local_description(offer).await?;
        let connect = |peer: &str| PeerError::Connect {
            peer: peer.to_owned(),
            seconds: CONNECT_SECONDS,
        };
        let deadline = tokio::time::Instant::now() + Duration::from_secs(CONNECT_SECONDS);
        tokio::time::timeout_at(deadline, self.gathered.wait_for(|done| *done))
            .await
            .ok()
            .and_then(Result::ok)
            .ok_or_else(|| connect(path))?;
        let offer = self
            .peer
            .local_description()
            .await
            .ok_or_else(|| connect(path))?;
        let session = signalling.open(path, token, &offer.sdp).await?;
        let answer = RTCSessionDescription::answer(session.answer.clone())?;
        self.peer.set_remote_description(answer).await?;
        tokio::time::timeout_at(
            deadline,
            self.state
                .wait_for(|state| *state == RTCPeerConnectionState::Connected),
        )
        .await
        .ok()
        .and_then(Result::ok)
        .ok_or_else(|| connect(path))?;
        Ok(session)
    }
}
