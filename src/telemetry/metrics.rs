//! The metrics there are, what they mean, and how their histograms are cut.

use std::time::Duration;

use metrics::Unit;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// Metrics could not be started.
#[derive(Debug, thiserror::Error)]
#[error("the metrics could not be started: {0}")]
pub struct StartMetricsError(#[from] BuildError);

/// Bounds in seconds of everything that is a time; they are close around the targets of docs/slo.md (0.25,
/// 0.45 and 0.5 s), so that a quantile near a target is read off well.
pub const LATENCY_BUCKETS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.225, 0.25, 0.275, 0.3, 0.35,
    0.4, 0.425, 0.45, 0.475, 0.5, 0.55, 0.6, 0.7, 0.8, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0,
];

/// Bounds of batch sizes.
const BATCH_BUCKETS: &[f64] = &[1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0];

/// How a metric moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Only up.
    Counter,
    /// Up and down.
    Gauge,
    /// Many values in buckets.
    Histogram,
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name in Prometheus.
    pub name: &'static str,
    /// How it moves.
    pub kind: MetricKind,
    /// What it counts, with its labels.
    pub help: &'static str,
}

const fn counter(name: &'static str, help: &'static str) -> Metric {
    Metric {
        name,
        kind: MetricKind::Counter,
        help,
    }
}

const fn gauge(name: &'static str, help: &'static str) -> Metric {
    Metric {
        name,
        kind: MetricKind::Gauge,
        help,
    }
}

const fn histogram(name: &'static str, help: &'static str) -> Metric {
    Metric {
        name,
        kind: MetricKind::Histogram,
        help,
    }
}

/// Every metric that HIVE records.
pub const METRICS: &[Metric] = &[
    counter(
        "hive_http_requests_total",
        "Requests answered, by route, method and status.",
    ),
    histogram(
        "hive_http_request_seconds",
        "Time to answer a request, by route.",
    ),
    counter("hive_http_rate_limited_total", "Requests refused with 429."),
    counter(
        "hive_twirp_requests_total",
        "Requests to the room service, by method and Twirp code.",
    ),
    counter(
        "hive_webhooks_total",
        "Events for webhook receivers, by outcome: delivered, refused, given_up, dropped.",
    ),
    counter(
        "hive_webhook_retries_total",
        "Posts to webhook receivers that were tried again.",
    ),
    gauge("hive_event_clients", "Open events WebSockets."),
    counter("hive_events_sent_total", "Events written to WebSockets."),
    counter(
        "hive_event_clients_cut_total",
        "Events clients disconnected, by reason: slow, silent, protocol.",
    ),
    gauge(
        "hive_signal_connections",
        "Open WebSockets of LiveKit clients.",
    ),
    counter(
        "hive_signal_messages_total",
        "Messages of and to LiveKit clients, by direction and kind.",
    ),
    counter(
        "hive_signal_refused_total",
        "Messages and resumptions of LiveKit clients that were refused, by reason.",
    ),
    counter(
        "hive_signal_clients_cut_total",
        "LiveKit clients disconnected, by reason: slow, silent.",
    ),
    counter(
        "hive_signal_requests_refused_total",
        "Requests of LiveKit clients that were answered with a refusal, by reason.",
    ),
    counter(
        "hive_signal_descriptions_refused_total",
        "Offers and answers of LiveKit clients that could not be used.",
    ),
    counter(
        "hive_signal_ignored_total",
        "Messages of LiveKit clients without effect, by kind.",
    ),
    counter(
        "hive_signal_overflows_total",
        "LiveKit clients sent away because they did not take what they were told.",
    ),
    counter(
        "hive_data_packets_total",
        "Data packets delivered, by channel.",
    ),
    counter(
        "hive_data_packets_refused_total",
        "Data packets that were not passed on, by reason.",
    ),
    gauge("hive_turn_allocations", "TURN allocations."),
    gauge("hive_turn_connections", "TURN clients' TCP connections."),
    counter(
        "hive_turn_bytes_total",
        "Bytes relayed, by direction: to_peer, to_client.",
    ),
    counter(
        "hive_turn_dropped_total",
        "Frames of TURN clients dropped because their way was full.",
    ),
    counter(
        "hive_turn_peers_refused_total",
        "Peers refused to TURN clients.",
    ),
    counter(
        "hive_turn_auth_failures_total",
        "TURN credentials refused, by reason: username, password, expired.",
    ),
    counter(
        "hive_turn_allocations_refused_total",
        "TURN allocations refused for want of room.",
    ),
    counter(
        "hive_turn_rate_limited_total",
        "Frames and connections of TURN strangers that got no answer.",
    ),
];

/// Installs the recorder of the process and keeps its histograms from growing.
///
/// # Errors
/// See [`StartMetricsError`].
pub fn start() -> Result<PrometheusHandle, StartMetricsError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), LATENCY_BUCKETS)?
        .set_buckets_for_metric(Matcher::Suffix("_batch_size".to_owned()), BATCH_BUCKETS)?
        .install_recorder()?;
    for Metric { name, kind, help } in METRICS {
        let unit = if name.ends_with("_seconds") {
            Unit::Seconds
        } else {
            Unit::Count
        };
        match kind {
            MetricKind::Counter => metrics::describe_counter!(*name, unit, *help),
            MetricKind::Gauge => metrics::describe_gauge!(*name, unit, *help),
            MetricKind::Histogram => metrics::describe_histogram!(*name, unit, *help),
        }
    }
    let upkeep = handle.clone();
    actix_web::rt::spawn(async move {
        let mut every = tokio::time::interval(Duration::from_secs(5));
        loop {
            every.tick().await;
            upkeep.run_upkeep();
        }
    });
    Ok(handle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_documented() {
        let documented = include_str!("../../docs/metrics.md");
        for Metric { name, help, .. } in METRICS {
            assert!(
                documented.contains(&format!("| `{name}` |")),
                "docs/metrics.md lacks {name}"
            );
            assert!(help.ends_with('.'), "{name}");
        }
    }

    #[test]
    fn names_tell_kind_and_unit() {
        for Metric { name, kind, .. } in METRICS {
            assert!(name.starts_with("hive_"), "{name}");
            assert_eq!(
                name.ends_with("_total"),
                *kind == MetricKind::Counter,
                "{name}"
            );
        }
    }

    #[test]
    fn the_buckets_have_the_targets_as_bounds() {
        for target in [0.25, 0.45, 0.5] {
            assert!(LATENCY_BUCKETS.contains(&target));
        }
        assert!(LATENCY_BUCKETS.is_sorted());
    }
}
