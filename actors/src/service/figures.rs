//! How many are in each room, and how well their packets get through.

use std::collections::HashMap;
use std::ops::Add;

use futures_util::future::join_all;
use hive_media::{PeerStats, RoomId};

use super::Service;

/// Figures of one room at a moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RoomFigures {
    /// The room's name.
    pub room: String,
    /// Participants.
    pub participants: usize,
    /// Those of them who publish.
    pub publishers: usize,
    /// The links of its peers, all together.
    pub links: LinkFigures,
}

/// Figures of peer connections, since each of them was made.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LinkFigures {
    /// Peers through which media can flow.
    pub connected: usize,
    /// Media packets received.
    pub packets_in: u64,
    /// Media packets lost on the way here.
    pub lost_in: u64,
    /// Media packets sent.
    pub packets_out: u64,
    /// Media packets lost on the way to the peers, as they report.
    pub lost_out: u64,
    /// Interarrival jitter (RFC 3550) in ms: of each peer that has media the worse of its two directions, summed
    /// up over `jitters` peers.
    pub jitter_ms_sum: f64,
    /// Peers in `jitter_ms_sum`.
    pub jitters: usize,
    /// The worst of them, ms.
    pub jitter_ms_max: f64,
    /// Round trips in ms, summed up over `rtts` peers.
    pub rtt_ms_sum: f64,
    /// Peers in `rtt_ms_sum`: those whose round trip is known.
    pub rtts: usize,
}

impl From<&PeerStats> for LinkFigures {
    fn from(peer: &PeerStats) -> Self {
        // More came than were sent: duplicates. They make up for no loss of another peer.
        let lost = |packets: i64| u64::try_from(packets).unwrap_or(0);
        let has_media = peer.packets_in + peer.packets_out > 0;
        let jitter = match has_media {
            true => peer.jitter_in_ms.max(peer.jitter_out_ms),
            false => 0.0,
        };
        Self {
            connected: usize::from(peer.connected),
            packets_in: peer.packets_in,
            lost_in: lost(peer.lost_in),
            packets_out: peer.packets_out,
            lost_out: lost(peer.lost_out),
            jitter_ms_sum: jitter,
            jitters: usize::from(has_media),
            jitter_ms_max: jitter,
            rtt_ms_sum: peer.rtt_ms.unwrap_or(0.0),
            rtts: usize::from(peer.rtt_ms.is_some()),
        }
    }
}

impl Add for LinkFigures {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            connected: self.connected + other.connected,
            packets_in: self.packets_in + other.packets_in,
            lost_in: self.lost_in + other.lost_in,
            packets_out: self.packets_out + other.packets_out,
            lost_out: self.lost_out + other.lost_out,
            jitter_ms_sum: self.jitter_ms_sum + other.jitter_ms_sum,
            jitters: self.jitters + other.jitters,
            jitter_ms_max: self.jitter_ms_max.max(other.jitter_ms_max),
            rtt_ms_sum: self.rtt_ms_sum + other.rtt_ms_sum,
            rtts: self.rtts + other.rtts,
        }
    }
}

fn by_room<'a>(peers: impl Iterator<Item = &'a PeerStats>) -> HashMap<RoomId, LinkFigures> {
    let mut rooms: HashMap<RoomId, LinkFigures> = HashMap::new();
    for peer in peers {
        let room = rooms.entry(peer.room).or_default();
        *room = *room + LinkFigures::from(peer);
    }
    rooms
}

impl Service {
    /// The figures of every room, by name. Asks every media worker, which takes a turn of its loop.
    pub async fn figures(&self) -> Vec<RoomFigures> {
        let stats = join_all(self.hall.workers.iter().map(|worker| worker.stats())).await;
        let links = by_room(stats.iter().flat_map(|worker| &worker.peers));
        let mut rooms: Vec<_> = self
            .hall
            .rooms()
            .iter()
            .map(|room| {
                let state = room.state.lock();
                RoomFigures {
                    room: room.name.to_string(),
                    participants: state.present().count(),
                    publishers: state
                        .present()
                        .filter(|(_, who)| !who.publications.is_empty())
                        .count(),
                    links: links.get(&room.id).copied().unwrap_or_default(),
                }
            })
            .collect();
        rooms.sort_by(|a, b| a.room.cmp(&b.room));
        rooms
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hive_media::PeerId;
    use std::time::Duration;

    fn peer(room: u64, lost: (i64, i64), jitter: (f64, f64), rtt_ms: Option<f64>) -> PeerStats {
        PeerStats {
            recent_packets: 0,
            recent_lost: 0,
            estimate_bps: None,
            peer: PeerId(1),
            room: RoomId(room),
            connected: true,
            silent_for: Duration::ZERO,
            packets_in: 100,
            bytes_in: 0,
            packets_out: 200,
            bytes_out: 0,
            lost_in: lost.0,
            lost_out: lost.1,
            jitter_in_ms: jitter.0,
            jitter_out_ms: jitter.1,
            rtt_ms,
            nacks_sent: 0,
            nacks_received: 0,
            retransmitted: 0,
            recovered: 0,
            rejected: 0,
        }
    }

    #[test]
    fn a_rooms_links_are_those_of_its_peers() {
        let peers = [
            peer(1, (2, 3), (4.0, 1.0), Some(20.0)),
            peer(1, (1, 0), (0.0, 6.0), None),
            peer(2, (0, 0), (9.0, 0.0), None),
        ];
        let rooms = by_room(peers.iter());
        assert_eq!(
            rooms[&RoomId(1)],
            LinkFigures {
                connected: 2,
                packets_in: 200,
                lost_in: 3,
                packets_out: 400,
                lost_out: 3,
                jitter_ms_sum: 10.0,
                jitters: 2,
                jitter_ms_max: 6.0,
                rtt_ms_sum: 20.0,
                rtts: 1,
            }
        );
        assert_eq!(rooms[&RoomId(2)].jitter_ms_max, 9.0);
    }

    #[test]
    fn duplicates_do_not_hide_the_losses_of_others() {
        let peers = [
            peer(1, (-50, -1), (0.0, 0.0), None),
            peer(1, (5, 0), (0.0, 0.0), None),
        ];
        let links = by_room(peers.iter())[&RoomId(1)];
        assert_eq!((links.lost_in, links.lost_out), (5, 0));
    }
}
