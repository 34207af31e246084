//! A lean peer on `str0m`: no codec, no link, packets of a given size with the time in them.
//!
//! A hundred of these share two cores with the server they measure, which a hundred full `webrtc`
//! peers could not. It is also a second, independent implementation that has to get along with the
//! server.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use str0m::change::SdpAnswer;
use str0m::media::{Direction, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{RtpWrite, SeqNo};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig, RtcError};
use tokio::net::UdpSocket;
use tokio::time::MissedTickBehavior;

use crate::http::HttpError;
use crate::link::trace::rtp_id;
use crate::livekit::LivekitError;
use crate::peer::{Role, Signalling};

use super::distinct::Distinct;
use super::measure::Measure;
use super::turns::Turns;

/// Why a client dropped out.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Signalling failed.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The socket failed.
    #[error("a client's socket failed: {0}")]
    Io(#[from] io::Error),
    /// The WebRTC stack refused.
    #[error("a client's WebRTC stack failed: {0}")]
    Rtc(#[from] RtcError),
    /// The answer or a candidate was not understood.
    #[error("the server's answer is not understood: {0}")]
    Answer(String),
    /// A participant over LiveKit's protocol failed.
    #[error(transparent)]
    Livekit(#[from] LivekitError),
    /// The connection died.
    #[error("a client lost its connection")]
    Lost,
}

/// What a client does.
#[derive(Debug, Clone, Copy)]
pub(super) enum Task {
    /// Send packets of so many bytes, so many a second, whenever it is one's turn.
    Speak {
        bytes: usize,
        pps: u16,
        turns: Turns,
    },
    /// Receive in so many sections. Who does not decrypt only counts what comes by its header.
    Listen { sections: u16, decrypt: bool },
}

/// One peer, from offer to the end of the run.
pub(super) async fn run(
    signalling: Signalling,
    room: String,
    identity: String,
    task: Task,
    measure: Arc<Measure>,
) -> Result<(), ClientError> {
    let asked = Instant::now();
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let local = socket.local_addr()?;
    let mut rtc = RtcConfig::new()
        .set_rtp_mode(true)
        .clear_codecs()
        .enable_opus(true, false)
        .build(Instant::now());
    let candidate =
        Candidate::host(local, "udp").map_err(|e| ClientError::Answer(e.to_string()))?;
    rtc.add_local_candidate(candidate);
    let (direction, role, path) = match task {
        Task::Speak { .. } => (Direction::SendOnly, Role::Speaker, format!("/whip/{room}")),
        Task::Listen { .. } => (Direction::RecvOnly, Role::Listener, format!("/whep/{room}")),
    };
    let mut change = rtc.sdp_api();
    let mid = change.add_media(MediaKind::Audio, direction, None, None, None);
    if let Task::Listen { sections, .. } = task {
        for _ in 1..sections {
            change.add_media(MediaKind::Audio, direction, None, None, None);
        }
    }
    let (offer, pending) = change
        .apply()
        .ok_or_else(|| ClientError::Answer("there was nothing to offer".to_owned()))?;
    let token = signalling.token(&room, &identity, role).await?;
    let session = signalling
        .open(&path, &token, &offer.to_sdp_string())
        .await?;
    let answer = SdpAnswer::from_sdp_string(&session.answer)
        .map_err(|e| ClientError::Answer(e.to_string()))?;
    rtc.sdp_api().accept_answer(pending, answer)?;

    let mut peer = Peer {
        rtc,
        socket,
        local,
        mid,
        measure,
        asked,
        heard: false,
        distinct: Distinct::default(),
        connected: false,
        seq: 0,
        timestamp: 0,
    };
    peer.drive(task).await?;
    signalling.close(&session, &token).await?;
    Ok(())
}

struct Peer {
    rtc: Rtc,
    socket: UdpSocket,
    local: SocketAddr,
    mid: Mid,
    measure: Arc<Measure>,
    /// When it asked to join.
    asked: Instant,
    /// Whether any packet came yet.
    heard: bool,
    /// What came and was not decrypted.
    distinct: Distinct,
    connected: bool,
    seq: u64,
    timestamp: u32,
}

impl Peer {
    async fn drive(&mut self, task: Task) -> Result<(), ClientError> {
        let (pps, bytes, mut turns) = match task {
            Task::Speak { bytes, pps, turns } => (Some(pps), bytes, turns),
            Task::Listen { .. } => (None, 0, Turns::always()),
        };
        let decrypt = !matches!(task, Task::Listen { decrypt: false, .. });
        let period = Duration::from_secs_f64(1.0 / f64::from(pps.unwrap_or(1)));
        let mut ticks = tokio::time::interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut payload = vec![0x55; bytes];
        let mut buffer = vec![0; 2048];
        while !self.measure.stopping.load(Ordering::Relaxed) {
            let timeout = self.drain().await?;
            if !self.rtc.is_alive() {
                return Err(ClientError::Lost);
            }
            // A stop is noticed within half a second.
            let wake = timeout.min(Instant::now() + Duration::from_millis(500));
            tokio::select! {
                readable = self.socket.readable() => {
                    readable?;
                    self.read(&mut buffer, decrypt)?;
                }
                () = tokio::time::sleep_until(wake.into()) => {
                    self.rtc.handle_input(Input::Timeout(Instant::now()))?;
                }
                _ = ticks.tick(), if pps.is_some() && self.connected => {
                    self.timestamp = self.timestamp.wrapping_add(960);
                    if turns.sends(Duration::from_micros(self.measure.now_us())) {
                        self.send(&mut payload)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Let everything out of the stack; gives when it wants to be woken.
    async fn drain(&mut self) -> Result<Instant, ClientError> {
        loop {
            match self.rtc.poll_output()? {
                Output::Timeout(at) => return Ok(at),
                Output::Transmit(datagram) => {
                    // As on a real network, a datagram that cannot be sent is lost.
                    let _ = self
                        .socket
                        .send_to(&datagram.contents, datagram.destination)
                        .await;
                }
                Output::Event(Event::Connected) if !self.connected => {
                    self.connected = true;
                    self.measure.connected.fetch_add(1, Ordering::Relaxed);
                }
                Output::Event(Event::RtpPacket(packet)) => {
                    self.hear();
                    if let Some(stamp) = packet.payload.first_chunk() {
                        let now = self.measure.now_us();
                        self.measure.received(u64::from_be_bytes(*stamp), now);
                    }
                }
                Output::Event(_) => {}
            }
        }
    }

    fn hear(&mut self) {
        if !self.heard {
            self.heard = true;
            self.measure.joined(self.asked);
        }
    }

    /// Take everything that the socket has, or up to the first packet that the stack has to answer.
    fn read(&mut self, buffer: &mut [u8], decrypt: bool) -> Result<(), ClientError> {
        loop {
            let (length, source) = match self.socket.try_recv_from(buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            let Some(id) = rtp_id(&buffer[..length]).filter(|_| !decrypt) else {
                return self.take(&buffer[..length], source);
            };
            self.hear();
            if self.distinct.is_new(id) {
                self.measure.counted();
            }
        }
    }

    fn take(&mut self, datagram: &[u8], source: SocketAddr) -> Result<(), ClientError> {
        // What is not STUN, DTLS or SRTP is dropped.
        if let Ok(contents) = datagram.try_into() {
            let receive = Receive {
                proto: Protocol::Udp,
                source,
                destination: self.local,
                contents,
            };
            self.rtc
                .handle_input(Input::Receive(Instant::now(), receive))?;
        }
        Ok(())
    }

    fn send(&mut self, payload: &mut [u8]) -> Result<(), ClientError> {
        let pt = self
            .rtc
            .media(self.mid)
            .and_then(|media| media.remote_pts().first().copied());
        let (Some(pt), now) = (pt, Instant::now()) else {
            return Err(ClientError::Answer("it accepts no Opus".to_owned()));
        };
        self.seq += 1;
        let stamp = self.measure.now_us();
        payload[..8].copy_from_slice(&stamp.to_be_bytes());
        let mut api = self.rtc.direct_api();
        if let Some(stream) = api.stream_tx_by_mid(self.mid, None) {
            let timestamp = self.timestamp;
            stream.write_rtp(RtpWrite::new(
                pt,
                SeqNo::from(self.seq),
                timestamp,
                now,
                payload.to_vec(),
            ));
            self.measure.sent(stamp);
        }
        self.rtc.handle_input(Input::Timeout(now))?;
        Ok(())
    }
}
