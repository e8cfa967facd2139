//! What is done from time to time: removing old idempotency keys, and vacuuming and measuring the outbox.

use std::time::Duration;

use opentelemetry::metrics::Gauge;
use tokio_util::sync::CancellationToken;

use crate::store::Store;

const INTERVAL: Duration = Duration::from_secs(2);
/// So many keys a time that the transaction stays short.
const KEYS_AT_ONCE: i64 = 1_000;
/// The outbox is vacuumed when it has so many dead rows: the relay walks over them to the first live one. Autovacuum
/// looks once a minute, and in a minute of many orders they become a hundred thousand.
const DEAD_ROWS: i64 = 5_000;

/// Runs until shutdown.
pub async fn run(store: Store, retention: Duration, shutdown: CancellationToken) {
    let gauges = Gauges::new();
    while shutdown
        .run_until_cancelled(tokio::time::sleep(INTERVAL))
        .await
        .is_some()
    {
        match store.remove_old_keys(retention, KEYS_AT_ONCE).await {
            Ok(0) => {}
            Ok(removed) => tracing::debug!(removed, "old idempotency keys are removed"),
            Err(error) => tracing::warn!(%error, "old idempotency keys can't be removed now"),
        }
        if let Err(error) = store.vacuum_outbox(DEAD_ROWS).await {
            tracing::warn!(%error, "the outbox can't be vacuumed now");
        }
        match store.backlog().await {
            Ok(backlog) => gauges.record(backlog),
            Err(error) => tracing::warn!(%error, "the outbox can't be measured now"),
        }
    }
}

/// How much is waiting in the outbox.
#[derive(Clone, Copy, Debug)]
pub struct Backlog {
    /// Rows, counted up to 100,000.
    pub rows: i64,
    /// Age of the oldest in seconds; 0 where there is none.
    pub oldest_seconds: f64,
}

struct Gauges {
    rows: Gauge<i64>,
    age: Gauge<f64>,
}

impl Gauges {
    fn new() -> Self {
        let meter = chassis::telemetry::meter();
        Self {
            rows: meter.i64_gauge("shop.outbox.events").with_unit("{event}").build(),
            age: meter.f64_gauge("shop.outbox.oldest.age").with_unit("s").build(),
        }
    }

    fn record(&self, backlog: Backlog) {
        self.rows.record(backlog.rows, &[]);
        self.age.record(backlog.oldest_seconds, &[]);
    }
}
