//! Sessions: what is known of them beside their tokens. Every method that adds or removes some of a user locks the
//! user's row first.

use chassis::{grpc::Principal, open_enum::Open, postgres::Transaction};
use sqlx::{FromRow, Row as _, postgres::PgRow};
use uuid::Uuid;

use super::{Store, StoreError};
use crate::{
    audited,
    session::{MOST, Origin, RefreshToken, Seed, Session},
    user::{Holder, Role, Standing},
};

/// A session that is opened, and its first token.
pub(crate) struct NewSession {
    pub(crate) id: Uuid,
    pub(crate) seed: Seed,
    pub(crate) token: RefreshToken,
    pub(crate) origin: Origin,
}

impl NewSession {
    /// With an id, a seed and a token of its own.
    pub(crate) fn from(origin: Origin) -> Self {
        let (id, seed) = (Uuid::now_v7(), Seed::generate());
        Self {
            token: RefreshToken::first(id, &seed),
            id,
            seed,
            origin,
        }
    }
}

impl FromRow<'_, PgRow> for Session {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            created_at: row.try_get("created_at")?,
            last_used_at: row.try_get("last_used_at")?,
            expires_at: row.try_get("expires_at")?,
            origin: Origin {
                address: row.try_get("address")?,
                user_agent: row.try_get("user_agent")?,
            },
        })
    }
}

impl FromRow<'_, PgRow> for Standing {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let role: Option<&str> = row.try_get("role")?;
        let disabled: Option<bool> = row.try_get("disabled")?;
        Ok(match (role, disabled) {
            (Some(role), Some(disabled)) => Self::Account {
                role: Open::<Role>::parse(role),
                disabled,
                session_ended: row.try_get("session_ended")?,
                second_factor: row.try_get("second_factor")?,
            },
            _ => Self::Unknown,
        })
    }
}

impl Store {
    /// Opens a session of a user whose row the transaction has locked, with or without the second factor; the one used
    /// longest ago ends where there are too many.
    pub(super) async fn add_session(
        &self,
        transaction: &mut Transaction,
        user: Uuid,
        new: &NewSession,
        second_factor: bool,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "WITH session AS (
                 INSERT INTO sessions
                     (id, user_id, authenticated_at, ends_at, address, user_agent, seed, second_factor)
                 VALUES ($1, $2, now(), now() + make_interval(secs => $3), $4, $5, $6, $9)
                 RETURNING id, user_id, ends_at
             )
             INSERT INTO refresh_tokens (token_hash, user_id, family_id, expires_at)
             SELECT $7, user_id, id, least(ends_at, now() + make_interval(secs => $8)) FROM session",
        )
        .bind(new.id)
        .bind(user)
        .bind(self.lifetimes.session.as_secs_f64())
        .bind(&new.origin.address)
        .bind(&new.origin.user_agent)
        .bind(new.seed.0)
        .bind(new.token.hash())
        .bind(self.lifetimes.refresh_token.as_secs_f64())
        .bind(second_factor)
        .execute(&mut *transaction)
        .await?;
        bound_sessions(transaction, user).await
    }

    /// The live sessions of a user, the one used last first.
    pub(crate) async fn sessions(&self, user: Uuid) -> Result<Vec<Session>, StoreError> {
        let sessions = sqlx::query_as(
            "SELECT s.id, s.created_at, s.last_used_at, least(t.expires_at, s.ends_at) AS expires_at, s.address,
                    s.user_agent
             FROM sessions s
             JOIN refresh_tokens t ON t.user_id = s.user_id AND t.family_id = s.id AND t.spent_at IS NULL
             WHERE s.user_id = $1 AND t.expires_at > now() AND s.ends_at > now()
             ORDER BY s.last_used_at DESC, s.id DESC LIMIT $2",
        )
        .bind(user)
        .bind(MOST)
        .fetch_all(&self.database)
        .await?;
        Ok(sessions)
    }

    /// Ends one session of a user, or all.
    pub(crate) async fn end_sessions(
        &self,
        principal: &Principal,
        user: Uuid,
        session: Option<Uuid>,
    ) -> Result<(), StoreError> {
        let mut transaction = self.database.begin().await?;
        sqlx::query("SELECT FROM users WHERE id = $1 FOR NO KEY UPDATE")
            .bind(user)
            .execute(&mut transaction)
            .await?;
        let record = if let Some(session) = session {
            if !end_session(&mut transaction, user, session).await? {
                return Err(StoreError::NoSession);
            }
            audited::session_ended(user, session)
        } else {
            Self::revoke_all(&mut transaction, user).await?;
            audited::sessions_ended(user)
        };
        audit::append(&mut transaction, principal, &[record]).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// What each account and session is now, in the order in which they are asked for.
    pub(crate) async fn standings(&self, holders: &[Holder]) -> Result<Vec<Standing>, StoreError> {
        let (users, sessions): (Vec<Uuid>, Vec<Option<Uuid>>) =
            holders.iter().map(|holder| (holder.user, holder.session)).unzip();
        let standings = sqlx::query_as(
            "SELECT u.role, u.disabled,
                    holder.session_id IS NOT NULL AND (
                        NOT EXISTS (
                            SELECT FROM refresh_tokens t
                            WHERE t.family_id = holder.session_id AND t.spent_at IS NULL
                              AND t.user_id = holder.user_id AND t.expires_at > now()
                        ) OR EXISTS (
                            SELECT FROM sessions s WHERE s.id = holder.session_id AND s.ends_at <= now()
                        )
                    ) AS session_ended,
                    EXISTS (
                        SELECT FROM sessions s
                        WHERE s.id = holder.session_id AND s.user_id = holder.user_id AND s.second_factor
                    ) AS second_factor
             FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS holder (user_id, session_id, position)
             LEFT JOIN users u ON u.id = holder.user_id
             ORDER BY holder.position",
        )
        .bind(users)
        .bind(sessions)
        .fetch_all(&self.database)
        .await?;
        Ok(standings)
    }
}

/// Ends the sessions of a user beyond those that it may have. Those whose tokens are gone go first.
pub(super) async fn bound_sessions(transaction: &mut Transaction, user: Uuid) -> Result<(), StoreError> {
    sqlx::query(
        "WITH ended AS (
             DELETE FROM sessions WHERE id IN (
                 SELECT s.id FROM sessions s WHERE s.user_id = $1
                 ORDER BY EXISTS (
                     SELECT FROM refresh_tokens t
                     WHERE t.user_id = s.user_id AND t.family_id = s.id AND t.spent_at IS NULL
                 ) DESC, s.last_used_at DESC, s.id DESC OFFSET $2
             ) RETURNING id
         )
         DELETE FROM refresh_tokens t USING ended WHERE t.user_id = $1 AND t.family_id = ended.id",
    )
    .bind(user)
    .bind(MOST)
    .execute(transaction)
    .await?;
    Ok(())
}

/// Ends a session of a user whose row the transaction has locked. Whether there was one.
pub(super) async fn end_session(
    transaction: &mut Transaction,
    user: Uuid,
    session: Uuid,
) -> Result<bool, StoreError> {
    let ended = sqlx::query(
        "WITH session AS (DELETE FROM sessions WHERE id = $2 AND user_id = $1)
         DELETE FROM refresh_tokens WHERE user_id = $1 AND family_id = $2",
    )
    .bind(user)
    .bind(session)
    .execute(transaction)
    .await?;
    Ok(ended.rows_affected() > 0)
}
