//! One outbound stream of a subscriber: the rewrite that hides which track is behind it.

use std::time::{Duration, Instant};

use super::OPUS_CLOCK;
use super::extension::{ExtensionIds, ExtensionMap};
use super::header::Header;
use crate::srtp::{MAX_TAG, Protect};

/// The shortest step of the timestamp over a switch of tracks: one packet of 20 ms.
const MIN_STEP: u64 = OPUS_CLOCK as u64 / 50;
/// Retransmissions a stream may make before it has sent anything.
const FIRST_BUDGET: f32 = 20.0;
/// Retransmissions earned by each packet sent.
const BUDGET_PER_PACKET: f32 = 0.25;
/// The most that can be saved up.
const MAX_BUDGET: f32 = 50.0;

/// A decrypted packet of a track, as all its subscribers see it.
#[derive(Clone, Copy, Debug)]
pub struct TrackPacket<'a> {
    /// The whole packet, decrypted.
    pub bytes: &'a [u8],
    /// Its header.
    pub header: &'a Header,
    /// Its payload, without padding.
    pub payload: &'a [u8],
    /// The Opus packet in it, if the payload is redundant audio (RFC 2198).
    pub primary: Option<&'a [u8]>,
    /// Extended sequence number in the track.
    pub seq: u64,
}

impl<'a> TrackPacket<'a> {
    /// The Opus packet, without older ones.
    pub fn opus(&self) -> &'a [u8] {
        self.primary.unwrap_or(self.payload)
    }
}

/// An outbound stream: its identity never changes, the track behind it may.
#[derive(Debug)]
pub struct Forwarder {
    ssrc: u32,
    payload_type: u8,
    /// The subscriber's payload type of redundant audio.
    red: Option<u8>,
    extensions: ExtensionIds,
    map: ExtensionMap,
    line: Option<Line>,
    next_seq: u64,
    last_timestamp: u32,
    last_sent: Option<Instant>,
    packets: u32,
    octets: u32,
    budget: f32,
}

/// The offsets from a track's numbers to the stream's.
#[derive(Clone, Copy, Debug)]
struct Line {
    first_seq: u64,
    seq: u64,
    timestamp: u32,
}

impl Forwarder {
    /// A stream that will send `payload_type` under `ssrc` with the subscriber's extension ids.
    ///
    /// `first_seq` and `first_timestamp` should be random; only the low 15 bits of the former are
    /// used, so that the first packets cannot be taken for a rollover (RFC 3711 §3.3.1).
    pub fn new(
        ssrc: u32,
        payload_type: u8,
        extensions: ExtensionIds,
        first_seq: u16,
        first_timestamp: u32,
    ) -> Forwarder {
        Forwarder {
            ssrc,
            payload_type,
            red: None,
            extensions,
            map: ExtensionMap::default(),
            line: None,
            next_seq: u64::from(first_seq & 0x7FFF),
            last_timestamp: first_timestamp,
            last_sent: None,
            packets: 0,
            octets: 0,
            budget: FIRST_BUDGET,
        }
    }

    /// Tells that the subscriber takes redundant audio (RFC 2198) as `payload_type`. One that does not
    /// is sent the primary block alone.
    pub fn set_red(&mut self, payload_type: Option<u8>) {
        self.red = payload_type;
    }

    /// The stream's synchronisation source.
    pub fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Writes the subscriber's extensions under these ids from the next track on.
    pub fn set_extensions(&mut self, extensions: ExtensionIds) {
        self.extensions = extensions;
    }

    /// Puts another track behind the stream, whose extensions have the ids `publisher`. Sequence
    /// numbers and timestamps go on without a gap from the first packet of it.
    pub fn attach(&mut self, publisher: &ExtensionIds) {
        self.map = publisher.map_to(&self.extensions);
        self.line = None;
    }

    /// The track's numbers start anew: as [`Forwarder::attach`], with the same track.
    pub fn restart(&mut self) {
        self.line = None;
    }

    /// Writes `packet` as this stream's next packet, protected, into `out`.
    ///
    /// Returns its length; `None` if it is older than the switch to its track or `out` is too small.
    pub fn forward(
        &mut self,
        now: Instant,
        packet: &TrackPacket<'_>,
        protect: &Protect,
        out: &mut [u8],
    ) -> Option<usize> {
        let line = match self.line {
            Some(line) => line,
            None => {
                let line = self.start_line(now, packet);
                self.line = Some(line);
                line
            }
        };
        let (len, seq, timestamp) = self.write(&line, packet, protect, out)?;
        if seq >= self.next_seq {
            self.next_seq = seq + 1;
            self.last_timestamp = timestamp;
            self.last_sent = Some(now);
        }
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(self.choose(packet).1.len() as u32);
        self.budget = (self.budget + BUDGET_PER_PACKET).min(MAX_BUDGET);
        Some(len)
    }

