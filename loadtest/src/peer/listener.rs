//! A listener: receives a room, or a language of it, by WHEP and writes down every packet.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use parking_lot::Mutex;
use rtc::rtp_transceiver::rtp_sender::RtpCodecKind;
use rtc::rtp_transceiver::{RTCRtpTransceiverDirection, RTCRtpTransceiverInit};
use tokio::task::JoinHandle;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};

use super::connection::Connection;
use super::sender_reports::SenderReport;
use super::signalling::{PeerError, Role, Session, Signalling};
use super::timestamps::{Unwrapper, nearest};
use crate::audio::RATE;
use crate::audio::playout::{Arrived, Played, play_out};
use crate::clock::Clock;
use crate::link::LinkSettings;
use crate::link::runtime::LinkTraces;
use crate::link::trace::RtpId;

/// How far a sender report and the clock of an event may disagree: 2 ms in ticks of 48 kHz.
const AGREEMENT: f64 = 96.0;

/// A packet that arrived.
#[derive(Debug, Clone)]
pub struct ReceivedPacket {
    /// When the peer's stack handed it over.
    pub at: Instant,
    /// Its place in the stream.
    pub id: RtpId,
    /// RTP timestamp, extended over wraps, 48 kHz.
    pub timestamp: i64,
    /// Opus payload.
    pub payload: Bytes,
}

/// A connected listener.
pub struct Listener {
    connection: Connection,
    signalling: Signalling,
    session: Session,
    token: String,
    packets: Arc<Mutex<Vec<ReceivedPacket>>>,
    readers: JoinHandle<()>,
}

/// All that a listener received.
pub struct Recording {
    /// Packets in the order they arrived.
    pub packets: Vec<ReceivedPacket>,
    /// What went over the listener's link.
    pub traces: Arc<Mutex<LinkTraces>>,
    reports: Vec<SenderReport>,
}

impl Listener {
    /// Join a room as a listener: to a language if one is named, else to the floor.
    ///
    /// `slots` audio streams are offered: the floor forwards up to as many speakers at once.
    ///
    /// # Errors
    ///
    /// The server refuses, or no connection comes about.
    pub async fn join(
        signalling: &Signalling,
        room: &str,
        identity: &str,
        lang: Option<&str>,
        slots: usize,
        link: LinkSettings,
    ) -> Result<Self, PeerError> {
        let mut connection = Connection::new(link).await?;
        for _ in 0..slots.max(1) {
            let init = RTCRtpTransceiverInit {
                direction: RTCRtpTransceiverDirection::Recvonly,
                ..Default::default()
            };
            connection
                .peer
                .add_transceiver_from_kind(RtpCodecKind::Audio, Some(init))
                .await?;
        }
        let packets = Arc::new(Mutex::new(Vec::new()));
        let (_, no_tracks) = tokio::sync::mpsc::channel(1);
        let mut tracks = std::mem::replace(&mut connection.tracks, no_tracks);
        let record = packets.clone();
        let readers = tokio::spawn(async move {
            let mut each = tokio::task::JoinSet::new();
            while let Some(track) = tracks.recv().await {
                each.spawn(read(track, record.clone()));
            }
        });
        let token = signalling.token(room, identity, Role::Listener).await?;
        let path = match lang {
            Some(lang) => format!("/whep/{room}?lang={lang}"),
            None => format!("/whep/{room}"),
        };
        let session = connection.join(signalling, &path, &token).await?;
        Ok(Self {
            connection,
            signalling: signalling.clone(),
            session,
            token,
            packets,
            readers,
        })
    }

    /// How many packets have arrived so far.
    pub fn received(&self) -> usize {
        self.packets.lock().len()
    }

    /// Leave the room and hand over what was received.
    ///
    /// # Errors
    ///
    /// The server does not know the session any more.
    pub async fn leave(self) -> Result<Recording, PeerError> {
        self.signalling.close(&self.session, &self.token).await?;
        self.connection.peer.close().await?;
        self.readers.abort();
        Ok(Recording {
            packets: std::mem::take(&mut *self.packets.lock()),
            traces: self.connection.traces,
            reports: std::mem::take(&mut *self.connection.reports.lock()),
        })
    }
}

