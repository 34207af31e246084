//! A participant with one peer connection, on which it always offers.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::media::{Direction, KeyframeRequestKind, MediaKind, Mid, Pt, Rid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{RtpPacket, RtpWrite, Ssrc};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};

use super::proto::{
    ClientInfo, ConnectionSettings, JoinRequest, SessionDescription, TrackInfo,
    UpdateTrackSettings, VideoQuality, signal_request, signal_response,
};
use super::publish::{AddTrack, Sending};
use super::signal::{LivekitError, SignalClient};
use crate::link::{LinkSettings, LinkSocket};
use crate::peer::{Role, Signalling};

/// How a participant joins.
#[derive(Debug, Clone)]
pub struct JoinOptions {
    /// The room.
    pub room: String,
    /// Who.
    pub identity: String,
    /// Speaker or listener.
    pub role: Role,
    /// Whether it receives what others publish.
    pub subscribe: bool,
    /// The network between it and the server.
    pub link: LinkSettings,
}

/// What a participant notices.
#[allow(
    clippy::large_enum_variant,
    reason = "there is one at a time, and it is taken apart at once"
)]
#[derive(Debug)]
pub enum Happening {
    /// Media can flow.
    Connected,
    /// A packet came; retransmissions come as what they repeat, and only what is new comes.
    Packet {
        /// The section that it is of.
        mid: Mid,
        /// The packet; its time stamp is when it left the link.
        packet: RtpPacket,
    },
    /// The server asks for a keyframe.
    KeyframeWanted {
        /// Section.
        mid: Mid,
        /// Simulcast layer.
        rid: Option<Rid>,
    },
    /// The server told something that the participant did not see to itself.
    Told(Box<signal_response::Message>),
    /// The time has come.
    Due,
}

/// A participant.
pub struct Participant {
    pub(super) rtc: Rtc,
    pub(super) signal: SignalClient,
    socket: LinkSocket,
    pending: Option<SdpPendingOffer>,
    offers: u32,
    /// Sections to be offered: audio, video.
    lacking: (u32, u32),
    pub(super) tracks: Vec<TrackInfo>,
    played: HashMap<Mid, String>,
    sections: HashMap<Ssrc, Mid>,
    /// What the stack was told last of the time, which never goes back.
    moment: Instant,
}

impl Participant {
    /// Join a room. Without anything to receive or to publish there is no media yet.
    ///
    /// # Errors
    ///
    /// The server refuses, or a socket cannot be had.
    pub async fn join(
        signalling: &Signalling,
        options: &JoinOptions,
    ) -> Result<Self, LivekitError> {
        // Without provider str0m panics at the first handshake; the first one who installs it wins.
        str0m::crypto::from_feature_flags().install_process_default();
        let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let socket = LinkSocket::new(socket, options.link, Default::default())?;
        let moment = Instant::now();
        let mut rtc = RtcConfig::new()
            .set_rtp_mode(true)
            .clear_codecs()
            .enable_opus(true, false)
            .enable_vp8(true)
            .build(moment);
        let candidate = Candidate::host(socket.address(), "udp")
            .map_err(|e| LivekitError::Answer(e.to_string()))?;
        rtc.add_local_candidate(candidate);
        let request = JoinRequest {
            client_info: Some(ClientInfo {
                protocol: 16,
                ..ClientInfo::default()
            }),
            connection_settings: Some(ConnectionSettings {
                auto_subscribe: options.subscribe,
                ..ConnectionSettings::default()
            }),
            ..JoinRequest::default()
        };
        let who = (
            options.room.as_str(),
            options.identity.as_str(),
            options.role,
        );
        let (signal, join) = SignalClient::join(signalling, who, &request).await?;
        let others = join.other_participants.into_iter();
        Ok(Self {
            rtc,
            signal,
            socket,
            pending: None,
            offers: 0,
            lacking: (0, 0),
            tracks: others.flat_map(|other| other.tracks).collect(),
            played: HashMap::new(),
            sections: HashMap::new(),
            moment,
        })
    }

    /// Announce tracks and offer them; gives their sections. Not while an offer is unanswered.
    ///
    /// # Errors
    ///
    /// Signalling fails.
    pub fn publish<const N: usize>(
        &mut self,
        tracks: &[AddTrack; N],
    ) -> Result<[Mid; N], LivekitError> {
        for track in tracks {
            self.tell(signal_request::Message::AddTrack(track.request()))?;
        }
        let mut change = self.rtc.sdp_api();
        let mids = std::array::from_fn(|at| tracks[at].add_to(&mut change));
        if let Some((offer, pending)) = change.apply() {
            self.pending = Some(pending);
            self.tell_offer(offer.to_sdp_string())?;
        }
        Ok(mids)
    }