    /// The number in the track of the packet that was sent as `seq`, if it was sent since the last
    /// switch and the stream may still retransmit. Each call uses up one retransmission.
    pub fn requested(&mut self, seq: u16) -> Option<u64> {
        let line = self.line?;
        let newest = self.next_seq.checked_sub(1)?;
        let behind = (newest as u16).wrapping_sub(seq);
        let sent = newest.checked_sub(u64::from(behind))?;
        let track_seq = sent.wrapping_sub(line.seq);
        if behind >= 0x8000 || track_seq < line.first_seq || self.budget < 1.0 {
            return None;
        }
        self.budget -= 1.0;
        Some(track_seq)
    }

    /// Writes `packet` again exactly as [`Forwarder::forward`] wrote it.
    pub fn resend(
        &mut self,
        packet: &TrackPacket<'_>,
        protect: &Protect,
        out: &mut [u8],
    ) -> Option<usize> {
        let line = self.line?;
        let (len, ..) = self.write(&line, packet, protect, out)?;
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(self.choose(packet).1.len() as u32);
        Some(len)
    }

    /// The stream's timestamp for a track's extended timestamp; `None` before the first packet.
    pub fn timestamp_of(&self, track_timestamp: u64) -> Option<u32> {
        Some((track_timestamp as u32).wrapping_add(self.line?.timestamp))
    }

    /// Packets and payload octets sent, as a sender report counts them.
    pub fn sent(&self) -> (u32, u32) {
        (self.packets, self.octets)
    }

    /// What of a packet the subscriber gets, and as which payload type.
    fn choose<'a>(&self, packet: &TrackPacket<'a>) -> (u8, &'a [u8]) {
        match (packet.primary, self.red) {
            (Some(_), Some(red)) => (red, packet.payload),
            _ => (self.payload_type, packet.opus()),
        }
    }

    fn start_line(&self, now: Instant, packet: &TrackPacket<'_>) -> Line {
        let first = match self.last_sent {
            Some(last) => {
                let elapsed = now.saturating_duration_since(last);
                self.last_timestamp
                    .wrapping_add(ticks(elapsed).max(MIN_STEP) as u32)
            }
            None => self.last_timestamp,
        };
        Line {
            first_seq: packet.seq,
            seq: self.next_seq.wrapping_sub(packet.seq),
            timestamp: first.wrapping_sub(packet.header.timestamp),
        }
    }

    fn write(
        &self,
        line: &Line,
        packet: &TrackPacket<'_>,
        protect: &Protect,
        out: &mut [u8],
    ) -> Option<(usize, u64, u32)> {
        if packet.seq < line.first_seq {
            return None;
        }
        let seq = packet.seq.wrapping_add(line.seq);
        let timestamp = packet.header.timestamp.wrapping_add(line.timestamp);
        // A switch starts a talk spurt (RFC 3551 §4.1), which lets receivers adapt their delay.
        let marker = packet.header.marker || packet.seq == line.first_seq;
        let (payload_type, payload) = self.choose(packet);
        let fixed = out.first_chunk_mut::<12>()?;
        fixed[0] = 0x80;
        fixed[1] = u8::from(marker) << 7 | payload_type;
        fixed[2..4].copy_from_slice(&(seq as u16).to_be_bytes());
        fixed[4..8].copy_from_slice(&timestamp.to_be_bytes());
        fixed[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        let mut header = 12;
        if let Some(block) = &packet.header.extension {
            let written = self.map.rewrite(packet.bytes, block, &mut out[12..]);
            if written > 0 {
                out[0] |= 0x10;
                header += written;
            }
        }
        let len = header + payload.len();
        if len + MAX_TAG > out.len() {
            return None;
        }
        out[header..len].copy_from_slice(payload);
        Some((
            protect.rtp(out, header, len, self.ssrc, seq),
            seq,
            timestamp,
        ))
    }
}

/// `duration` in ticks of the Opus clock.
fn ticks(duration: Duration) -> u64 {
    (duration.as_micros() * u128::from(OPUS_CLOCK) / 1_000_000) as u64
}

#[cfg(test)]
mod tests {
    use super::super::extension::Extension;
    use super::*;
    use crate::srtp::{Profile, Unprotect, server_contexts};

    struct Track {
        ids: ExtensionIds,
        ssrc: u32,
    }

    impl Track {
        fn packet(&self, seq: u16) -> Vec<u8> {
            let mut packet = vec![0x90, 111];
            packet.extend(seq.to_be_bytes());
            packet.extend((u32::from(seq) * 960).to_be_bytes());
            packet.extend(self.ssrc.to_be_bytes());
            packet.extend([0xBE, 0xDE, 0, 1, 0x10, 0x85, 0, 0]);
            packet.extend([seq as u8; 20]);
            packet
        }
    }

    struct Subscriber {
        forwarder: Forwarder,
        protect: Protect,
        opener: Unprotect,
    }

