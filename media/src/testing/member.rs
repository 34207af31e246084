//! A LiveKit client over a [`Client`]'s transport: what it publishes, what it receives, and the
//! feedback that it gives.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use super::camera::Camera;
use super::client::{Client, Heard};
use super::description::{self, Codecs, Kind, Section, Told};
use super::microphone::Microphone;
use super::screen::Screen;
use crate::clock::Now;
use crate::rtcp::read::RtcpItem;
use crate::rtcp::transport_arrivals::TransportArrivals;
use crate::rtcp::write::Compound;
use crate::rtp::extension::find;
use crate::sctp::{
    ChannelId, ChannelParameters, DataConfig, DataEvent, DataRole, DataTransport, MAX_MESSAGE,
    Reliability,
};
use crate::sdp::answer::Preference;

/// The round trip by which members repeat their NACKs.
const ROUND_TRIP: Duration = Duration::from_millis(50);
/// Under which members send feedback.
const FEEDBACK_SSRC: u32 = 1;

/// See the [module](self).
pub(crate) struct Member {
    pub(crate) sections: Vec<Section>,
    pub(crate) codecs: Codecs,
    /// How it is told to encode.
    pub(crate) preference: Preference,
    /// The server's last description.
    pub(crate) told: Vec<Told>,
    pub(crate) cameras: Vec<Camera>,
    pub(crate) microphones: Vec<Microphone>,
    /// By media SSRC.
    pub(crate) screens: BTreeMap<u32, Screen>,
    /// Audio that came, with its SSRC in the header.
    pub(crate) heard: Vec<Heard>,
    /// Payload types of what came.
    pub(crate) payload_types: BTreeSet<u8>,
    /// Packets under sources that nothing told of.
    pub(crate) strays: usize,
    /// Keyframes that the server asked for, and of which source.
    pub(crate) keyframes_asked: Vec<(Instant, u32)>,
    pub(crate) data: Option<DataTransport>,
    pub(crate) channels: HashMap<ChannelId, String>,
    pub(crate) messages: Vec<(String, Vec<u8>)>,
    pub(crate) feedback: Vec<Instant>,
    /// Source, NTP time and timestamp of the sender reports that came.
    pub(crate) sender_reports: Vec<(u32, u64, u32)>,
    arrivals: Option<TransportArrivals>,
    next_report: Option<Instant>,
    transport: u16,
}

impl Member {
    pub(crate) fn new() -> Member {
        Member {
            sections: Vec::new(),
            codecs: Codecs::default(),
            preference: Preference::default(),
            told: Vec::new(),
            cameras: Vec::new(),
            microphones: Vec::new(),
            screens: BTreeMap::new(),
            heard: Vec::new(),
            payload_types: BTreeSet::new(),
            strays: 0,
            keyframes_asked: Vec::new(),
            data: None,
            channels: HashMap::new(),
            messages: Vec::new(),
            feedback: Vec::new(),
            sender_reports: Vec::new(),
            arrivals: None,
            next_report: None,
            transport: 0,
        }
    }

    /// Adds a section; gives its mid.
    pub(crate) fn section(&mut self, kind: Kind, direction: &'static str) -> String {
        let section = Section::new(self.sections.len(), kind, direction);
        self.sections.push(section);
        self.sections.last().unwrap().mid.clone()
    }

    /// One that receives in so many sections of audio and of video.
    pub(crate) fn viewer(audios: usize, videos: usize) -> Member {
        let mut member = Member::new();
        (0..audios).for_each(|_| drop(member.section(Kind::Audio, "recvonly")));
        (0..videos).for_each(|_| drop(member.section(Kind::Video, "recvonly")));
        member
    }

    /// Publishes video in another section; sources are numbered from `first`.
    pub(crate) fn film(&mut self, first: u32, rates: &[u64], epoch: Instant) -> &mut Member {
        let mid = self.section(Kind::Video, "sendonly");
        let camera = Camera::new(&mid, first, rates, epoch);
        let section = self.sections.last_mut().unwrap();
        section.rids = camera.layers.iter().filter_map(|it| it.rid).collect();
        if section.rids.is_empty() {
            section.ssrcs = vec![first, first + 1];
        }
        self.cameras.push(camera);
        self
    }

