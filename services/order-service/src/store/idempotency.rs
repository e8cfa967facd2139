//! Answers that are given again: reading them, and removing the old ones.

use std::{collections::HashMap, time::Duration};

use sqlx::PgExecutor;
use uuid::Uuid;

use super::Store;
use crate::idempotency::{IdempotencyKey, SavedAnswer};

impl Store {
    /// What an earlier request with each of these keys left behind, in order.
    pub async fn saved_answers(&self, keys: &[IdempotencyKey]) -> sqlx::Result<Vec<Option<SavedAnswer>>> {
        let saved = saved(&self.database, keys.iter()).await?;
        Ok(keys.iter().map(|key| saved.get(&key.name()).cloned()).collect())
    }

    /// Removes the oldest keys past their retention, `limit` at most; says how many. Every replica may: each skips what
    /// another is at.
    pub async fn remove_old_keys(&self, retention: Duration, limit: u32) -> sqlx::Result<u64> {
        // By place in the table: the rows are found once, by their age, and not again by their key.
        let removed = sqlx::query(
            "DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY(
                 SELECT ctid FROM idempotency_keys WHERE created_at < now() - make_interval(secs => $1)
                 ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED
             ))",
        )
        .bind(retention.as_secs_f64())
        .bind(i64::from(limit))
        .execute(&self.database)
        .await?;
        Ok(removed.rows_affected())
    }
}

/// The answers that there are, by whose key it is and the key.
pub(super) async fn saved<'a>(
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
