//! A media worker's figures.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hive_media::PeerId;
use metrics::{counter, gauge, histogram};

use crate::hall::Hall;
use crate::pipeline::stage::{self, StageError};
use crate::supervision::ChildSpec;

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
        gauge!("hive_media_peers", "worker" => name.clone()).set(stats.peers.len() as f64);
        gauge!("hive_media_tracks", "worker" => name.clone()).set(stats.tracks as f64);
        for peer in &stats.peers {
            histogram!("hive_peer_jitter_seconds", "way" => "in").record(peer.jitter_in_ms / 1e3);
            histogram!("hive_peer_jitter_seconds", "way" => "out").record(peer.jitter_out_ms / 1e3);
            if let Some(rtt_ms) = peer.rtt_ms {
                histogram!("hive_peer_rtt_seconds").record(rtt_ms / 1e3);
            }
            let before = lost
                .insert(peer.peer, (peer.lost_in, peer.lost_out))
                .unwrap_or_default();
            let new = |now: i64, before: i64| u64::try_from(now - before).unwrap_or(0);
            counter!("hive_peer_packets_lost_total", "way" => "in")
                .increment(new(peer.lost_in, before.0));
            counter!("hive_peer_packets_lost_total", "way" => "out")
                .increment(new(peer.lost_out, before.1));
        }
        let here = |peer: &PeerId| stats.peers.iter().any(|known| known.peer == *peer);
        lost.retain(|peer, _| here(peer));
        // A notice of a peer's end may have been lost with a full mailbox; this is the other way.
        let gone: Vec<PeerId> = hall
            .peers(index)
            .into_iter()
            .filter(|peer| !here(peer))
            .collect();
        missing.retain(|peer, _| gone.contains(peer));
        for peer in gone {
            let readings = missing.entry(peer).or_default();
            *readings += 1;
            if *readings >= MISSING_READINGS {
                hall.peer_gone(peer);
            }
        }
        tokio::time::sleep(INTERVAL).await;
    }
}
