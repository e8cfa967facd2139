//! Devices from which somebody has logged in. Every method that adds or removes some of a user is called with the user's
//! row locked.

use chassis::postgres::Transaction;
use uuid::Uuid;

use super::{Store, StoreError};
use crate::backoff::{DEVICE_LIFETIME, DeviceToken, MOST_DEVICES};

impl Store {
    /// Whether somebody has logged in with that account from there. It costs the same where there is no account.
    pub(crate) async fn knows_device(
        &self,
        user: Option<Uuid>,
        token: &DeviceToken,
    ) -> Result<bool, StoreError> {
        let known = sqlx::query_scalar(
            "SELECT EXISTS (
                 SELECT FROM known_devices WHERE token_hash = $1 AND user_id = $2 AND expires_at > now()
             )",
        )
        .bind(token.hash())
        .bind(user)
        .fetch_one(&self.database)
        .await?;
        Ok(known)
    }

    /// Knows it from now on.
    pub(super) async fn remember_device(
        transaction: &mut Transaction,
        user: Uuid,
        token: &DeviceToken,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO known_devices AS d (token_hash, user_id, expires_at)
             VALUES ($1, $2, now() + make_interval(secs => $3))
             ON CONFLICT (token_hash) DO UPDATE SET last_used_at = now(), expires_at = excluded.expires_at
             WHERE d.user_id = excluded.user_id",
        )
        .bind(token.hash())
        .bind(user)
        .bind(DEVICE_LIFETIME.as_secs_f64())
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "DELETE FROM known_devices WHERE token_hash IN (
                 SELECT token_hash FROM known_devices WHERE user_id = $1
                 ORDER BY last_used_at DESC, token_hash OFFSET $2
             )",
        )
        .bind(user)
        .bind(MOST_DEVICES)
        .execute(transaction)
        .await?;
        Ok(())
    }

    /// Forgets all devices of a user but that one.
    pub(super) async fn forget_devices(
        transaction: &mut Transaction,
        user: Uuid,
        but: Option<&DeviceToken>,
    ) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM known_devices WHERE user_id = $1 AND token_hash IS DISTINCT FROM $2")
            .bind(user)
            .bind(but.map(DeviceToken::hash))
            .execute(transaction)
            .await?;
        Ok(())
    }

    /// Removes those that have expired.
    pub(super) async fn delete_expired_devices(&self) -> Result<(), StoreError> {
        sqlx::query(
            "DELETE FROM known_devices WHERE token_hash IN (
                 SELECT token_hash FROM known_devices WHERE expires_at < now()
                 ORDER BY expires_at LIMIT 1000 FOR UPDATE SKIP LOCKED
             )",
        )
        .execute(&self.database)
        .await?;
        Ok(())
    }
}
