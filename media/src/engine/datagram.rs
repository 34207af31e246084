//! Datagrams in.

use super::peer::MAX_PATHS;
use super::{CloseReason, Engine, MAX_DATAGRAM, MediaEvent, Path, Transmit};
use crate::clock::{Now, round_trip};
use crate::dtls::DtlsEvent;
use crate::rtcp::read::{RtcpItem, read_compound};
use crate::rtcp::transport_arrivals::TransportArrivals;
use crate::rtp::extension::find;
use crate::rtp::header::Header;
use crate::rtp::ssrc_table::Stream;
use crate::srtp::UnprotectError;
use crate::stun::demux::{DatagramKind, binding_request_ufrags, classify};
use crate::stun::ice_lite::{CheckError, answer_check};

/// An authentic packet whose track is known.
pub(super) struct Incoming<'a> {
    /// The publisher.
    pub(super) key: usize,
    pub(super) track: usize,
    pub(super) stream: Stream,
    pub(super) header: &'a Header,
}

impl Engine {
    /// Takes one datagram, which is decrypted in place.
    pub fn handle_datagram(
        &mut self,
        now: &Now,
        from: Path,
        datagram: &mut [u8],
        out: &mut dyn Transmit,
    ) {
        self.totals.datagrams_in += 1;
        self.totals.bytes_in += datagram.len() as u64;
        if datagram.len() > MAX_DATAGRAM {
            self.totals.oversized += 1;
            return;
        }
        match classify(datagram) {
            DatagramKind::Rtp => self.on_rtp(now, from, datagram, out),
            DatagramKind::Rtcp => self.on_rtcp(now, from, datagram, out),
            DatagramKind::Stun => self.on_stun(now, from, datagram, out),
            DatagramKind::Dtls => self.on_dtls(now, from, datagram, out),
            DatagramKind::Unknown => self.totals.unknown_protocol += 1,
        }
    }

    fn on_stun(&mut self, now: &Now, from: Path, datagram: &[u8], out: &mut dyn Transmit) {
        let Some((ours, theirs)) = binding_request_ufrags(datagram) else {
            self.totals.stun_malformed += 1;
            return;
        };
        let Some(&key) = self.by_ufrag.get(ours) else {
            self.totals.stun_unknown_ufrag += 1;
            return;
        };
        let ice = &self.peers[key].ice;
        let current = ice.local.ufrag == ours;
        let (local, remote) = match &ice.former {
            Some((local, remote)) if !current => (local, remote),
            _ => (&ice.local, &ice.remote_ufrag),
        };
        if remote != theirs {
            self.totals.stun_unknown_ufrag += 1;
            return;
        }
        let checked = match answer_check(datagram, from.remote(), local) {
            Ok(checked) => checked,
            Err(CheckError::Malformed) => {
                self.totals.stun_malformed += 1;
                return;
            }
            Err(CheckError::Integrity) => {
                self.totals.stun_unauthentic += 1;
                return;
            }
        };
        let len = checked.response.len();
        out.buffer()[..len].copy_from_slice(&checked.response);
        out.send(len, from);
        self.peers[key].last_heard = now.mono;
        if !checked.success {
            return;
        }
        if current && let Some((former, _)) = self.peers[key].ice.former.take() {
            self.by_ufrag.remove(former.ufrag.as_str());
            self.peers[key].ice.nominated = false;
        }
        self.learn_path(key, from, out);
        let ice = &mut self.peers[key].ice;
        // Until the peer nominates a path, the last one it proved will do.
        if checked.nominated || !ice.nominated {
            let before = ice.selected.replace(from);
            ice.nominated |= checked.nominated;
            if before.is_none() {
                // What could not be sent without a path.
                self.schedule(key);
            }
        }
    }

    /// Remembers that `from` is a path of the peer.
    fn learn_path(&mut self, key: usize, from: Path, out: &mut dyn Transmit) {
        match self.by_path.insert(from, key) {
            Some(before) if before == key => return,
            // An address that a network gave to somebody else now.
            Some(before) => self.peers[before].ice.paths.retain(|path| *path != from),
            None => {}
        }
        let ice = &mut self.peers[key].ice;
        ice.paths.push(from);
        if ice.paths.len() > MAX_PATHS {
            let oldest = ice
                .paths
                .iter()
                .position(|path| Some(*path) != ice.selected)
                .unwrap_or(0);
            let oldest = ice.paths.remove(oldest);
            self.forget_path(oldest, out);
        }
    }

