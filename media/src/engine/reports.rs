//! Timers, and the RTCP that is sent by them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use rand::Rng;

use super::accept::TICK;
use super::slot::SentReport;
use super::timers::Entry;
use super::track::Track;
use super::{CloseReason, Engine, Path, Subscription, Transmit};
use crate::clock::Now;
use crate::rtcp::write::Compound;
use crate::srtp::{MAX_RTCP_TRAILER, Protect};

/// Time between two reports to one peer, give or take a tenth.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// Sequence numbers in one NACK packet.
const MAX_NACKS: usize = 64;

/// Sender reports in one compound, each of 28 bytes and as much for its name.
const MAX_SENDER_REPORTS: usize = 16;

/// Writes and sends one compound.
pub(super) fn send_compound(
    protect: &mut Protect,
    to: Path,
    out: &mut dyn Transmit,
    write: impl FnOnce(&mut Compound<'_>),
) {
    let buffer = out.buffer();
    let room = buffer.len() - MAX_RTCP_TRAILER;
    let mut compound = Compound::new(&mut buffer[..room]);
    write(&mut compound);
    let len = compound.len();
    if len > 0 {
        let len = protect.rtcp(buffer, len);
        out.send(len, to);
    }
}

/// Tells a subscriber which of its timestamps belongs to `now`.
pub(super) fn send_sender_report(
    now: &Now,
    report: &SentReport,
    cname: &str,
    protect: &mut Protect,
    to: Path,
    out: &mut dyn Transmit,
) {
    send_compound(protect, to, out, |compound| {
        write_sender_report(now, report, cname, compound);
    });
}

fn write_sender_report(now: &Now, report: &SentReport, cname: &str, compound: &mut Compound<'_>) {
    compound.sender_report(report.ssrc, now.ntp(), report.timestamp, report.sent);
    compound.cname(report.ssrc, cname);
}

impl Engine {
    /// When [`Engine::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match (self.timers.next_at(), self.next_tick) {
            (Some(timer), Some(tick)) => Some(timer.min(tick)),
            (timer, tick) => timer.or(tick),
        }
    }

    /// Does what is due: retransmissions, NACKs, reports, speaker ranking, collection of peers that
    /// vanished.
    pub fn handle_timeout(&mut self, now: &Now, out: &mut dyn Transmit) {
        // One that is due again at once has its turn the next time, after the socket.
        let mut due = std::mem::take(&mut self.due);
        due.extend(std::iter::from_fn(|| self.timers.pop_due(now.mono)));
        for entry in due.drain(..) {
            let current = self
                .peers
                .get_mut(entry.key)
                .filter(|peer| peer.serial == entry.serial && peer.scheduled == Some(entry.at));
            if let Some(peer) = current {
                peer.scheduled = None;
                let done = catch_unwind(AssertUnwindSafe(|| self.peer_due(now, entry.key, out)));
                if done.is_err() {
                    self.timeout_panicked(now, entry, out);
                }
            }
        }
        self.due = due;
        if self.next_tick.is_some_and(|at| at <= now.mono) {
            // Before they run: should one panic, it is not due again at once.
            self.next_tick = Some(now.mono + TICK);
            let done = catch_unwind(AssertUnwindSafe(|| {
                self.tick_rooms();
                self.allocate(now);
            }));
            if done.is_err() {
                self.totals.timeouts_panicked += 1;
                tracing::error!("the rooms' tick panicked");
            }
            let published = self.rooms.values().any(|room| !room.tracks.is_empty());
            self.next_tick = published.then_some(now.mono + TICK);
        }
    }

    /// Puts the peer's next deadline into the heap, unless an earlier one is there.
    pub(super) fn schedule(&mut self, key: usize) {
        let Some(peer) = self.peers.get_mut(key) else {
            return;
        };
        let at = peer.due(self.config.idle_timeout);
        if peer.scheduled.is_none_or(|scheduled| at < scheduled) {
            peer.scheduled = Some(at);
            self.timers.push(Entry {
                at,
                key,
                serial: peer.serial,
            });
        }
    }

    /// A defect that one peer's timeout meets must not end every conversation, nor come up again and again.
    fn timeout_panicked(&mut self, now: &Now, entry: Entry, out: &mut dyn Transmit) {
        self.totals.timeouts_panicked += 1;
        let here = self.peers.get(entry.key);
        let Some(peer) = here.filter(|peer| peer.serial == entry.serial) else {
            return;
        };
        tracing::error!(peer = %peer.id, "handling a peer's timeout panicked; it is closed");
        let closed = catch_unwind(AssertUnwindSafe(|| {
            self.close_key(now, entry.key, CloseReason::Requested, out);
        }));
        if closed.is_err() {
            tracing::error!("closing the peer panicked, too");
        }
    }

    fn peer_due(&mut self, now: &Now, key: usize, out: &mut dyn Transmit) {
        let peer = &mut *self.peers[key];
        if now.mono.saturating_duration_since(peer.last_heard) >= self.config.idle_timeout {
            return self.close_key(now, key, CloseReason::Vanished, out);
        }
        let serial = peer.serial;
        if peer.dtls.next_at().is_some_and(|at| at <= now.mono) {
            let event = peer.dtls.handle_timeout(now.mono);
            self.on_dtls_event(now, key, event, out);
            if self.peers.get(key).is_none_or(|peer| peer.serial != serial) {
                return;
            }
        }
        self.peers[key].data_due(now.mono);
        self.drive_data(now, key, out);
        self.send_nacks(now, key, out);
        self.send_keyframe_requests(now, key, out);
        self.send_transport_feedback(now, key, out);
        self.send_probes(now, key, out);
        if self.peers[key].next_report.is_some_and(|at| at <= now.mono) {
            self.send_reports(now, key, out);
            let interval = REPORT_INTERVAL.mul_f64(self.random.random_range(0.9..1.1));
            self.peers[key].next_report = Some(now.mono + interval);
        }
        self.schedule(key);
    }

    fn send_nacks(&mut self, now: &Now, key: usize, out: &mut dyn Transmit) {
        let peer = &mut *self.peers[key];
        let (Some(to), Some(srtp), Some(publishing)) =
            (peer.ice.selected, &mut peer.srtp, &mut peer.publishing)
        else {
            return;
        };
        let rtt = peer.rtt.estimate();
        let mut broken = Vec::new();
        let mut missing = Vec::new();
        for stream in publishing.streams.iter_mut().filter(|it| it.nackable) {
            missing.clear();
            stream.nack.poll(now.mono, rtt, |seq| missing.push(seq));
            if stream.nack.gave_up() {
                broken.extend(publishing.table.known(stream.ssrc));
            }
            peer.counters.nacks_sent += missing.len() as u64;
            let (sender, media) = (peer.report_ssrc, stream.ssrc);
            for missing in missing.chunks(MAX_NACKS) {
                send_compound(&mut srtp.0, to, out, |compound| {
                    compound.nack(sender, media, missing);
                });
            }
        }
        for stream in broken {
            let publishing = self.peers[key].publishing.as_deref();
            let track = publishing.and_then(|it| it.tracks.get(&stream.section).copied());
            if let Some(track) = track {
                self.picture_broken(now.mono, track, stream.layer);
            }
        }
    }

    fn send_reports(&mut self, now: &Now, key: usize, out: &mut dyn Transmit) {
        let Engine {
            peers,
            tracks,
            cname,
            ..
        } = self;
        let peer = &mut *peers[key];
        let (Some(to), Some(srtp)) = (peer.ice.selected, &mut peer.srtp) else {
            return;
        };
        if let Some(listening) = &peer.listening {
            let heard =
                |track: &Track| track.prominent || listening.subscription != Subscription::Tracks;
            let reports: Vec<SentReport> = listening
                .slots
                .iter()
                .filter_map(|slot| {
                    let track = &tracks[slot.track?];
                    slot.report(track, now.mono).filter(|_| heard(track))
                })
                .collect();
            for reports in reports.chunks(MAX_SENDER_REPORTS) {
                send_compound(&mut srtp.0, to, out, |compound| {
                    for report in reports {
                        write_sender_report(now, report, cname, compound);
                    }
                });
            }
        }
        let ssrc = peer.report_ssrc;
        let reference = peer.reference.take();
        if let Some(publishing) = peer.publishing.as_mut().filter(|it| !it.streams.is_empty()) {
            let blocks: Vec<_> = publishing
                .streams
                .iter_mut()
                .map(|stream| stream.stats.report(now, stream.ssrc))
                .collect();
            let reference_time = publishing.reference_time;
            send_compound(&mut srtp.0, to, out, |compound| {
                compound.receiver_report(ssrc, &blocks);
                compound.cname(ssrc, cname);
                if reference_time {
                    compound.reference_time(ssrc, now.ntp());
                }
                if let Some((other, last, at)) = reference {
                    let held = now.mono.saturating_duration_since(at);
                    let delay = (held.as_micros() * 65_536 / 1_000_000) as u32;
                    compound.delay_since_reference(ssrc, other, last, delay);
                }
            });
        } else if let Some((other, last, at)) = reference {
            send_compound(&mut srtp.0, to, out, |compound| {
                let held = now.mono.saturating_duration_since(at);
                let delay = (held.as_micros() * 65_536 / 1_000_000) as u32;
                compound.receiver_report(ssrc, &[]);
                compound.delay_since_reference(ssrc, other, last, delay);
            });
        }
    }

    /// Tells a peer that is being closed: BYE for its streams, then DTLS close_notify.
    pub(super) fn send_goodbyes(&mut self, now: &Now, key: usize, out: &mut dyn Transmit) {
        let peer = &mut *self.peers[key];
        if let (Some(to), Some(srtp), Some(listening)) =
            (peer.ice.selected, &mut peer.srtp, &peer.listening)
        {
            let report_ssrc = peer.report_ssrc;
            send_compound(&mut srtp.0, to, out, |compound| {
                compound.receiver_report(report_ssrc, &[]);
                for slot in &listening.slots {
                    compound.bye(slot.ssrc());
                }
            });
        }
        peer.dtls.close(now.mono);
        self.flush_dtls(now, key, out);
    }
}
