//! A speaker: sends prepared Opus frames on the clock by WHIP.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rtc::media_stream::MediaStreamTrack;
use rtc::rtp;
use rtc::rtp::extension::HeaderExtension;
use rtc::rtp::extension::audio_level_extension::AudioLevelExtension;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind,
};
use rtc::rtp_transceiver::{RTCRtpTransceiverDirection, RTCRtpTransceiverInit};
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;

use super::connection::{AUDIO_LEVEL, Connection, opus_codec};
use super::signalling::{PeerError, Role, Session, Signalling};
use crate::audio::FRAME;
use crate::audio::opus::Frame;
use crate::link::LinkSettings;
use crate::link::runtime::LinkTraces;
use crate::link::trace::RtpId;

/// Frames louder than this are marked as voice in the level extension, -dBov.
const VOICE_LEVEL: u8 = 50;

/// A packet that was sent.
#[derive(Debug, Clone, Copy)]
pub struct SentPacket {
    /// When the track took it.
    pub at: Instant,
    /// Its place in the stream.
    pub id: RtpId,
    /// Index of its frame.
    pub frame: usize,
}

/// A connected speaker.
pub struct Publisher {
    connection: Connection,
    signalling: Signalling,
    session: Session,
    token: String,
    track: Arc<TrackLocalStaticRTP>,
    ssrc: u32,
    first_seq: u16,
    first_timestamp: u32,
    /// Whether the server takes audio levels; the stack refuses packets with more than was agreed.
    levels: bool,
}

impl Publisher {
    /// Join a room as a speaker of a language.
    ///
    /// `link.seed` also draws the stream's SSRC and where its counters begin.
    ///
    /// # Errors
    ///
    /// The server refuses, or no connection comes about.
    pub async fn join(
        signalling: &Signalling,
        room: &str,
        identity: &str,
        lang: &str,
        link: LinkSettings,
    ) -> Result<Self, PeerError> {
        let mut rng = SmallRng::seed_from_u64(link.seed);
        let ssrc = rng.random_range(1..u32::MAX);
        let track = Arc::new(TrackLocalStaticRTP::new(MediaStreamTrack::new(
            format!("{identity}-stream"),
            format!("{identity}-audio"),
            "microphone".to_owned(),
            RtpCodecKind::Audio,
            vec![RTCRtpEncodingParameters {
                rtp_coding_parameters: RTCRtpCodingParameters {
                    ssrc: Some(ssrc),
                    ..Default::default()
                },
                codec: opus_codec(),
                ..Default::default()
            }],
        )));
        let mut connection = Connection::new(link).await?;
        let init = RTCRtpTransceiverInit {
            direction: RTCRtpTransceiverDirection::Sendonly,
            ..Default::default()
        };
        connection
            .peer
            .add_transceiver_from_track(track.clone(), Some(init))
            .await?;
        let token = signalling.token(room, identity, Role::Speaker).await?;
        let path = format!("/whip/{room}?lang={lang}");
        let session = connection.join(signalling, &path, &token).await?;
        Ok(Self {
            connection,
            signalling: signalling.clone(),
            levels: session.answer.contains(AUDIO_LEVEL),
            session,
            token,
            track,
            ssrc,
            first_seq: rng.random(),
            first_timestamp: rng.random(),
        })
    }

    /// What went over this speaker's link.
    pub fn traces(&self) -> Arc<Mutex<LinkTraces>> {
        self.connection.traces.clone()
    }

    /// Send frames as a microphone would, beginning to capture at `start`.
    ///
    /// Frame `n` holds the sound of `start + n·20 ms` to `start + (n+1)·20 ms` and is sent when it
    /// is complete, at the latter. Returns when the last one is sent.
    ///
    /// # Errors
    ///
    /// The connection is gone.
    pub async fn speak(
        &self,
        frames: &[Frame],
        start: Instant,
    ) -> Result<Vec<SentPacket>, PeerError> {
        let mut sent = Vec::with_capacity(frames.len());
        for (n, frame) in frames.iter().enumerate() {
            let due = start + Duration::from_millis(20) * (n as u32 + 1);
            tokio::time::sleep_until(due.into()).await;
            let seq = self.first_seq.wrapping_add(n as u16);
            let timestamp = self.first_timestamp.wrapping_add((n * FRAME) as u32);
            let packet = rtp::Packet {
                header: rtp::Header {
                    version: 2,
                    marker: n == 0,
                    payload_type: 111,
                    sequence_number: seq,
                    timestamp,
                    ssrc: self.ssrc,
                    ..Default::default()
                },
                payload: frame.payload.clone(),
            };
            let level = HeaderExtension::AudioLevel(AudioLevelExtension {
                level: frame.level,
                voice: frame.level < VOICE_LEVEL,
            });
            let extensions = if self.levels { &[level][..] } else { &[] };
            let at = Instant::now();
            self.track
                .write_rtp_with_extensions(packet, extensions)
                .await?;
            sent.push(SentPacket {
                at,
                id: RtpId {
                    ssrc: self.ssrc,
                    seq,
                },
                frame: n,
            });
        }
        Ok(sent)
    }

    /// Leave the room.
    ///
    /// # Errors
    ///
    /// The server does not know the session any more.
    pub async fn leave(self) -> Result<(), PeerError> {
        self.signalling.close(&self.session, &self.token).await?;
        self.connection.peer.close().await?;
        Ok(())
    }
}