    fn on_dtls(&mut self, now: &Now, from: Path, datagram: &[u8], out: &mut dyn Transmit) {
        let Some(&key) = self.by_path.get(&from) else {
            self.totals.unknown_source += 1;
            return;
        };
        let peer = &mut *self.peers[key];
        // What comes after the handshake is data, which answers nothing.
        if peer.srtp.is_none() {
            peer.rtt.handshake_answer(now.mono);
        }
        let event = peer.dtls.read(now.mono, datagram);
        peer.read_data(now.mono);
        self.drive_data(now, key, out);
        self.on_dtls_event(now, key, event, out);
    }

    pub(super) fn on_dtls_event(
        &mut self,
        now: &Now,
        key: usize,
        event: DtlsEvent,
        out: &mut dyn Transmit,
    ) {
        self.flush_dtls(now, key, out);
        let peer = &mut *self.peers[key];
        match event {
            DtlsEvent::None => {}
            DtlsEvent::Malformed => {
                peer.counters.rejected += 1;
                self.totals.dtls_malformed += 1;
            }
            DtlsEvent::Keys(keys) => {
                peer.srtp = Some(keys);
                peer.last_heard = now.mono;
                peer.next_report = Some(now.mono);
                peer.rtt.flight_sent = None;
                tracing::info!(peer = %peer.id, room = %peer.room, "peer is connected");
                self.events
                    .push_back(MediaEvent::Connected { peer: peer.id });
            }
            DtlsEvent::Closed => return self.close_key(now, key, CloseReason::Left, out),
            DtlsEvent::Failed(failure) => {
                return self.close_key(now, key, CloseReason::Dtls(failure), out);
            }
        }
        self.schedule(key);
    }

    /// Sends what DTLS has to say, over the selected path.
    pub(super) fn flush_dtls(&mut self, now: &Now, key: usize, out: &mut dyn Transmit) {
        let peer = &mut *self.peers[key];
        while let Some(message) = peer.dtls.poll_transmit() {
            let buffer = out.buffer();
            if let (Some(to), Some(room)) = (peer.ice.selected, buffer.get_mut(..message.len())) {
                room.copy_from_slice(&message);
                out.send(message.len(), to);
                if peer.srtp.is_none() {
                    peer.rtt.flight_sent = Some(now.mono);
                }
            }
        }
    }

    fn on_rtp(&mut self, now: &Now, from: Path, datagram: &mut [u8], out: &mut dyn Transmit) {
        let Some(&key) = self.by_path.get(&from) else {
            self.totals.unknown_source += 1;
            return;
        };
        let peer = &mut *self.peers[key];
        let Some(srtp) = &mut peer.srtp else {
            self.totals.before_keys += 1;
            return;
        };
        let Ok(header) = Header::parse(datagram) else {
            peer.counters.rejected += 1;
            self.totals.rtp_malformed += 1;
            return;
        };
        let len = match srtp.1.rtp(datagram, header.len, header.ssrc, header.seq) {
            Ok(len) => len,
            Err(error) => {
                peer.counters.rejected += 1;
                count_refusal(&mut self.totals, error);
                return;
            }
        };
        peer.last_heard = now.mono;
        let bytes = &datagram[..len];
        if header.payload(bytes).is_err() {
            peer.counters.rejected += 1;
            self.totals.rtp_malformed += 1;
            return;
        }
        self.totals.rtp_in += 1;
        peer.counters.packets_in += 1;
        peer.counters.bytes_in += bytes.len() as u64;

        let Some(publishing) = peer.publishing.as_deref_mut() else {
            self.totals.unknown_stream += 1;
            return;
        };
        let mut reschedule = false;
        if let (Some(id), Some(block)) = (publishing.transport_sequence, &header.extension)
            && let Some(&[high, low]) = find(bytes, block, id)
        {
            let arrivals = publishing
                .arrivals
                .get_or_insert_with(|| Box::new(TransportArrivals::new(now.mono)));
            let before = arrivals.next_at();
            arrivals.received(now.mono, u16::from_be_bytes([high, low]));
            reschedule = arrivals.next_at() != before;
        }
        let stream = publishing.table.resolve(bytes, &header);
        let track = stream.and_then(|stream| publishing.tracks.get(&stream.section).copied());
        // Feedback tells of what goes no further, too.
        if reschedule {
            self.schedule(key);
        }
        let (Some(stream), Some(track)) = (stream, track) else {
            self.totals.unknown_stream += 1;
            return;
        };
        if self.tracks[track].muted {
            return;
        }
        let received = Incoming {
            key,
            track,
            stream,
            header: &header,
        };
        if self.tracks[track].is_audio() {
            self.on_audio(now, &received, &datagram[..len], out);
        } else {
            self.on_video(now, &received, &mut datagram[..len], out);
        }
    }

