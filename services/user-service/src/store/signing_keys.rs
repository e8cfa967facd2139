//! Signing keys that the service makes itself.

use std::time::Duration;

use sqlx::{FromRow, PgExecutor, Row as _, postgres::PgRow};

use super::{Store, StoreError};
use crate::signing_key::{MadeKey, PrivateKey, Rotation};

/// Of many replicas one makes a key. Any number will do that nothing else locks in this database.
const ROTATION_LOCK: i64 = 0x7368_6f70_6b65_7973;

impl FromRow<'_, PgRow> for MadeKey {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let age: f64 = row.try_get("age")?;
        Ok(Self {
            private: PrivateKey::from_der(row.try_get("private_key")?),
            age: Duration::try_from_secs_f64(age).unwrap_or_default(),
        })
    }
}

impl Store {
    /// The keys, newest first, after the changes that are due: there is always one.
    pub(crate) async fn rotate_signing_keys(&self, rotation: &Rotation) -> Result<Vec<MadeKey>, StoreError> {
        let keys = keys(&self.database).await?;
        let known = ages(&keys);
        if !rotation.is_due(&known) && rotation.needed(&known) == known.len() {
            return Ok(keys);
        }
        let mut transaction = self.database.begin().await?;
        sqlx::query("SELECT pg_advisory_xact_lock($1)")
            .bind(ROTATION_LOCK)
            .execute(&mut transaction)
            .await?;
        // Read again: another replica may have been faster.
        let mut keys = self::keys(&mut transaction).await?;
        if rotation.is_due(&ages(&keys)) {
            let key = PrivateKey::generate()?;
            sqlx::query(
                "INSERT INTO signing_keys (key_id, private_key, created_at) VALUES ($1, $2, clock_timestamp())",
            )
            .bind(key.public()?.key_id)
            .bind(key.as_der())
            .execute(&mut transaction)
            .await?;
            keys = self::keys(&mut transaction).await?;
        }
        keys.truncate(rotation.needed(&ages(&keys)));
        let mut needed = Vec::with_capacity(keys.len());
        for key in &keys {
            needed.push(key.private.public()?.key_id);
        }
        sqlx::query("DELETE FROM signing_keys WHERE key_id <> ALL($1)")
            .bind(needed)
            .execute(&mut transaction)
            .await?;
        transaction.commit().await?;
        Ok(keys)
    }
}

async fn keys(executor: impl PgExecutor<'_>) -> Result<Vec<MadeKey>, StoreError> {
    let keys = sqlx::query_as(
        "SELECT private_key, extract(epoch FROM clock_timestamp() - created_at)::float8 AS age
         FROM signing_keys ORDER BY created_at DESC",
    )
    .fetch_all(executor)
    .await?;
    Ok(keys)
}

fn ages(keys: &[MadeKey]) -> Vec<Duration> {
    keys.iter().map(|key| key.age).collect()
}
