//! Taking events from the outbox, and old keys from their table.

use std::time::Duration;

use chassis::postgres::Transaction;
use proto::trace::TraceContext;
use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Store, event_type};
use crate::{housekeeping::Backlog, outbox::Event};

/// Events that are locked for one attempt. Dropping it unlocks them unchanged.
#[derive(Debug)]
pub struct Batch {
    /// In the order in which they are to be published.
    pub events: Vec<PendingEvent>,
    transaction: Transaction,
}

/// An event and its place in the outbox.
#[derive(Clone, Debug)]
pub struct PendingEvent {
    /// Its row.
    pub seq: i64,
    /// How often it was tried in vain.
    pub attempts: i32,
    /// Itself.
    pub event: Event,
}

/// How an attempt went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The broker has it.
    Published {
        /// The row.
        seq: i64,
    },
    /// It is to be tried again.
    Failed {
        /// The row.
        seq: i64,
        /// After this long.
        retry_in: Duration,
    },
}

/// `$1`: how many. Its plan at a large backlog is a promise that a test looks after.
pub const TAKE_EVENTS: &str =
    "SELECT seq, event_id, order_id, type, data, traceparent, tracestate, occurred_at, attempts
     FROM outbox AS event
     WHERE next_attempt_at <= now()
       AND NOT EXISTS (
           SELECT FROM outbox AS earlier WHERE earlier.order_id = event.order_id AND earlier.seq < event.seq
       )
     ORDER BY seq LIMIT $1 FOR UPDATE SKIP LOCKED";

#[derive(FromRow)]
struct Row {
    seq: i64,
    event_id: Uuid,
    order_id: Uuid,
    r#type: String,
    data: String,
    traceparent: String,
    tracestate: String,
    occurred_at: OffsetDateTime,
    attempts: i32,
}

impl Store {
    /// Locks the first events that are due and that nobody else holds, at most one of each order; none if there is
    /// nothing to do.
    pub async fn take_events(&self, limit: u32) -> sqlx::Result<Option<Batch>> {
        let mut transaction = self.database.begin().await?;
        let rows: Vec<Row> = sqlx::query_as(TAKE_EVENTS)
            .bind(i64::from(limit))
            .fetch_all(&mut transaction)
            .await?;
        if rows.is_empty() {
            transaction.rollback().await?;
            return Ok(None);
        }
        let events = rows
            .into_iter()
            .map(PendingEvent::try_from)
            .collect::<sqlx::Result<_>>()?;
        Ok(Some(Batch { events, transaction }))
    }

    /// Vacuums the outbox if it has that many dead rows, unless somebody else is doing so.
    pub async fn vacuum_outbox(&self, dead_rows: i64) -> sqlx::Result<()> {
        let dead: i64 =
            sqlx::query_scalar("SELECT n_dead_tup FROM pg_stat_all_tables WHERE relid = 'outbox'::regclass")
                .fetch_one(&self.database)
                .await?;
        if dead >= dead_rows {
            // Without giving the end of the file back, which would lock the relays out for a moment.
            sqlx::query("VACUUM (SKIP_LOCKED, TRUNCATE OFF) outbox")
                .execute(&self.database)
                .await?;
        }
        Ok(())
    }

    /// How much is waiting.
    pub async fn backlog(&self) -> sqlx::Result<Backlog> {
        let (rows, oldest_seconds) = sqlx::query_as(
            "SELECT (SELECT count(*) FROM (SELECT FROM outbox LIMIT 100000) AS counted),
                    coalesce((SELECT extract(epoch FROM now() - occurred_at)::float8 FROM outbox ORDER BY seq LIMIT 1), 0)",
        )
        .fetch_one(&self.database)
        .await?;
        Ok(Backlog { rows, oldest_seconds })
    }

    /// Removes the oldest keys past their retention, `limit` at most; says how many.
    pub async fn remove_old_keys(&self, retention: Duration, limit: i64) -> sqlx::Result<u64> {
        let removed = sqlx::query(
            "DELETE FROM idempotency_keys WHERE (user_id, key) IN (
                 SELECT user_id, key FROM idempotency_keys
                 WHERE created_at < now() - make_interval(secs => $1) ORDER BY created_at LIMIT $2
             )",
        )
        .bind(retention.as_secs_f64())
        .bind(limit)
        .execute(&self.database)
        .await?;
        Ok(removed.rows_affected())
    }
}

impl Batch {
    /// Records how the attempts went, and unlocks.
    pub async fn finish(mut self, attempts: &[Attempt]) -> sqlx::Result<()> {
        let mut published = Vec::with_capacity(attempts.len());
        let (mut failed, mut pauses) = (Vec::new(), Vec::new());
        for attempt in attempts {
            match attempt {
                Attempt::Published { seq } => published.push(*seq),
                Attempt::Failed { seq, retry_in } => {
                    failed.push(*seq);
                    pauses.push(retry_in.as_secs_f64());
                }
            }
        }
        if !published.is_empty() {
            sqlx::query("DELETE FROM outbox WHERE seq = ANY($1)")
                .bind(published)
                .execute(&mut self.transaction)
                .await?;
        }
        if !failed.is_empty() {
            sqlx::query(
                "UPDATE outbox
                 SET attempts = attempts + 1, next_attempt_at = clock_timestamp() + make_interval(secs => failed.pause)
                 FROM unnest($1::bigint[], $2::float8[]) AS failed (seq, pause) WHERE outbox.seq = failed.seq",
            )
            .bind(failed)
            .bind(pauses)
            .execute(&mut self.transaction)
            .await?;
        }
        self.transaction.commit().await
    }
}

impl TryFrom<Row> for PendingEvent {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> sqlx::Result<Self> {
        Ok(Self {
            seq: row.seq,
            attempts: row.attempts,
            event: Event {
                id: row.event_id,
                order_id: row.order_id,
                kind: event_type(&row.r#type)?,
                data: row.data,
                trace: TraceContext {
                    traceparent: row.traceparent,
                    tracestate: row.tracestate,
                },
                occurred_at: row.occurred_at,
            },
        })
    }
}