    fn on_rtcp(&mut self, now: &Now, from: Path, datagram: &mut [u8], out: &mut dyn Transmit) {
        let Some(&key) = self.by_path.get(&from) else {
            self.totals.unknown_source += 1;
            return;
        };
        let peer = &mut *self.peers[key];
        let Some(srtp) = &mut peer.srtp else {
            self.totals.before_keys += 1;
            return;
        };
        let len = match srtp.1.rtcp(datagram) {
            Ok(len) => len,
            Err(error) => {
                peer.counters.rejected += 1;
                count_refusal(&mut self.totals, error);
                return;
            }
        };
        peer.last_heard = now.mono;
        self.totals.rtcp_in += 1;
        let compound = &datagram[..len];
        let sound = read_compound(compound, |item| {
            self.on_rtcp_item(now, key, compound, item, out);
        });
        if sound.is_err() {
            self.peers[key].counters.rejected += 1;
            self.totals.rtcp_malformed += 1;
        }
    }

    fn on_rtcp_item(
        &mut self,
        now: &Now,
        key: usize,
        compound: &[u8],
        item: RtcpItem,
        out: &mut dyn Transmit,
    ) {
        let peer = &mut *self.peers[key];
        match item {
            RtcpItem::SenderReport {
                ssrc,
                ntp,
                timestamp,
            } => {
                let streams = peer.publishing.iter_mut().flat_map(|it| &mut it.streams);
                for stream in streams.filter(|stream| stream.ssrc == ssrc) {
                    stream.stats.sender_report(now.mono, (ntp >> 16) as u32);
                }
                self.on_sender_clock(now, key, ssrc, ntp, timestamp);
            }
            RtcpItem::Report(block) => {
                let mut round_trips = None;
                let mut video = false;
                let slots = peer.listening.iter_mut().flat_map(|it| &mut it.slots);
                for slot in slots.filter(|slot| slot.ssrc() == block.ssrc) {
                    slot.lost = i64::from(block.total_lost);
                    slot.jitter = block.jitter;
                    video |= slot.video_mut().is_some();
                    if let Some(rtt) =
                        round_trip(now.ntp_middle(), block.last_sr, block.delay_since_last_sr)
                    {
                        peer.rtt.sample(rtt);
                        round_trips = Some(rtt);
                    }
                }
                if let Some(listening) = peer.listening.as_deref_mut().filter(|_| video) {
                    listening.reported_loss.report(block.fraction_lost);
                }
                if let (Some(rtt), Some(listening)) = (round_trips, &mut peer.listening) {
                    listening.estimator.on_round_trip(rtt);
                }
            }
            RtcpItem::DelaySinceReference { ssrc, last, delay } => {
                if ssrc == peer.report_ssrc
                    && let Some(rtt) = round_trip(now.ntp_middle(), last, delay)
                {
                    peer.rtt.sample(rtt);
                }
            }
            RtcpItem::ReferenceTime { ssrc, ntp } => {
                peer.reference = Some((ssrc, (ntp >> 16) as u32, now.mono));
            }
            RtcpItem::Nack {
                media_ssrc,
                first,
                following,
            } => self.resend(now, key, media_ssrc, (first, following), out),
            RtcpItem::PictureLoss { media_ssrc } => self.picture_lost(now, key, media_ssrc),
            RtcpItem::TransportFeedback(feedback) => {
                if let (Some(listening), Some(feedback)) =
                    (&mut peer.listening, feedback.of(compound))
                {
                    let before = listening.estimator.estimate();
                    listening.estimator.on_feedback(now.mono, &feedback);
                    if listening.estimator.estimate() < before / 5 * 4 {
                        // What is too much now fills a queue that everything else waits in.
                        self.next_allocation = None;
                    }
                    // A probe may have ended, and the next be due.
                    self.schedule(key);
                }
            }
            // A source that leaves is replaced or closed by signalling.
            RtcpItem::Bye { .. } => {}
        }
    }
}

fn count_refusal(totals: &mut super::Totals, error: UnprotectError) {
    match error {
        UnprotectError::TooShort => totals.rtp_malformed += 1,
        UnprotectError::Replayed => totals.srtp_replayed += 1,
        UnprotectError::Forged => totals.srtp_unauthentic += 1,
    }
}