    fn subscriber() -> Subscriber {
        let profile = Profile::Aes128CmSha1_80;
        // The same keys in both directions, so that the test can open what it sealed.
        let half = [7; 30];
        let mut material = Vec::new();
        material.extend(&half[..16]);
        material.extend(&half[..16]);
        material.extend(&half[16..]);
        material.extend(&half[16..]);
        let (protect, opener) = server_contexts(profile, &material).unwrap();
        let mut ids = ExtensionIds::default();
        ids.set(Extension::AudioLevel, 5);
        Subscriber {
            forwarder: Forwarder::new(0xABCD, 96, ids, 0x7FF0, u32::MAX - 1000),
            protect,
            opener,
        }
    }

    impl Subscriber {
        /// The packet as the subscriber decrypts it, and as it was on the wire.
        fn forward(&mut self, now: Instant, track: &Track, seq: u16) -> Option<(Vec<u8>, Vec<u8>)> {
            let bytes = track.packet(seq);
            let header = Header::parse(&bytes).unwrap();
            let packet = TrackPacket {
                bytes: &bytes,
                header: &header,
                payload: header.payload(&bytes).unwrap(),
                primary: None,
                seq: 0x1_0000 + u64::from(seq),
            };
            let mut out = [0; 256];
            let len = self
                .forwarder
                .forward(now, &packet, &self.protect, &mut out)?;
            let wire = out[..len].to_vec();
            let header = Header::parse(&out[..len]).unwrap();
            let len = self
                .opener
                .rtp(&mut out[..len], header.len, header.ssrc, header.seq)
                .unwrap();
            Some((out[..len].to_vec(), wire))
        }
    }

    fn track(ssrc: u32) -> Track {
        let mut ids = ExtensionIds::default();
        ids.set(Extension::AudioLevel, 1);
        Track { ids, ssrc }
    }

    #[test]
    fn numbers_are_continuous_over_a_switch() {
        let start = Instant::now();
        let (one, two) = (track(1), track(2));
        let mut subscriber = subscriber();
        subscriber.forwarder.attach(&one.ids);
        let mut last: Option<(u32, u16, u32)> = None;
        let mut now = start;
        for (track, seq) in [
            (&one, 50),
            (&one, 51),
            (&two, 9000),
            (&two, 9001),
            (&one, 53),
        ] {
            if last.is_some_and(|(ssrc, ..)| ssrc != track.ssrc) {
                subscriber.forwarder.attach(&track.ids);
            }
            let (plain, _) = subscriber.forward(now, track, seq).unwrap();
            let header = Header::parse(&plain).unwrap();
            assert_eq!((header.ssrc, header.payload_type), (0xABCD, 96));
            assert_eq!(plain[12..20], [0xBE, 0xDE, 0, 1, 0x50, 0x85, 0, 0]);
            if let Some((ssrc, out_seq, timestamp)) = last {
                assert_eq!(header.seq, out_seq + 1);
                assert_eq!(header.timestamp.wrapping_sub(timestamp), 960u32);
                assert_eq!(header.marker, ssrc != track.ssrc);
            }
            last = Some((track.ssrc, header.seq, header.timestamp));
            now += Duration::from_millis(20);
        }
    }

    #[test]
    fn gaps_of_the_track_stay_gaps_and_late_packets_fill_them() {
        let now = Instant::now();
        let one = track(1);
        let mut subscriber = subscriber();
        subscriber.forwarder.attach(&one.ids);
        let seqs: Vec<u16> = [50, 53, 51, 49]
            .iter()
            .filter_map(|&seq| subscriber.forward(now, &one, seq))
            .map(|(plain, _)| Header::parse(&plain).unwrap().seq)
            .collect();
        // 49 is from before the stream began.
        assert_eq!(seqs, [0x7FF0, 0x7FF3, 0x7FF1]);
    }

    #[test]
    fn a_retransmission_repeats_the_packet_bit_for_bit() {
        let now = Instant::now();
        let one = track(1);
        let mut subscriber = subscriber();
        subscriber.forwarder.attach(&one.ids);
        let (_, wire) = subscriber.forward(now, &one, 50).unwrap();
        subscriber.forward(now, &one, 51).unwrap();
        let seq = subscriber.forwarder.requested(0x7FF0).unwrap();
        assert_eq!(seq, 0x1_0000 + 50);
        let bytes = one.packet(50);
        let header = Header::parse(&bytes).unwrap();
        let packet = TrackPacket {
            bytes: &bytes,
            header: &header,
            payload: header.payload(&bytes).unwrap(),
            primary: None,
            seq,
        };
        let mut out = [0; 256];
        let len = subscriber
            .forwarder
            .resend(&packet, &subscriber.protect, &mut out)
            .unwrap();
        assert_eq!(out[..len], wire);
        assert_eq!(subscriber.forwarder.requested(0x7FF2), None);
        assert_eq!(subscriber.forwarder.requested(0x7FEF), None);
    }

    #[test]
    fn retransmissions_are_rationed() {
        let now = Instant::now();
        let one = track(1);
        let mut subscriber = subscriber();
        subscriber.forwarder.attach(&one.ids);
        subscriber.forward(now, &one, 50).unwrap();
        let granted = (0..1000)
            .filter(|_| subscriber.forwarder.requested(0x7FF0).is_some())
            .count();
        assert_eq!(granted, 20);
    }
}
