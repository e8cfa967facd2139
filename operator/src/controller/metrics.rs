//! What can be counted about reconciling, for Prometheus and OTLP.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use chassis::telemetry::{DURATION_BOUNDARIES, meter};
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram},
};

/// The instruments.
pub(super) struct Metrics {
    duration: Histogram<f64>,
    running: Arc<AtomicI64>,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let meter = meter();
        let running = Arc::new(AtomicI64::new(0));
        let observed = Arc::clone(&running);
        meter
            .i64_observable_gauge("shop_operator.reconciles.running")
            .with_description("Reconciliations that run right now.")
            .with_callback(move |gauge| gauge.observe(observed.load(Ordering::Relaxed), &[]))
            .build();
        Self {
            duration: meter
                .f64_histogram("shop_operator.reconcile.duration")
                .with_unit("s")
                .with_description("How long reconciling a Shop took, by how it ended.")
                .with_boundaries(DURATION_BOUNDARIES.to_vec())
                .build(),
            running,
        }
    }

    /// Counts one that runs until what is returned is dropped.
    pub(super) fn begin(&self) -> Running {
        self.running.fetch_add(1, Ordering::Relaxed);
        Running(Arc::clone(&self.running))
    }

    /// One has ended.
    pub(super) fn ended(&self, outcome: &'static str, took: Duration) {
        self.duration
            .record(took.as_secs_f64(), &[KeyValue::new("outcome", outcome)]);
    }
}

/// A reconciliation that runs.
pub(super) struct Running(Arc<AtomicI64>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counts requests to the API server, by verb of HTTP.
pub(crate) fn api_requests() -> Counter<u64> {
    meter()
        .u64_counter("shop_operator.api_server.requests")
        .with_description("Requests to the API server.")
        .build()
}
