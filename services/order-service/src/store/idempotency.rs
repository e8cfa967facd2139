//! Answers that are given again.

use chassis::idempotency::{IdempotencyKey, SavedAnswer, table::saved};

use super::Store;

impl Store {
    /// What an earlier request with each of these keys left behind, in order.
    pub async fn saved_answers(&self, keys: &[IdempotencyKey]) -> sqlx::Result<Vec<Option<SavedAnswer>>> {
        let saved = saved(&self.database, keys.iter()).await?;
        Ok(keys.iter().map(|key| saved.get(&key.name()).cloned()).collect())
    }
}
