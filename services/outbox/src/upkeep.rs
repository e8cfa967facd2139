//! What is done from time to time: measuring the outbox, and keeping its table small.

use std::time::Duration;

use chassis::{postgres::Database, telemetry::meter};
use opentelemetry::metrics::Gauge;
use tokio_util::sync::CancellationToken;

use crate::store::{self, Backlog, Rotation};

const INTERVAL: Duration = Duration::from_secs(2);
/// A partition is the oldest for two minutes: with a measurement every two seconds, every fifteenth looks after it.
const ROUNDS_PER_ROTATION: u32 = 15;

/// Runs until shutdown.
pub(crate) async fn run(database: Database, shutdown: CancellationToken) {
    let gauges = Gauges::new();
    let mut rounds_left = 0;
    while shutdown
        .run_until_cancelled(tokio::time::sleep(INTERVAL))
        .await
        .is_some()
    {
        match store::backlog(&database).await {
            Ok(backlog) => gauges.record(backlog),
            Err(error) => tracing::warn!(%error, "the outbox can't be measured now"),
        }
        if rounds_left > 0 {
            rounds_left -= 1;
            continue;
        }
        match store::rotate(&database).await {
            // Soon again: a vacuum that can't remove a row comes back every minute and holds its lock for a moment.
            Ok(Rotation::Locked) => {}
            Ok(Rotation::Emptied | Rotation::Nothing) => rounds_left = ROUNDS_PER_ROTATION - 1,
            Err(error) => tracing::warn!(%error, "the outbox's oldest partition can't be emptied now"),
        }
    }
}

struct Gauges {
    rows: Gauge<i64>,
    age: Gauge<f64>,
    poison: Gauge<i64>,
}

impl Gauges {
    fn new() -> Self {
        let meter = meter();
        Self {
            rows: meter
                .i64_gauge("shop.outbox.events")
                .with_unit("{event}")
                .with_description("Events that are to be published.")
                .build(),
            age: meter
                .f64_gauge("shop.outbox.oldest.age")
                .with_unit("s")
                .with_description("Age of the oldest event that is to be published.")
                .build(),
            poison: meter
                .i64_gauge("shop.outbox.poison.events")
                .with_unit("{event}")
                .with_description(
                    "Events that can't be published and were set aside for a person to look at.",
                )
                .build(),
        }
    }

    fn record(&self, backlog: Backlog) {
        self.rows.record(backlog.rows, &[]);
        self.age.record(backlog.oldest_seconds, &[]);
        self.poison.record(backlog.poison, &[]);
    }
}
