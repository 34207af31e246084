//! A media worker's figures.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use hive_media::{CloseReason, PeerId, PeerStats};
use metrics::{counter, gauge};

use crate::hall::Hall;
use crate::pipeline::stage::{self, StageError};
use crate::supervision::ChildSpec;
use crate::telemetry;

/// How often the figures are read.
const INTERVAL: Duration = Duration::from_secs(1);

/// Readings for which a session's peer may be missing from its worker before it is taken for gone; a
/// session is noted a moment after its peer is made.
const MISSING_READINGS: u32 = 3;

/// The actor that reads the figures of the worker at `index`.
pub(crate) fn worker_spec(hall: Arc<Hall>, index: usize) -> ChildSpec {
    stage::spec(format!("worker-{index}"), move |_| run(hall.clone(), index))
}

async fn run(hall: Arc<Hall>, index: usize) -> Result<(), StageError> {
    let mut missing: BTreeMap<PeerId, u32> = BTreeMap::new();
    let mut negotiated: HashSet<PeerId> = HashSet::new();
    let mut lost: BTreeMap<PeerId, (i64, i64)> = BTreeMap::new();
    let name = index.to_string();
    loop {
        let worker = &hall.workers[index];
        if !worker.is_running() {
            // Its socket, and with it every peer's way here, is gone: nothing below can put it right.
            tracing::error!(
                worker = index,
                "a media worker has stopped; restart the service"
            );
        }
        let stats = worker.stats().await;
        for (total, value) in stats.totals.iter() {
            counter!(format!("hive_media_{total}_total"), "worker" => name.clone()).absolute(value);
        }
        let totals = &stats.totals;
        for (direction, packets, bytes) in [
            ("in", totals.rtp_in, totals.bytes_in),
            ("out", totals.rtp_out, totals.bytes_out),
        ] {
            counter!("hive_rtp_packets_total", "worker" => name.clone(), "direction" => direction)
                .absolute(packets);
            counter!("hive_rtp_bytes_total", "worker" => name.clone(), "direction" => direction)
                .absolute(bytes);
        }
        gauge!("hive_peers", "worker" => name.clone()).set(stats.peers.len() as f64);
        gauge!("hive_tracks", "worker" => name.clone()).set(stats.tracks as f64);
        for peer in &stats.peers {
            telemetry::jitter("in", peer.jitter_in_ms);
            telemetry::jitter("out", peer.jitter_out_ms);
            if let Some(rtt_ms) = peer.rtt_ms {
                telemetry::round_trip(rtt_ms);
            }
            let now = (peer.lost_in, peer.lost_out);
            let before = lost.insert(peer.peer, now).unwrap_or_default();
            telemetry::packets_lost("in", now.0 - before.0);
            telemetry::packets_lost("out", now.1 - before.1);
        }
        let by_peer: HashMap<PeerId, &PeerStats> =
            stats.peers.iter().map(|peer| (peer.peer, peer)).collect();
        for room in hall.rooms().iter().filter(|room| room.worker == index) {
            hall.tell_quality(room, &by_peer);
        }
        let here = |peer: &PeerId| by_peer.contains_key(peer);
        lost.retain(|peer, _| here(peer));
        // A notice of a peer's end may have been lost with a full mailbox; this is the other way.
        let mut gone = hall.peers(index);
        let members: HashSet<PeerId> = hall.member_peers(index).into_iter().collect();
        negotiated.retain(|peer| members.contains(peer));
        // A client's peer is made when it negotiates, which may be never.
        negotiated.extend(members.iter().filter(|peer| here(peer)));
        gone.extend(&negotiated);
        gone.retain(|peer| !here(peer));
        missing.retain(|peer, _| gone.contains(peer));
        for peer in gone {
            let readings = missing.entry(peer).or_default();
            *readings += 1;
            if *readings >= MISSING_READINGS {
                hall.peer_gone(peer, CloseReason::Vanished);
            }
        }
        tokio::time::sleep(INTERVAL).await;
    }
}
