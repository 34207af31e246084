//! Overhears RTCP sender reports on their way through the peer's interceptors.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use rtc::interceptor::{Interceptor, Packet, StreamInfo, TaggedPacket};
use rtc::rtcp::sender_report::SenderReport as RtcpSenderReport;
use rtc::sansio::Protocol;
use rtc::shared::error::Error;

/// The clocks of a stream at one moment (RFC 3550 section 6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SenderReport {
    pub(super) ssrc: u32,
    /// Sender's wall clock, NTP 32.32.
    pub(super) ntp: u64,
    /// RTP timestamp of the same moment.
    pub(super) rtp: u32,
}

/// Where overheard reports are kept.
pub(super) type Overheard = Arc<Mutex<Vec<SenderReport>>>;

/// Changes nothing; keeps a copy of every sender report.
#[derive(Default)]
pub(super) struct Eavesdropper {
    overheard: Overheard,
    read: VecDeque<TaggedPacket>,
    write: VecDeque<TaggedPacket>,
}

impl Eavesdropper {
    pub(super) fn new(overheard: Overheard) -> Self {
        Self {
            overheard,
            ..Self::default()
        }
    }
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for Eavesdropper {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, message: TaggedPacket) -> Result<(), Self::Error> {
        if let Packet::Rtcp(packets) = &message.message.packet {
            for packet in packets {
                if let Some(report) = packet.as_any().downcast_ref::<RtcpSenderReport>() {
                    self.overheard.lock().push(SenderReport {
                        ssrc: report.ssrc,
                        ntp: report.ntp_time,
                        rtp: report.rtp_time,
                    });
                }
            }
        }
        self.read.push_back(message);
        Ok(())
    }

    fn poll_read(&mut self) -> Option<Self::Rout> {
        self.read.pop_front()
    }

    fn handle_write(&mut self, message: TaggedPacket) -> Result<(), Self::Error> {
        self.write.push_back(message);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<Self::Wout> {
        self.write.pop_front()
    }
}

impl Interceptor for Eavesdropper {
    fn bind_local_stream(&mut self, _: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _: &StreamInfo) {}
    fn bind_remote_stream(&mut self, _: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _: &StreamInfo) {}
}