    /// Publishes audio in another section.
    pub(crate) fn speak(&mut self, ssrc: u32, level: u8) -> &mut Member {
        let mid = self.section(Kind::Audio, "sendonly");
        let microphone = Microphone::new(&mid, ssrc, level);
        self.sections.last_mut().unwrap().ssrcs = vec![ssrc];
        self.microphones.push(microphone);
        self
    }

    /// What the server said of a section.
    pub(crate) fn told(&self, mid: &str) -> &Told {
        self.told.iter().find(|told| told.mid == mid).unwrap()
    }

    /// The screen that shows the section `mid`.
    pub(crate) fn screen(&self, mid: &str) -> &Screen {
        &self.screens[&self.told(mid).ssrcs[0]]
    }

    /// What was heard in the section `mid`.
    pub(crate) fn heard_in(&self, mid: &str) -> Vec<&Heard> {
        let ssrc = self.told(mid).ssrcs[0];
        let of_it = |heard: &&Heard| heard.header.ssrc == ssrc;
        self.heard.iter().filter(of_it).collect()
    }

    /// Broken rules of all screens.
    pub(crate) fn faults(&self) -> Vec<&String> {
        self.screens.values().flat_map(|it| &it.faults).collect()
    }

    pub(crate) fn take_description(&mut self, sdp: &str) {
        self.told = description::read(sdp);
    }

    /// Does what is due.
    pub(crate) fn poll(&mut self, now: &Now, client: &mut Client) {
        if !client.is_connected() {
            return;
        }
        for heard in std::mem::take(&mut client.heard) {
            self.take(now.mono, heard);
        }
        for (_, item) in std::mem::take(&mut client.rtcp) {
            self.take_item(now.mono, &item, client);
        }
        self.poll_data(now.mono, client);
        self.send_feedback(now, client);
        let Member {
            cameras,
            microphones,
            transport,
            codecs,
            ..
        } = self;
        for camera in cameras {
            for packet in camera.poll(now.mono, transport) {
                client.send_rtp(&packet);
            }
        }
        for microphone in microphones {
            if let Some(packet) = microphone.poll(now.mono, codecs) {
                client.send_rtp(&packet);
            }
        }
    }

    fn take(&mut self, now: Instant, heard: Heard) {
        let header = &heard.header;
        self.payload_types.insert(header.payload_type);
        if let Some(block) = &header.extension
            && self.codecs.transport != 0
            && let Some(&[high, low]) = find(&heard.bytes, block, self.codecs.transport)
        {
            self.arrivals
                .get_or_insert_with(|| TransportArrivals::new(now))
                .received(now, u16::from_be_bytes([high, low]));
        }
        let told = self.told.iter();
        let Some(told) = told
            .filter(|it| it.sends())
            .find(|it| it.ssrcs.contains(&header.ssrc))
        else {
            self.strays += 1;
            return;
        };
        if told.media == "audio" {
            self.heard.push(heard);
            return;
        }
        let media = told.ssrcs[0];
        let screen = self.screens.entry(media);
        let screen = screen.or_insert_with(|| Screen::new(media, now));
        let payload = heard.payload();
        if header.ssrc == media {
            screen.take(now, header, header.seq, payload, false);
        } else if let Some((original, payload)) = payload.split_first_chunk() {
            let seq = u16::from_be_bytes(*original);
            screen.take(now, header, seq, payload, true);
        }
    }

    fn take_item(&mut self, now: Instant, item: &RtcpItem, client: &mut Client) {
        match *item {
            RtcpItem::Nack {
                media_ssrc,
                first,
                following,
            } => {
                let seqs: Vec<u16> = (0..=16u16)
                    .filter(|&bit| bit == 0 || following & (1 << (bit - 1)) != 0)
                    .map(|bit| first.wrapping_add(bit))
                    .collect();
                for camera in &mut self.cameras {
                    for packet in camera.resend(media_ssrc, &seqs, &mut self.transport) {
                        client.send_rtp(&packet);
                    }
                }
            }
            RtcpItem::PictureLoss { media_ssrc } => {
                self.keyframes_asked.push((now, media_ssrc));
                for camera in &mut self.cameras {
                    camera.picture_lost(media_ssrc);
                }
            }
            RtcpItem::SenderReport {
                ssrc,
                ntp,
                timestamp,
            } => {
                self.sender_reports.push((ssrc, ntp, timestamp));
                if let Some(screen) = self.screens.get_mut(&ssrc) {
                    screen.stats.sender_report(now, (ntp >> 16) as u32);
                }
            }
            RtcpItem::TransportFeedback(_) => self.feedback.push(now),
            _ => {}
        }
    }

