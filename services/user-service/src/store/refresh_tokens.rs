//! Refresh tokens. Every method that adds or removes some of a user locks the user's row first.

use std::time::Duration;

use chassis::postgres::Transaction;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Store, StoreError, users::columns};
use crate::{password::PasswordHash, session::TokenHash, user::User};

const CLEANING_INTERVAL: Duration = Duration::from_mins(10);
/// How many expired tokens go in one statement: it holds their locks for milliseconds.
const CLEANING_BATCH: u32 = 1_000;

/// What became of a token that was presented.
#[derive(Debug)]
pub(crate) enum Refresh {
    /// It is spent now, and the new one takes its place.
    Rotated(User),
    /// It was spent before; its family has ended.
    Reused {
        /// Whose it was.
        user_id: Uuid,
    },
    /// It is unknown, expired or revoked.
    Invalid,
}

impl Store {
    /// Opens a session of a user whose password was checked against that hash. None where the password was changed or
    /// the account disabled since.
    pub(crate) async fn open_session(
        &self,
        user: Uuid,
        checked: &PasswordHash,
        token: TokenHash,
    ) -> Result<Option<User>, StoreError> {
        let user = sqlx::query_as(concat!(
            "WITH account AS (
                 SELECT ",
            columns!("users"),
            " FROM users WHERE id = $1 AND password_hash = $2 AND NOT disabled FOR NO KEY UPDATE
             ), token AS (
                 INSERT INTO refresh_tokens (token_hash, user_id, family_id, expires_at)
                 SELECT $3, id, $4, now() + make_interval(secs => $5) FROM account
             )
             SELECT ",
            columns!("account"),
            " FROM account",
        ))
        .bind(user)
        .bind(checked.as_str())
        .bind(token)
        .bind(Uuid::now_v7())
        .bind(self.refresh_token_lifetime.as_secs_f64())
        .fetch_optional(&self.database)
        .await?;
        Ok(user)
    }

    /// Spends a token and puts the next in its place, or ends the family of one that was spent before.
    pub(crate) async fn refresh(&self, presented: TokenHash, next: TokenHash) -> Result<Refresh, StoreError> {
        let mut transaction = self.database.begin().await?;
        let Some(user) = lock_owner(&mut transaction, presented).await? else {
            return Ok(Refresh::Invalid);
        };
        let family: Option<Uuid> = sqlx::query_scalar(
            "UPDATE refresh_tokens SET spent_at = now()
             WHERE token_hash = $1 AND spent_at IS NULL AND expires_at > now() RETURNING family_id",
        )
        .bind(presented)
        .fetch_optional(&mut transaction)
        .await?;
        let outcome = if let Some(family) = family {
            sqlx::query(
                "INSERT INTO refresh_tokens (token_hash, user_id, family_id, expires_at)
                 VALUES ($1, $2, $3, now() + make_interval(secs => $4))",
            )
            .bind(next)
            .bind(user.id)
            .bind(family)
            .bind(self.refresh_token_lifetime.as_secs_f64())
            .execute(&mut transaction)
            .await?;
            Refresh::Rotated(user)
        } else if end_family(&mut transaction, presented, true).await? {
            Refresh::Reused { user_id: user.id }
        } else {
            Refresh::Invalid
        };
        transaction.commit().await?;
        Ok(outcome)
    }

    /// Ends the family of a token, if there is one.
    pub(crate) async fn end_session(&self, presented: TokenHash) -> Result<(), StoreError> {
        let mut transaction = self.database.begin().await?;
        if lock_owner(&mut transaction, presented).await?.is_some() {
            end_family(&mut transaction, presented, false).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Ends all sessions of a user whose row the transaction has locked.
    pub(super) async fn revoke_all(transaction: &mut Transaction, user: Uuid) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM refresh_tokens WHERE user_id = $1")
            .bind(user)
            .execute(transaction)
            .await?;
        Ok(())
    }

    /// Removes what has expired, in small batches, now and then. Every replica may: each skips what another is at.
    pub(crate) async fn clean_refresh_tokens(self, shutdown: CancellationToken) {
        loop {
            match self.delete_expired_tokens().await {
                Ok(deleted) if deleted == u64::from(CLEANING_BATCH) && !shutdown.is_cancelled() => continue,
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "expired refresh tokens can't be removed; later"),
            }
            let pause = tokio::time::sleep(CLEANING_INTERVAL);
            if shutdown.run_until_cancelled(pause).await.is_none() {
                return;
            }
        }
    }

    async fn delete_expired_tokens(&self) -> Result<u64, StoreError> {
        let deleted = sqlx::query(
            "DELETE FROM refresh_tokens WHERE token_hash IN (
                 SELECT token_hash FROM refresh_tokens WHERE expires_at < now()
                 ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED
             )",
        )
        .bind(i64::from(CLEANING_BATCH))
        .execute(&self.database)
        .await?;
        Ok(deleted.rows_affected())
    }
}

/// Locks the enabled user whose token this is. What the token's row says must be read after, by another statement: this
/// one may have waited for a transaction that changed it.
async fn lock_owner(transaction: &mut Transaction, presented: TokenHash) -> Result<Option<User>, StoreError> {
    let user = sqlx::query_as(concat!(
        "SELECT ",
        columns!("u"),
        " FROM users u JOIN refresh_tokens t ON t.user_id = u.id
         WHERE t.token_hash = $1 AND NOT u.disabled FOR NO KEY UPDATE OF u",
    ))
    .bind(presented)
    .fetch_optional(transaction)
    .await?;
    Ok(user)
}

/// Whether there was a family to end; of a spent token only, if so asked.
async fn end_family(
    transaction: &mut Transaction,
    presented: TokenHash,
    spent_only: bool,
) -> Result<bool, StoreError> {
    let ended = sqlx::query(
        "DELETE FROM refresh_tokens f USING refresh_tokens t
         WHERE t.token_hash = $1 AND (t.spent_at IS NOT NULL OR NOT $2)
           AND f.user_id = t.user_id AND f.family_id = t.family_id",
    )
    .bind(presented)
    .bind(spent_only)
    .execute(transaction)
    .await?;
    Ok(ended.rows_affected() > 0)
}
