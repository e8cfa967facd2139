//! All SQL of the outbox.

pub(crate) mod poison;

use std::time::{Duration, Instant};

use chassis::postgres::{Database, Transaction};
use proto::trace::TraceContext;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{Event, fresh::Pending};

/// The first rows that are due and that nobody else holds, at most one of each subject, under lock. `$1`: how many. Its
/// plan at a large backlog is a promise that a test looks after.
pub const SWEEP: &str =
    "SELECT seq, event_id, subject, type, data, traceparent, tracestate, occurred_at, attempts
     FROM outbox_events AS event
     WHERE next_attempt_at <= now()
       AND NOT EXISTS (
           SELECT FROM outbox_events AS earlier
           WHERE earlier.subject = event.subject AND earlier.seq < event.seq
       )
     ORDER BY seq LIMIT $1 FOR UPDATE SKIP LOCKED";

struct Row {
    seq: i64,
    event_id: Uuid,
    subject: Uuid,
    r#type: String,
    data: String,
    traceparent: String,
    tracestate: String,
    occurred_at: OffsetDateTime,
    attempts: i32,
}

chassis::from_row!(Row {
    seq,
    event_id,
    subject,
    r#type,
    data,
    traceparent,
    tracestate,
    occurred_at,
    attempts
});

/// Events that are locked for one attempt. Dropping it unlocks them unchanged.
pub(crate) struct Sweep {
    pub(crate) events: Vec<Pending>,
    transaction: Transaction,
}

/// Locks what [`SWEEP`] finds; none where there is nothing.
pub(crate) async fn sweep(database: &Database, limit: u32) -> sqlx::Result<Option<Sweep>> {
    let mut transaction = database.begin().await?;
    let rows: Vec<Row> = sqlx::query_as(SWEEP)
        .bind(i64::from(limit))
        .fetch_all(&mut transaction)
        .await?;
    if rows.is_empty() {
        transaction.rollback().await?;
        return Ok(None);
    }
    let appended = Instant::now();
    let events = rows.into_iter().map(|row| Pending {
        seq: row.seq,
        attempts: row.attempts,
        event: Event {
            id: row.event_id,
            kind: row.r#type,
            subject: row.subject,
            data: row.data,
            trace: TraceContext {
                traceparent: row.traceparent,
                tracestate: row.tracestate,
            },
            occurred_at: row.occurred_at,
            is_first: false,
        },
        follows: None,
        appended,
    });
    Ok(Some(Sweep {
        events: events.collect(),
        transaction,
    }))
}

/// What is to be written down of an attempt.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Rows whose events the broker has.
    pub(crate) published: Vec<i64>,
    /// Rows that are to be tried again after so long.
    pub(crate) failed: Vec<(i64, Duration)>,
    /// Rows to be set aside, with the reason.
    pub(crate) poison: Vec<(i64, String)>,
}

impl Outcome {
    /// Takes in another attempt's.
    pub(crate) fn extend(&mut self, other: Self) {
        self.published.extend(other.published);
        self.failed.extend(other.failed);
        self.poison.extend(other.poison);
    }
}

impl Sweep {
    /// Writes down how the attempt went, and unlocks.
    pub(crate) async fn finish(mut self, outcome: &Outcome) -> sqlx::Result<()> {
        write(&mut self.transaction, outcome).await?;
        self.transaction.commit().await
    }
}

/// Writes down how an attempt from memory went.
pub(crate) async fn finish(database: &Database, outcome: &Outcome) -> sqlx::Result<()> {
    if outcome.failed.is_empty() && outcome.poison.is_empty() {
        return delete(database, &outcome.published).await;
    }
    let mut transaction = database.begin().await?;
    write(&mut transaction, outcome).await?;
    transaction.commit().await
}

async fn write(transaction: &mut Transaction, outcome: &Outcome) -> sqlx::Result<()> {
    if !outcome.published.is_empty() {
        delete(&mut *transaction, &outcome.published).await?;
    }
    if !outcome.failed.is_empty() {
        sqlx::query(
            "UPDATE outbox_events
             SET attempts = attempts + 1, next_attempt_at = clock_timestamp() + make_interval(secs => failed.pause)
             FROM unnest($1::bigint[], $2::float8[]) AS failed (seq, pause) WHERE outbox_events.seq = failed.seq",
        )
        .bind(outcome.failed.iter().map(|(seq, _)| *seq).collect::<Vec<_>>())
        .bind(outcome.failed.iter().map(|(_, pause)| pause.as_secs_f64()).collect::<Vec<_>>())
        .execute(&mut *transaction)
        .await?;
    }
    if !outcome.poison.is_empty() {
        sqlx::query(
            "WITH poison AS (
                 DELETE FROM outbox_events USING unnest($1::bigint[], $2::text[]) AS refused (seq, reason)
                 WHERE outbox_events.seq = refused.seq
                 RETURNING event_id, subject, type, data, traceparent, tracestate, occurred_at, reason
             )
             INSERT INTO outbox_poison (event_id, subject, type, data, traceparent, tracestate, occurred_at, reason)
             SELECT event_id, subject, type, data, traceparent, tracestate, occurred_at, reason FROM poison
             ON CONFLICT (event_id) DO NOTHING",
        )
        .bind(outcome.poison.iter().map(|(seq, _)| *seq).collect::<Vec<_>>())
        .bind(outcome.poison.iter().map(|(_, reason)| reason.as_str()).collect::<Vec<_>>())
        .execute(&mut *transaction)
        .await?;
    }
    Ok(())
}