async fn read(track: Arc<dyn TrackRemote>, packets: Arc<Mutex<Vec<ReceivedPacket>>>) {
    let mut unwrappers = HashMap::<u32, Unwrapper>::new();
    while let Some(event) = track.poll().await {
        match event {
            TrackRemoteEvent::OnRtpPacket(packet) => {
                let header = packet.header;
                let timestamp = unwrappers
                    .entry(header.ssrc)
                    .or_default()
                    .extend(header.timestamp);
                packets.lock().push(ReceivedPacket {
                    at: Instant::now(),
                    id: RtpId {
                        ssrc: header.ssrc,
                        seq: header.sequence_number,
                    },
                    timestamp,
                    payload: packet.payload,
                });
            }
            TrackRemoteEvent::OnEnded => break,
            _ => {}
        }
    }
}

impl Recording {
    /// A recording of nothing, as of a listener who never joined.
    pub fn empty() -> Self {
        Self {
            packets: Vec::new(),
            traces: Arc::default(),
            reports: Vec::new(),
        }
    }

    /// The SSRCs received, in order of their first packet.
    pub fn ssrcs(&self) -> Vec<u32> {
        let mut ssrcs = Vec::new();
        for packet in &self.packets {
            if !ssrcs.contains(&packet.id.ssrc) {
                ssrcs.push(packet.id.ssrc);
            }
        }
        ssrcs
    }

    /// Arrival of the first packet with sound of or after a moment of the server's wall clock.
    ///
    /// Sender reports relate the two clocks (RFC 3550 section 6.4.1); the report nearest to the
    /// moment is used. `unix_ms` is the moment, the result is in seconds on `clock`. None without
    /// a report or such a packet.
    pub fn arrival_of(&self, unix_ms: f64, clock: &Clock) -> Option<f64> {
        let moment = clock.from_unix_ms(unix_ms);
        let report = self.reports.iter().min_by(|a, b| {
            let distance = |r: &SenderReport| (clock.from_ntp(r.ntp) - moment).abs();
            distance(a).total_cmp(&distance(b))
        })?;
        let mut stream = self
            .packets
            .iter()
            .filter(|packet| packet.id.ssrc == report.ssrc)
            .peekable();
        let at_report = nearest(stream.peek()?.timestamp, report.rtp);
        let sought = at_report as f64 + (moment - clock.from_ntp(report.ntp)) * f64::from(RATE);
        // A packet whose frame holds the moment begins up to a frame before it; one that ends with
        // it, as nearly as the clocks can be told to agree, does not.
        let earliest = sought + AGREEMENT - crate::audio::FRAME as f64;
        stream
            .filter(|packet| packet.timestamp as f64 > earliest)
            .map(|packet| clock.seconds(packet.at))
            .min_by(f64::total_cmp)
    }

    /// What the listener heard, a stream an SSRC, with a player that waits `delay` seconds.
    ///
    /// # Errors
    ///
    /// libopus cannot make a decoder.
    pub fn play(&self, clock: &Clock, delay: f64) -> Result<Vec<Played>, opus::Error> {
        let mut streams = Vec::new();
        for ssrc in self.ssrcs() {
            let packets = self
                .packets
                .iter()
                .filter(|packet| packet.id.ssrc == ssrc)
                .map(|packet| Arrived {
                    at: clock.seconds(packet.at),
                    timestamp: packet.timestamp,
                    payload: &packet.payload,
                })
                .collect();
            streams.extend(play_out(packets, delay)?);
        }
        Ok(streams)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_of_the_servers_clock_is_found_among_the_packets() {
        let clock = Clock::start();
        let ntp = |seconds: f64| {
            // Unix time of the clock's origin, by its own conversion.
            let unix = -clock.from_unix_ms(0.0) + seconds + 2_208_988_800.0;
            (unix * 4_294_967_296.0) as u64
        };
        let packets = (0..100i64)
            .map(|n| ReceivedPacket {
                at: clock.instant(1.06 + n as f64 * 0.02),
                id: RtpId {
                    ssrc: 9,
                    seq: n as u16,
                },
                timestamp: i64::from(u32::MAX) - 9_600 + n * 960,
                payload: Bytes::new(),
            })
            .collect();
        let recording = Recording {
            packets,
            traces: Arc::default(),
            reports: vec![SenderReport {
                ssrc: 9,
                ntp: ntp(1.0),
                rtp: u32::MAX - 9_600,
            }],
        };
        // Sound of 1.5 s begins packet 25, which arrives 60 ms later.
        let unix_ms = (1.5 - clock.from_unix_ms(0.0)) * 1000.0;
        for off_ms in [-0.5, 0.5, 15.0] {
            let at = recording.arrival_of(unix_ms + off_ms, &clock).unwrap();
            assert!((at - 1.56).abs() < 0.001, "{off_ms}: {at}");
        }
        assert_eq!(recording.arrival_of(unix_ms + 60_000.0, &clock), None);
    }
}
