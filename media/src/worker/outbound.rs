//! Datagrams out, whichever way they go.

use crate::engine::{Engine, Path, TcpPath, Transmit};
use crate::net::{SendBatch, TcpConnections};

/// The worker's UDP socket and, if it has any, its TCP connections.
pub(super) struct Outbound {
    pub(super) udp: SendBatch,
    pub(super) tcp: Option<TcpConnections>,
}

impl Outbound {
    /// Sends what was collected in this turn, adds up what happened, and tells the engine of connections
    /// that ended.
    pub(super) fn flush(&mut self, engine: &mut Engine) {
        self.udp.flush();
        let totals = engine.totals_mut();
        totals.datagrams_out += std::mem::take(&mut self.udp.sent);
        totals.bytes_out += std::mem::take(&mut self.udp.sent_bytes);
        totals.send_errors += std::mem::take(&mut self.udp.failed);
        if let Some(tcp) = &mut self.tcp {
            tcp.flush();
            let counters = std::mem::take(&mut tcp.counters);
            totals.datagrams_out += counters.frames_out;
            totals.bytes_out += counters.bytes_out;
            totals.tcp_frames_out += counters.frames_out;
            totals.tcp_frames_dropped += counters.frames_dropped;
            totals.tcp_accepted += counters.accepted;
            totals.tcp_refused += counters.refused;
            totals.tcp_ended += counters.ended;
            totals.tcp_unproven += counters.unproven;
            totals.tcp_malformed += counters.malformed;
            totals.tcp_stalled += counters.stalled;
            totals.tcp_idle += counters.idle;
            while let Some(path) = tcp.next_closed() {
                engine.path_closed(Path::Tcp(path));
            }
        }
    }
}

impl Transmit for Outbound {
    /// The UDP batch's, wherever the datagram will go: most go there, and a connection copies its own
    /// into its queue.
    fn buffer(&mut self) -> &mut [u8] {
        self.udp.buffer()
    }

    fn send(&mut self, len: usize, to: Path) {
        match to {
            Path::Udp(address) => self.udp.send(len, address),
            Path::Tcp(connection) => {
                if let Some(tcp) = &mut self.tcp {
                    tcp.send(connection, &self.udp.buffer()[..len]);
                }
            }
        }
    }

    fn hang_up(&mut self, connection: TcpPath) {
        if let Some(tcp) = &mut self.tcp {
            tcp.hang_up(connection);
        }
    }
}