async fn delete(executor: impl sqlx::PgExecutor<'_>, published: &[i64]) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM outbox_events WHERE seq = ANY($1)")
        .bind(published)
        .execute(executor)
        .await?;
    Ok(())
}

/// How much there is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backlog {
    /// Events to be published, counted up to 100,000.
    pub(crate) rows: i64,
    /// Age of the oldest in seconds; 0 where there is none.
    pub(crate) oldest_seconds: f64,
    /// Events that were set aside, counted up to 100,000.
    pub(crate) poison: i64,
}

chassis::from_row!(Backlog {
    rows,
    oldest_seconds,
    poison
});

/// Measures the tables.
pub(crate) async fn backlog(database: &Database) -> sqlx::Result<Backlog> {
    sqlx::query_as(
        "SELECT (SELECT count(*) FROM (SELECT FROM outbox_events LIMIT 100000) AS counted) AS rows,
                coalesce((SELECT extract(epoch FROM now() - occurred_at)::float8
                          FROM outbox_events ORDER BY seq LIMIT 1), 0) AS oldest_seconds,
                (SELECT count(*) FROM (SELECT FROM outbox_poison LIMIT 100000) AS counted) AS poison",
    )
    .fetch_one(database)
    .await
}

/// What became of the partition that has been left for longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rotation {
    /// It was empty of events, and holds no dead rows any more.
    Emptied,
    /// There was nothing to do: it has no rows at all, or events that are still to be published.
    Nothing,
    /// Somebody else had it locked: a vacuum, say.
    Locked,
}

/// Empties the partition that has been left for longest, if all of its events are published.
pub(crate) async fn rotate(database: &Database) -> sqlx::Result<Rotation> {
    let (slot, bytes): (i16, i64) = sqlx::query_as(
        "SELECT slot, pg_relation_size(format('outbox_events_%s', slot)::regclass)
         FROM (SELECT ((extract(epoch FROM now())::bigint / 120 + 1) % 3)::smallint AS slot) AS oldest",
    )
    .fetch_one(database)
    .await?;
    let Some(statements) = ROTATIONS.get(usize::try_from(slot).unwrap_or(usize::MAX)) else {
        return Ok(Rotation::Nothing);
    };
    if bytes == 0 {
        return Ok(Rotation::Nothing);
    }
    let mut transaction = database.begin().await?;
    // Whoever comes meanwhile waits behind us: not for long, and for none of our own statements.
    sqlx::query("SET LOCAL lock_timeout = '100ms'")
        .execute(&mut transaction)
        .await?;
    let [lock, is_empty, truncate] = *statements;
    if let Err(error) = sqlx::query(lock).execute(&mut transaction).await {
        transaction.rollback().await?;
        // 55P03: the lock is not to be had; a long dump of the database holds it, say.
        return match error
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::code)
        {
            Some(code) if code == "55P03" => Ok(Rotation::Locked),
            _ => Err(error),
        };
    }
    let (is_empty,): (bool,) = sqlx::query_as(is_empty).fetch_one(&mut transaction).await?;
    if !is_empty {
        transaction.rollback().await?;
        return Ok(Rotation::Nothing);
    }
    sqlx::query(truncate).execute(&mut transaction).await?;
    transaction.commit().await?;
    Ok(Rotation::Emptied)
}

/// For each partition: lock it, look whether it is empty, truncate it.
const ROTATIONS: [[&str; 3]; 3] = [
    [
        "LOCK TABLE outbox_events_0 IN ACCESS EXCLUSIVE MODE",
        "SELECT NOT EXISTS (SELECT FROM outbox_events_0)",
        "TRUNCATE outbox_events_0",
    ],
    [
        "LOCK TABLE outbox_events_1 IN ACCESS EXCLUSIVE MODE",
        "SELECT NOT EXISTS (SELECT FROM outbox_events_1)",
        "TRUNCATE outbox_events_1",
    ],
    [
        "LOCK TABLE outbox_events_2 IN ACCESS EXCLUSIVE MODE",
        "SELECT NOT EXISTS (SELECT FROM outbox_events_2)",
        "TRUNCATE outbox_events_2",
    ],
];