    /// The highest quality that the participant wants of a track.
    ///
    /// # Errors
    ///
    /// Signalling fails.
    pub fn want(&self, track: &str, quality: VideoQuality) -> Result<(), LivekitError> {
        self.tell(signal_request::Message::TrackSetting(UpdateTrackSettings {
            track_sids: vec![track.to_owned()],
            quality: quality.into(),
            ..UpdateTrackSettings::default()
        }))
    }

    /// The tracks of the others that the participant knows of.
    pub fn tracks(&self) -> &[TrackInfo] {
        &self.tracks
    }

    /// The track that a section plays.
    pub fn played(&self, mid: Mid) -> Option<&str> {
        self.played.get(&mid).map(String::as_str)
    }

    /// The schedule of the link's rates begins now.
    pub fn start_schedule(&self, origin: Instant) {
        self.socket.start_schedule(origin);
    }

    /// Ask for a keyframe (PLI).
    pub fn request_keyframe(&mut self, ssrc: Ssrc) {
        if let Some(stream) = self.rtc.direct_api().stream_rx(&ssrc) {
            stream.request_keyframe(KeyframeRequestKind::Pli);
        }
    }

    /// Whether what is missing of a stream may be asked for again now (NACK). The stack asks every 33 ms,
    /// five times at most; a browser asks once a round trip.
    pub fn allow_nacks(&mut self, ssrc: Ssrc, allow: bool) {
        if let Some(stream) = self.rtc.direct_api().stream_rx(&ssrc) {
            stream.suppress_nack(!allow);
        }
    }

    /// The payload type of a section that sends, once it is answered.
    pub fn payload_type(&self, mid: Mid) -> Option<Pt> {
        self.rtc.media(mid)?.remote_pts().first().copied()
    }

    /// Send a packet; gives whether the section may send yet.
    ///
    /// # Errors
    ///
    /// The WebRTC stack refuses.
    pub fn send(&mut self, sending: Sending) -> Result<bool, LivekitError> {
        let Some(payload_type) = self.payload_type(sending.mid) else {
            return Ok(false);
        };
        let mut api = self.rtc.direct_api();
        let Some(stream) = api.stream_tx_by_mid(sending.mid, sending.rid) else {
            return Ok(false);
        };
        let packet = RtpWrite::new(
            payload_type,
            sending.seq.into(),
            sending.timestamp,
            Instant::now(),
            sending.payload,
        );
        stream.write_rtp(packet.marker(sending.marker).nackable(sending.nackable));
        self.pass_time(Instant::now())?;
        Ok(true)
    }

    /// Wait for the next thing to happen, until a moment at most.
    ///
    /// # Errors
    ///
    /// The connection is lost, or the server sends the participant away.
    pub async fn next(&mut self, until: Instant) -> Result<Happening, LivekitError> {
        loop {
            let wake = match self.drain()? {
                Drained::Happened(happening) => return Ok(happening),
                Drained::Idle(wake) => wake.min(until),
            };
            if !self.rtc.is_alive() {
                return Err(LivekitError::Lost);
            }
            if Instant::now() >= until {
                self.pass_time(Instant::now())?;
                return Ok(Happening::Due);
            }
            tokio::select! {
                biased;
                (datagram, source, at) = self.socket.receive() => self.take(&datagram, source, at)?,
                told = self.signal.told() => {
                    if let Some(message) = self.heed(told?)? {
                        return Ok(Happening::Told(Box::new(message)));
                    }
                }
                () = tokio::time::sleep_until(wake.into()) => self.pass_time(Instant::now())?,
            }
        }
    }

    /// Wait until the participant's media can flow, for `patience` at most.
    ///
    /// # Errors
    ///
    /// It takes longer, or fails at once.
    pub async fn connected(&mut self, patience: Duration) -> Result<(), LivekitError> {
        let until = Instant::now() + patience;
        loop {
            match self.next(until).await? {
                Happening::Connected => return Ok(()),
                Happening::Due => return Err(LivekitError::Lost),
                _ => {}
            }
        }
    }

    pub(super) fn tell(&self, message: signal_request::Message) -> Result<(), LivekitError> {
        self.signal.tell(message)
    }

