//! The table of keys, `idempotency_keys (user_id, key, request_digest, answer, created_at)` of a service's own migrations.
//! A row is written in the transaction of what the request has made: there is never a key without it, nor the other way.

use std::{collections::HashMap, time::Duration};

use sqlx::PgExecutor;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{IdempotencyKey, Repetition, SavedAnswer};
use crate::postgres::{Database, Transaction};

const INTERVAL: Duration = Duration::from_secs(2);
/// So many keys a time that the transaction stays short.
const KEYS_AT_ONCE: u32 = 1_000;

/// What a request with a key is, to the transaction that is to do what it asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The first with its key, which is held until the transaction ends.
    Mine,
    /// There was one before it.
    Repeated(Repetition),
    /// Its twin is being worked on right now.
    InFlight,
}

/// Takes each key for the transaction, if nobody has it, and says so, in order. A key is held by an advisory lock until
/// the transaction ends: who does not get it at once knows that its twin is in flight, and nothing is left behind if that
/// one dies. The same transaction is given a key again.
pub async fn lock(transaction: &mut Transaction, keys: &[&IdempotencyKey]) -> sqlx::Result<Vec<bool>> {
    sqlx::query_scalar(
        "SELECT pg_try_advisory_xact_lock(hashtextextended(user_id || ' ' || key, 0))
         FROM unnest($1::uuid[], $2::text[]) WITH ORDINALITY AS keys (user_id, key, position) ORDER BY position",
    )
    .bind(keys.iter().map(|key| key.user_id).collect::<Vec<_>>())
    .bind(keys.iter().map(|key| key.key.as_str()).collect::<Vec<_>>())
    .fetch_all(&mut *transaction)
    .await
}

/// The answers that there are, by whose key it is and the key.
pub async fn saved<'a>(
    executor: impl PgExecutor<'_>,
    keys: impl Iterator<Item = &'a IdempotencyKey> + Clone,
) -> sqlx::Result<HashMap<(Uuid, String), SavedAnswer>> {
    let rows: Vec<(Uuid, String, Vec<u8>, Vec<u8>)> = sqlx::query_as(
        "SELECT user_id, key, request_digest, answer FROM idempotency_keys
         WHERE (user_id, key) IN (
             SELECT wanted.user_id, wanted.key FROM unnest($1::uuid[], $2::text[]) AS wanted (user_id, key)
         )",
    )
    .bind(keys.clone().map(|key| key.user_id).collect::<Vec<_>>())
    .bind(keys.map(|key| key.key.as_str()).collect::<Vec<_>>())
    .fetch_all(executor)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(user_id, key, digest, answer)| ((user_id, key), SavedAnswer { digest, answer }))
        .collect())
}

/// Takes one key for the transaction; see [`lock`].
pub async fn claim(transaction: &mut Transaction, key: &IdempotencyKey) -> sqlx::Result<Claim> {
    let locked = lock(transaction, &[key]).await?;
    // After the lock: a twin that has just committed is seen.
    let mut saved = saved(&mut *transaction, std::iter::once(key)).await?;
    Ok(match saved.remove(&key.name()) {
        Some(answer) => Claim::Repeated(key.compare(answer)),
        None if locked.contains(&true) => Claim::Mine,
        None => Claim::InFlight,
    })
}

/// Keeps the answer of a request whose key is held.
pub async fn keep(transaction: &mut Transaction, key: &IdempotencyKey, answer: &[u8]) -> sqlx::Result<()> {
    sqlx::query("INSERT INTO idempotency_keys (user_id, key, request_digest, answer) VALUES ($1, $2, $3, $4)")
        .bind(key.user_id)
        .bind(&key.key)
        .bind(&key.digest)
        .bind(answer)
        .execute(&mut *transaction)
        .await
        .map(drop)
}

/// Removes the oldest keys past their retention, `limit` at most; says how many. Every replica may: each skips what
/// another is at.
async fn remove_old(executor: impl PgExecutor<'_>, retention: Duration, limit: u32) -> sqlx::Result<u64> {
    // By place in the table: the rows are found once, by their age, and not again by their key.
    let removed = sqlx::query(
        "DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY(
             SELECT ctid FROM idempotency_keys WHERE created_at < now() - make_interval(secs => $1)
             ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED
         ))",
    )
    .bind(retention.as_secs_f64())
    .bind(i64::from(limit))
    .execute(executor)
    .await?;
    Ok(removed.rows_affected())
}

/// Removes old keys, batch after batch until none is left, and looks again a little later, until shutdown: the table
/// shrinks however fast keys came.
pub async fn remove_old_keys(database: Database, retention: Duration, shutdown: CancellationToken) {
    while !shutdown.is_cancelled() {
        match remove_old(&database, retention, KEYS_AT_ONCE).await {
            Ok(0) => {}
            Ok(removed) => {
                tracing::debug!(removed, "old idempotency keys are removed");
                if removed >= u64::from(KEYS_AT_ONCE) {
                    continue;
                }
            }
            Err(error) => tracing::warn!(%error, "old idempotency keys can't be removed now"),
        }
        // Cancelled or not, the condition of the loop says how it goes on.
        let _ended = shutdown.run_until_cancelled(tokio::time::sleep(INTERVAL)).await;
    }
}
