//! Descriptions as LiveKit's clients write and read them.

use crate::rtp::extension::{
    AUDIO_LEVEL_URI, MID_URI, REPAIRED_RID_URI, RID_URI, TRANSPORT_SEQUENCE_URI,
};

/// Extension ids that members use.
pub(crate) const MID_ID: u8 = 4;
pub(crate) const RID_ID: u8 = 10;
pub(crate) const REPAIRED_RID_ID: u8 = 11;
pub(crate) const TRANSPORT_ID: u8 = 3;

/// A video format: payload types of it and of its repair, name and parameters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Format {
    pub(crate) payload_type: u8,
    pub(crate) rtx: u8,
    pub(crate) name: &'static str,
    pub(crate) parameters: &'static str,
}

pub(crate) const VP8: Format = Format {
    payload_type: 96,
    rtx: 97,
    name: "VP8",
    parameters: "",
};

pub(crate) const H264: Format = Format {
    payload_type: 102,
    rtx: 103,
    name: "H264",
    parameters: "packetization-mode=1;profile-level-id=42e01f",
};

/// What a member can send and receive.
#[derive(Clone, Debug)]
pub(crate) struct Codecs {
    pub(crate) opus: u8,
    pub(crate) red: Option<u8>,
    pub(crate) video: Vec<Format>,
    /// Extension id of transport-wide numbers; 0 for none.
    pub(crate) transport: u8,
    /// Whether there are retransmissions (RFC 4588).
    pub(crate) repair: bool,
}

impl Default for Codecs {
    fn default() -> Codecs {
        Codecs {
            opus: 111,
            red: Some(63),
            video: vec![VP8, H264],
            transport: TRANSPORT_ID,
            repair: true,
        }
    }
}

/// What a section is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Audio,
    Video,
    Data,
}

/// One section of a member's description.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub(crate) mid: String,
    pub(crate) kind: Kind,
    pub(crate) direction: &'static str,
    pub(crate) rids: Vec<&'static str>,
    /// The sources and their repairs, in turn, declared by `a=ssrc`.
    pub(crate) ssrcs: Vec<u32>,
    /// Given up: port 0.
    pub(crate) stopped: bool,
}

impl Section {
    pub(crate) fn new(mid: usize, kind: Kind, direction: &'static str) -> Section {
        Section {
            mid: mid.to_string(),
            kind,
            direction,
            rids: Vec::new(),
            ssrcs: Vec::new(),
            stopped: false,
        }
    }

    fn write(&self, codecs: &Codecs) -> String {
        let port = if self.stopped { 0 } else { 9 };
        match self.kind {
            Kind::Audio => self.write_audio(codecs, port),
            Kind::Video => self.write_video(codecs, port),
            Kind::Data => format!(
                "m=application {port} UDP/DTLS/SCTP webrtc-datachannel\r\n{}\
                 a=sctp-port:5000\r\na=max-message-size:262144\r\n",
                self.write_head()
            ),
        }
    }

    fn write_head(&self) -> String {
        format!("c=IN IP4 0.0.0.0\r\na=mid:{}\r\n", self.mid)
    }

    fn write_audio(&self, codecs: &Codecs, port: u16) -> String {
        let opus = codecs.opus;
        let red = codecs.red.map_or(String::new(), |red| format!(" {red}"));
        let mut sdp = format!(
            "m=audio {port} UDP/TLS/RTP/SAVPF {opus}{red}\r\n{}a={}\r\na=rtcp-mux\r\n\
             a=extmap:1 {AUDIO_LEVEL_URI}\r\na=extmap:{MID_ID} {MID_URI}\r\n\
             a=rtpmap:{opus} opus/48000/2\r\na=rtcp-fb:{opus} nack\r\n",
            self.write_head(),
            self.direction,
        );
        if let Some(red) = codecs.red {
            sdp += &format!("a=rtpmap:{red} red/48000/2\r\na=fmtp:{red} {opus}/{opus}\r\n");
        }
        sdp + &self.write_ssrcs()
    }

