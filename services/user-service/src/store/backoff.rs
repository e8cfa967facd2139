//! Attempts in a row that failed ([`crate::backoff`]). Each statement is a transaction of its own, which takes the lock of
//! one row and waits for no other.

use std::time::Duration;

use chassis::postgres::Transaction;

use super::{Store, StoreError};
use crate::backoff::{Attempt, FREE, Lane, MOST_LANES, REMEMBERED, waits};

/// How many rows go in one statement.
const CLEANING_BATCH: i64 = 1_000;

impl Store {
    /// Counts an attempt, before anybody knows whether it is right.
    pub(crate) async fn count_attempt(&self, lane: &Lane) -> Result<Attempt, StoreError> {
        let counted: Option<i32> = sqlx::query_scalar(
            "INSERT INTO login_backoffs AS b (lane, failures) VALUES ($1, 1)
             ON CONFLICT (lane) DO UPDATE SET
                 failures = b.failures + 1,
                 last_at = now(),
                 -- None where there is no such wait: the first are free.
                 refused_until = now()
                     + make_interval(secs => ($2::float8[])[least(b.failures + 2 - $3, cardinality($2))])
             WHERE b.refused_until IS NULL OR b.refused_until <= now()
             RETURNING b.failures",
        )
        .bind(lane.as_bytes())
        .bind(waits())
        .bind(FREE)
        .fetch_optional(&self.database)
        .await?;
        if let Some(failures) = counted {
            return Ok(Attempt::Counted(failures));
        }
        let left: Option<f64> = sqlx::query_scalar(
            "SELECT extract(epoch FROM refused_until - now())::float8 FROM login_backoffs
             WHERE lane = $1 AND refused_until > now()",
        )
        .bind(lane.as_bytes())
        .fetch_optional(&self.database)
        .await?;
        // The wait may be over since.
        let left = left.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        Ok(Attempt::Refused(left.unwrap_or(Duration::from_millis(1))))
    }

    /// Takes back an attempt that was not found to be wrong, and the wait that it began.
    pub(crate) async fn take_back_attempt(&self, lane: &Lane) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE login_backoffs SET failures = failures - 1, refused_until = NULL
             WHERE lane = $1 AND failures > 0",
        )
        .bind(lane.as_bytes())
        .execute(&self.database)
        .await?;
        Ok(())
    }

    /// Forgets the failures of a lane: the last attempt was right.
    pub(super) async fn forget_attempts(
        transaction: &mut Transaction,
        lane: &Lane,
    ) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM login_backoffs WHERE lane = $1")
            .bind(lane.as_bytes())
            .execute(transaction)
            .await?;
        Ok(())
    }

    /// Removes what lies too long, and what is too many.
    pub(super) async fn delete_old_attempts(&self) -> Result<(), StoreError> {
        loop {
            let old = sqlx::query(
                "DELETE FROM login_backoffs WHERE lane IN (
                     SELECT lane FROM login_backoffs WHERE last_at < now() - make_interval(secs => $1)
                     ORDER BY last_at LIMIT $2 FOR UPDATE SKIP LOCKED
                 )",
            )
            .bind(REMEMBERED.as_secs_f64())
            .bind(CLEANING_BATCH)
            .execute(&self.database)
            .await?;
            if old.rows_affected() < CLEANING_BATCH.unsigned_abs() {
                break;
            }
        }
        sqlx::query(
            "DELETE FROM login_backoffs WHERE lane IN (
                 SELECT lane FROM login_backoffs ORDER BY failures DESC, last_at DESC OFFSET $1
             )",
        )
        .bind(MOST_LANES)
        .execute(&self.database)
        .await?;
        Ok(())
    }
}