    fn send_feedback(&mut self, now: &Now, client: &mut Client) {
        let mut buffer = [0; 1200];
        for screen in self.screens.values_mut() {
            let mut missing = Vec::new();
            screen
                .nack
                .poll(now.mono, Some(ROUND_TRIP), |seq| missing.push(seq));
            let lacks = screen.lacks_picture(now.mono);
            let mut compound = Compound::new(&mut buffer);
            if !missing.is_empty() {
                compound.nack(FEEDBACK_SSRC, screen.ssrc, &missing);
            }
            if lacks {
                compound.picture_loss(FEEDBACK_SSRC, screen.ssrc);
            }
            let len = compound.len();
            if len > 0 {
                client.send_rtcp(&buffer[..len]);
            }
        }
        if let Some(arrivals) = &mut self.arrivals
            && arrivals.next_at().is_some_and(|at| at <= now.mono)
        {
            let mut more = true;
            while more {
                let mut compound = Compound::new(&mut buffer);
                more = arrivals.write(&mut compound, FEEDBACK_SSRC, 0);
                let len = compound.len();
                client.send_rtcp(&buffer[..len]);
            }
        }
        if self.next_report.is_none_or(|at| at <= now.mono) {
            self.next_report = Some(now.mono + Duration::from_secs(1));
            let screens = self.screens.values_mut();
            let blocks: Vec<_> = screens
                .map(|screen| screen.stats.report(now, screen.ssrc))
                .collect();
            let mut compound = Compound::new(&mut buffer);
            compound.receiver_report(FEEDBACK_SSRC, &blocks);
            let len = compound.len();
            client.send_rtcp(&buffer[..len]);
        }
    }

    /// Sends something over the section's screen's feedback: a request for a keyframe.
    pub(crate) fn ask_for_keyframe(&self, mid: &str, client: &mut Client) {
        let mut buffer = [0; 64];
        let mut compound = Compound::new(&mut buffer);
        compound.picture_loss(FEEDBACK_SSRC, self.told(mid).ssrcs[0]);
        let len = compound.len();
        client.send_rtcp(&buffer[..len]);
    }

    fn poll_data(&mut self, now: Instant, client: &mut Client) {
        let Some(data) = &mut self.data else { return };
        for record in std::mem::take(&mut client.records) {
            data.handle(now, &record);
        }
        if data.next_at().is_some_and(|at| at <= now) {
            data.handle_timeout(now);
        }
        while let Some(packet) = data.poll_transmit(now) {
            client.send_record(now, &packet);
        }
        while let Some(event) = data.poll_event() {
            match event {
                DataEvent::Opened { id, parameters } => {
                    self.channels.insert(id, parameters.label);
                }
                DataEvent::Message { id, payload, .. } => {
                    let label = self.channels[&id].clone();
                    self.messages.push((label, payload.to_vec()));
                }
                DataEvent::Closed { id } => drop(self.channels.remove(&id)),
                DataEvent::Ended { .. } => self.channels.clear(),
            }
        }
    }

    /// Has an association once DTLS is up.
    pub(crate) fn connect_data(&mut self, now: Instant) {
        let config = DataConfig {
            role: DataRole::Initiate,
            max_message: MAX_MESSAGE,
            remote_max_message: MAX_MESSAGE,
        };
        self.data = Some(DataTransport::new(now, config));
    }

    /// Opens a channel.
    pub(crate) fn open_channel(&mut self, now: Instant, label: &str, reliable: bool) {
        let reliability = match reliable {
            true => Reliability::Reliable,
            false => Reliability::Retransmits(0),
        };
        let parameters = ChannelParameters {
            label: label.to_owned(),
            ordered: reliable,
            reliability,
        };
        let data = self.data.as_mut().unwrap();
        data.open(now, parameters).unwrap();
    }

    /// Sends a message over the channel `label`.
    pub(crate) fn send(&mut self, now: Instant, label: &str, payload: &[u8]) {
        let mut channels = self.channels.iter();
        let (id, _) = channels.find(|(_, of)| *of == label).unwrap();
        let payload = bytes::Bytes::copy_from_slice(payload);
        let data = self.data.as_mut().unwrap();
        data.send(now, *id, true, &payload).unwrap();
    }
}
