//! What can be counted about reconciling, for Prometheus and OTLP.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use chassis::telemetry::{DURATION_BOUNDARIES, meter};
use kube::runtime::reflector::ObjectRef;
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram},
};

use super::GuardedShop;

/// The instruments.
pub(super) struct Metrics {
    duration: Histogram<f64>,
    running: Arc<AtomicI64>,
    queued: Queued,
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
        let queued = Queued::default();
        let observed = queued.clone();
        meter
            .u64_observable_gauge("shop_operator.reconciles.queued")
            .with_description("Shops that changed, or whose objects did, and that wait for their turn.")
            .with_callback(move |gauge| gauge.observe(observed.depth(), &[]))
            .build();
        Self {
            duration: meter
                .f64_histogram("shop_operator.reconcile.duration")
                .with_unit("s")
                .with_description("How long reconciling a Shop took, by how it ended.")
                .with_boundaries(DURATION_BOUNDARIES.to_vec())
                .build(),
            running,
            queued,
        }
    }

    /// To be told who waits.
    pub(super) fn queued(&self) -> Queued {
        self.queued.clone()
    }

    /// Counts one that runs until what is returned is dropped, and no longer waits.
    pub(super) fn begin(&self, shop: &ObjectRef<GuardedShop>) -> Running {
        self.queued.remove(shop);
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

/// Which Shops wait for their turn since something changed. kube's controller has the queue, and does not show it: this is
/// told what goes in and what comes out. Turns that come by the clock are not in it.
#[derive(Clone, Default)]
pub(super) struct Queued(Arc<Mutex<HashSet<ObjectRef<GuardedShop>>>>);

impl Queued {
    /// Its turn will come.
    pub(super) fn insert(&self, shop: ObjectRef<GuardedShop>) {
        self.shops().insert(shop);
    }

    /// Its turn has come, or it is gone.
    pub(super) fn remove(&self, shop: &ObjectRef<GuardedShop>) {
        self.shops().remove(shop);
    }

    fn depth(&self) -> u64 {
        self.shops().len() as u64
    }

    fn shops(&self) -> MutexGuard<'_, HashSet<ObjectRef<GuardedShop>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts requests to the API server, by verb of HTTP.
pub(crate) fn api_requests() -> Counter<u64> {
    meter()
        .u64_counter("shop_operator.api_server.requests")
        .with_description("Requests to the API server.")
        .build()
}
