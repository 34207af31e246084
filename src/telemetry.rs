//! Logs and metrics.

mod log;
mod metrics;

pub use log::{StartLogError, start as start_log};
pub use metrics::{
    LATENCY_BUCKETS, METRICS, Metric, MetricKind, StartMetricsError, start as start_metrics,
};