    /// Let everything out of the stack, up to the next thing that happened.
    fn drain(&mut self) -> Result<Drained, LivekitError> {
        loop {
            let happening = match self.rtc.poll_output()? {
                Output::Timeout(at) => return Ok(Drained::Idle(at)),
                Output::Transmit(datagram) => {
                    self.socket.send(&datagram.contents, datagram.destination);
                    continue;
                }
                Output::Event(Event::Connected) => Happening::Connected,
                Output::Event(Event::KeyframeRequest(request)) => Happening::KeyframeWanted {
                    mid: request.mid,
                    rid: request.rid,
                },
                Output::Event(Event::RtpPacket(packet)) => {
                    let Some(mid) = self.section(packet.header.ssrc) else {
                        continue;
                    };
                    Happening::Packet { mid, packet }
                }
                Output::Event(_) => continue,
            };
            return Ok(Drained::Happened(happening));
        }
    }

    fn section(&mut self, ssrc: Ssrc) -> Option<Mid> {
        if let Some(mid) = self.sections.get(&ssrc) {
            return Some(*mid);
        }
        let mid = self.rtc.direct_api().stream_rx(&ssrc)?.mid();
        self.sections.insert(ssrc, mid);
        Some(mid)
    }

    fn take(
        &mut self,
        datagram: &[u8],
        source: SocketAddr,
        at: Instant,
    ) -> Result<(), LivekitError> {
        // What is not STUN, DTLS or SRTP is dropped.
        if let Ok(contents) = datagram.try_into() {
            let receive = Receive {
                proto: Protocol::Udp,
                source,
                destination: self.socket.address(),
                contents,
            };
            self.moment = self.moment.max(at);
            self.rtc
                .handle_input(Input::Receive(self.moment, receive))?;
        }
        Ok(())
    }

    fn pass_time(&mut self, now: Instant) -> Result<(), LivekitError> {
        self.moment = self.moment.max(now);
        Ok(self.rtc.handle_input(Input::Timeout(self.moment))?)
    }

    /// See to what the server tells; gives what is left for the caller.
    fn heed(
        &mut self,
        message: signal_response::Message,
    ) -> Result<Option<signal_response::Message>, LivekitError> {
        use signal_response::Message;
        match message {
            Message::Answer(answer) => {
                self.accept(answer)?;
                self.offer_lacking()?;
                Ok(None)
            }
            Message::MediaSectionsRequirement(required) => {
                self.lacking = (required.num_audios, required.num_videos);
                self.offer_lacking()?;
                Ok(None)
            }
            Message::Update(update) => {
                let tracks = || update.participants.iter().flat_map(|it| &it.tracks);
                self.tracks
                    .retain(|known| !tracks().any(|track| track.sid == known.sid));
                self.tracks.extend(tracks().cloned());
                Ok(Some(Message::Update(update)))
            }
            message => Ok(Some(message)),
        }
    }

    fn accept(&mut self, answer: SessionDescription) -> Result<(), LivekitError> {
        let Some(pending) = self.pending.take() else {
            return Ok(());
        };
        for (mid, track) in answer.mid_to_track_id {
            self.played.insert(mid.as_str().into(), track);
        }
        tracing::debug!(sdp = %answer.sdp, "answer");
        let answer = SdpAnswer::from_sdp_string(&answer.sdp)
            .map_err(|e| LivekitError::Answer(e.to_string()))?;
        Ok(self.rtc.sdp_api().accept_answer(pending, answer)?)
    }

    /// Offer the sections that the server asked for, one offer at a time.
    fn offer_lacking(&mut self) -> Result<(), LivekitError> {
        if self.pending.is_some() || self.lacking == (0, 0) {
            return Ok(());
        }
        let (audios, videos) = std::mem::take(&mut self.lacking);
        let mut change = self.rtc.sdp_api();
        for (kind, count) in [(MediaKind::Audio, audios), (MediaKind::Video, videos)] {
            for _ in 0..count {
                change.add_media(kind, Direction::RecvOnly, None, None, None);
            }
        }
        if let Some((offer, pending)) = change.apply() {
            self.pending = Some(pending);
            self.tell_offer(offer.to_sdp_string())?;
        }
        Ok(())
    }

    fn tell_offer(&mut self, sdp: String) -> Result<(), LivekitError> {
        self.offers += 1;
        tracing::debug!(%sdp, "offer");
        self.tell(signal_request::Message::Offer(SessionDescription {
            r#type: "offer".to_owned(),
            sdp,
            id: self.offers,
            ..SessionDescription::default()
        }))
    }
}

#[allow(
    clippy::large_enum_variant,
    reason = "there is one at a time, and it is taken apart at once"
)]
enum Drained {
    Happened(Happening),
    Idle(Instant),
}