    fn write_video(&self, codecs: &Codecs, port: u16) -> String {
        let numbers: Vec<String> = codecs
            .video
            .iter()
            .flat_map(|format| [format.payload_type, format.rtx])
            .map(|number| number.to_string())
            .collect();
        let mut sdp = format!(
            "m=video {port} UDP/TLS/RTP/SAVPF {}\r\n{}a={}\r\na=rtcp-mux\r\n\
             a=extmap:{MID_ID} {MID_URI}\r\na=extmap:{RID_ID} {RID_URI}\r\n\
             a=extmap:{REPAIRED_RID_ID} {REPAIRED_RID_URI}\r\n",
            numbers.join(" "),
            self.write_head(),
            self.direction,
        );
        if codecs.transport != 0 {
            sdp += &format!("a=extmap:{} {TRANSPORT_SEQUENCE_URI}\r\n", codecs.transport);
        }
        for format in &codecs.video {
            let (number, rtx, name) = (format.payload_type, format.rtx, format.name);
            sdp += &format!(
                "a=rtpmap:{number} {name}/90000\r\na=rtcp-fb:{number} transport-cc\r\n\
                 a=rtcp-fb:{number} nack\r\na=rtcp-fb:{number} nack pli\r\n"
            );
            if codecs.repair {
                sdp += &format!("a=rtpmap:{rtx} rtx/90000\r\na=fmtp:{rtx} apt={number}\r\n");
            }
            if !format.parameters.is_empty() {
                sdp += &format!("a=fmtp:{number} {}\r\n", format.parameters);
            }
        }
        if !self.rids.is_empty() {
            for rid in &self.rids {
                sdp += &format!("a=rid:{rid} send\r\n");
            }
            sdp += &format!("a=simulcast:send {}\r\n", self.rids.join(";"));
        }
        sdp + &self.write_ssrcs()
    }

    fn write_ssrcs(&self) -> String {
        let mut sdp = String::new();
        if self.ssrcs.len() > 2 {
            let layers: Vec<String> = self.ssrcs.iter().step_by(2).map(u32::to_string).collect();
            sdp += &format!("a=ssrc-group:SIM {}\r\n", layers.join(" "));
        }
        for pair in self.ssrcs.chunks_exact(2) {
            sdp += &format!("a=ssrc-group:FID {} {}\r\n", pair[0], pair[1]);
        }
        for ssrc in &self.ssrcs {
            sdp += &format!("a=ssrc:{ssrc} cname:member\r\n");
        }
        sdp
    }
}

/// Writes an offer, or an answer (`setup` active), with everything in one bundle.
pub(crate) fn write(
    sections: &[Section],
    codecs: &Codecs,
    (ufrag, fingerprint): (&str, &str),
    setup: &str,
) -> String {
    let live = sections.iter().filter(|section| !section.stopped);
    let mids: Vec<&str> = live.map(|section| section.mid.as_str()).collect();
    let mut sdp = format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {}\r\n\
         a=ice-ufrag:{ufrag}\r\na=ice-pwd:0123456789012345678901\r\na=setup:{setup}\r\n\
         a=fingerprint:sha-256 {fingerprint}\r\na=extmap-allow-mixed\r\n",
        mids.join(" ")
    );
    for section in sections {
        sdp += &section.write(codecs);
    }
    sdp
}

/// What a section of the server's description says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) media: String,
    pub(crate) refused: bool,
    pub(crate) mid: String,
    pub(crate) direction: String,
    /// Stream and track ids of `a=msid`.
    pub(crate) msid: Option<String>,
    /// Sources: media, then repair.
    pub(crate) ssrcs: Vec<u32>,
    pub(crate) rids: Vec<String>,
    /// The whole of it.
    pub(crate) text: String,
}

impl Told {
    /// Whether the server sends in it.
    pub(crate) fn sends(&self) -> bool {
        !self.refused && matches!(self.direction.as_str(), "sendonly" | "sendrecv")
    }
}

/// Reads the sections of a description of the server's.
pub(crate) fn read(sdp: &str) -> Vec<Told> {
    sdp.split("\r\nm=").skip(1).map(read_section).collect()
}

fn read_section(text: &str) -> Told {
    let mut told = Told {
        media: text.split(' ').next().unwrap().to_owned(),
        refused: text.split(' ').nth(1) == Some("0"),
        text: text.to_owned(),
        ..Told::default()
    };
    for line in text.lines() {
        match line
            .strip_prefix("a=")
            .map(|at| at.split_once(':').unwrap_or((at, "")))
        {
            Some(("mid", mid)) => told.mid = mid.to_owned(),
            Some(("msid", msid)) => told.msid = Some(msid.to_owned()),
            Some(("rid", rid)) => told.rids.push(rid.split(' ').next().unwrap().to_owned()),
            Some(("ssrc", value)) => {
                let ssrc = value.split(' ').next().unwrap().parse().unwrap();
                if !told.ssrcs.contains(&ssrc) {
                    told.ssrcs.push(ssrc);
                }
            }
            Some((direction @ ("sendrecv" | "sendonly" | "recvonly" | "inactive"), "")) => {
                told.direction = direction.to_owned();
            }
            _ => {}
        }
    }
    told
}
