//! What the pool of sessions is doing, by the names of the semantic conventions. It is looked at when somebody reads the
//! metrics, and costs statements nothing.

use std::sync::LazyLock;

use deadpool::{
    Status,
    managed::{Manager, Pool},
};
use opentelemetry::{
    KeyValue,
    metrics::{AsyncInstrument, AsyncInstrumentBuilder, Counter, ObservableUpDownCounter},
};

use crate::telemetry::meter;

/// Has the metrics tell of `pool` for as long as it is in use. `name` is the database's.
pub(super) fn observe<M>(pool: &Pool<M>, name: String)
where
    M: Manager + 'static,
    Pool<M>: Send + Sync,
{
    let pool_name = KeyValue::new("db.client.connection.pool.name", name);
    let gauge = |instrument: Gauge<'_>, read: Read| {
        let (pool, pool_name) = (pool.weak(), pool_name.clone());
        instrument
            .with_callback(move |observer| {
                if let Some(pool) = pool.upgrade() {
                    read(&pool.status(), &pool_name, observer);
                }
            })
            .build();
    };
    gauge(
        meter()
            .i64_observable_up_down_counter("db.client.connection.count")
            .with_description("Sessions with the database, by whether a statement or a transaction has them")
            .with_unit("{connection}"),
        |status, pool_name, observer| {
            let idle = status.available.min(status.size);
            for (state, sessions) in [("idle", idle), ("used", status.size - idle)] {
                let state = KeyValue::new("db.client.connection.state", state);
                observer.observe(number(sessions), &[pool_name.clone(), state]);
            }
        },
    );
    gauge(
        meter()
            .i64_observable_up_down_counter("db.client.connection.max")
            .with_description("The most sessions with the database (DATABASE_MAX_CONNECTIONS)")
            .with_unit("{connection}"),
        |status, pool_name, observer| {
            observer.observe(number(status.max_size), std::slice::from_ref(pool_name));
        },
    );
    gauge(
        meter()
            .i64_observable_up_down_counter("db.client.connection.pending_requests")
            .with_description("Statements and transactions that wait for a session")
            .with_unit("{request}"),
        |status, pool_name, observer| {
            observer.observe(number(status.waiting), std::slice::from_ref(pool_name));
        },
    );
    TIMED_OUT.add(0, &[]);
}

type Gauge<'a> = AsyncInstrumentBuilder<'a, ObservableUpDownCounter<i64>, i64>;
type Read = fn(&Status, &KeyValue, &dyn AsyncInstrument<i64>);

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Counts a wait for a session that was given up.
pub(super) fn timed_out() {
    TIMED_OUT.add(1, &[]);
}

static TIMED_OUT: LazyLock<Counter<u64>> = LazyLock::new(|| {
    meter()
        .u64_counter("db.client.connection.timeouts")
        .with_description("Waits for a session with the database that were given up")
        .with_unit("{timeout}")
        .build()
});
