//! Refresh tokens. Every method that adds or removes some of a user locks the user's row first.

use chassis::{grpc::Principal, postgres::Transaction};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    NewSession, Store, StoreError,
    sessions::{bound_sessions, end_session},
    users::{acting, columns},
};
use crate::{
    audited,
    backoff::{DeviceToken, Lane},
    password::PasswordHash,
    second_factor::{Given, Passed},
    session::{Authentication, GRACE, Origin, RefreshToken, Seed, TokenHash},
    user::User,
};

/// How many expired tokens go in one statement: it holds their locks for milliseconds.
const CLEANING_BATCH: u32 = 1_000;

/// What became of a token that was presented.
#[derive(Debug)]
pub(crate) enum Refresh {
    /// It is spent now, and the next is in its place.
    Rotated {
        /// Whose it is.
        user: User,
        /// Its session.
        authentication: Authentication,
        /// What takes its place.
        next: RefreshToken,
    },
    /// It was spent before; its family has ended.
    Reused {
        /// Whose it was.
        user_id: Uuid,
    },
    /// It is unknown, expired or revoked.
    Invalid,
}

/// What somebody has proven, and what he may have to prove yet.
pub(crate) struct Proven<'a> {
    /// The hash that the password was checked against.
    pub(crate) password: &'a PasswordHash,
    /// What was given for the second factor.
    pub(crate) second_factor: &'a Given,
    /// Whose failures are forgotten.
    pub(crate) lane: &'a Lane,
    /// What is known from now on.
    pub(crate) device: &'a DeviceToken,
}

/// What became of opening a session.
#[derive(Debug)]
pub(crate) enum Opened {
    /// It is open. Whether a recovery code was spent for it.
    Session(User, bool),
    /// The password was changed or the account disabled meanwhile.
    NotAnyMore,
    /// The second factor is missing.
    NeedsSecondFactor,
    /// The second factor is wrong.
    WrongSecondFactor,
}

/// A token that is known.
struct Known {
    family_id: Uuid,
    spent: bool,
    /// Spent so lately that the answer may not have arrived.
    graced: bool,
    expired: bool,
}

chassis::from_row!(Known {
    family_id,
    spent,
    graced,
    expired
});

/// A session that is known.
struct Keeping {
    seed: [u8; 32],
    authenticated_at: Option<OffsetDateTime>,
    ended: bool,
}

chassis::from_row!(Keeping {
    seed,
    authenticated_at,
    ended
});

impl Store {
    /// Opens a session of a user who has proven what he is asked for, knows the device from now on, and forgets the
    /// failures of the lane.
    pub(crate) async fn open_session(
        &self,
        user: Uuid,
        proven: Proven<'_>,
        new: &NewSession,
    ) -> Result<Opened, StoreError> {
        let mut transaction = self.database.begin().await?;
        let user: Option<User> = sqlx::query_as(concat!(
            "SELECT ",
            columns!("users"),
            " FROM users WHERE id = $1 AND password_hash = $2 AND NOT disabled FOR NO KEY UPDATE",
        ))
        .bind(user)
        .bind(proven.password.as_str())
        .fetch_optional(&mut transaction)
        .await?;
        let Some(user) = user else {
            return Ok(Opened::NotAnyMore);
        };
        let passed = Self::pass_second_factor(&mut transaction, user.id, proven.second_factor).await?;
        match passed {
            Passed::Missing => return Ok(Opened::NeedsSecondFactor),
            Passed::Wrong => return Ok(Opened::WrongSecondFactor),
            Passed::NotNeeded | Passed::ByCode | Passed::ByRecovery => {}
        }
        self.add_session(&mut transaction, user.id, new, passed != Passed::NotNeeded)
            .await?;
        Self::remember_device(&mut transaction, user.id, proven.device).await?;
        Self::forget_attempts(&mut transaction, proven.lane).await?;
        transaction.commit().await?;
        Ok(Opened::Session(user, passed == Passed::ByRecovery))
    }

    /// Spends a token and puts the next in its place, or ends the family of one that was spent before.
    pub(crate) async fn refresh(
        &self,
        principal: &Principal,
        presented: &RefreshToken,
        origin: &Origin,
    ) -> Result<Refresh, StoreError> {
        let mut transaction = self.database.begin().await?;
        let Some(user) = lock_owner(&mut transaction, presented).await? else {
            return Ok(Refresh::Invalid);
        };
        let known: Option<Known> = sqlx::query_as(
            "SELECT family_id, spent_at IS NOT NULL AS spent, expires_at <= now() AS expired,
                    COALESCE(spent_at > now() - make_interval(secs => $2), false) AS graced
             FROM refresh_tokens WHERE token_hash = $1",
        )
        .bind(presented.hash())
        .bind(GRACE.as_secs_f64())
        .fetch_optional(&mut transaction)
        .await?;
        let outcome = match known {
            Some(token) if !token.spent && token.expired => Refresh::Invalid,
            Some(token) if !token.spent => {
                self.rotate(&mut transaction, user, &token, presented, origin)
                    .await?
            }
            Some(token) => match successor(&mut transaction, &user, &token, presented).await? {
                Some(repeated) => repeated,
                None => reused(&mut transaction, principal, &user, token.family_id).await?,
            },
            // The row of a token before the last spent one is gone, and its session may be there.
            None => match presented.session() {
                Some(id) => match keeping(&mut transaction, &user, id).await? {
                    Some(session) if presented.is_made_with(&Seed(session.seed)) => {
                        reused(&mut transaction, principal, &user, id).await?
                    }
                    _ => Refresh::Invalid,
                },
                None => Refresh::Invalid,
            },
        };
        transaction.commit().await?;
        Ok(outcome)
    }

    async fn rotate(
        &self,
        transaction: &mut Transaction,
        user: User,
        token: &Known,
        presented: &RefreshToken,
        origin: &Origin,
    ) -> Result<Refresh, StoreError> {
        let family = token.family_id;
        // A session of the version before gets its row now. It began with the first token that is left of it.
        sqlx::query(
            "INSERT INTO sessions (id, user_id, created_at, ends_at, seed)
             SELECT $1, $2, min(issued_at), min(issued_at) + make_interval(secs => $3), $4
             FROM refresh_tokens WHERE user_id = $2 AND family_id = $1
             ON CONFLICT (id) DO NOTHING",
        )
        .bind(family)
        .bind(user.id)
        .bind(self.lifetimes.session.as_secs_f64())
        .bind(Seed::generate().0)
        .execute(&mut *transaction)
        .await?;
        let Some(session) = keeping(transaction, &user, family).await? else {
            return Ok(Refresh::Invalid);
        };
        if session.ended {
            end_session(transaction, user.id, family).await?;
            return Ok(Refresh::Invalid);
        }
        let next = presented.successor(family, &Seed(session.seed));
        sqlx::query("UPDATE refresh_tokens SET spent_at = now() WHERE token_hash = $1")
            .bind(presented.hash())
            .execute(&mut *transaction)
            .await?;
        // Spent tokens that name their session are known without a row. Those of the version before are not: they stay.
        sqlx::query(
            "WITH session AS (
                 UPDATE sessions SET last_used_at = now(), address = $5, user_agent = $6 WHERE id = $2
                 RETURNING id, user_id, ends_at, authenticated_at
             ), dropped AS (
                 DELETE FROM refresh_tokens t USING session s
                 WHERE t.user_id = s.user_id AND t.family_id = s.id AND s.authenticated_at IS NOT NULL
                   AND t.spent_at IS NOT NULL AND t.token_hash <> $4
             )
             INSERT INTO refresh_tokens (token_hash, user_id, family_id, expires_at)
             SELECT $1, user_id, id, least(ends_at, now() + make_interval(secs => $3)) FROM session",
        )
        .bind(next.hash())
        .bind(family)
        .bind(self.lifetimes.refresh_token.as_secs_f64())
        .bind(presented.hash())
        .bind(&origin.address)
        .bind(&origin.user_agent)
        .execute(&mut *transaction)
        .await?;
        bound_sessions(transaction, user.id).await?;
        Ok(Refresh::Rotated {
            user,
            authentication: Authentication {
                session: family,
                at: session.authenticated_at,
            },
            next,
        })
    }

    /// Ends the family of a token, if there is one.
    pub(crate) async fn end_session(
        &self,
        principal: &Principal,
        presented: &RefreshToken,
    ) -> Result<(), StoreError> {
        let mut transaction = self.database.begin().await?;
        if let Some(user) = lock_owner(&mut transaction, presented).await? {
            let family: Option<Uuid> =
                sqlx::query_scalar("SELECT family_id FROM refresh_tokens WHERE token_hash = $1")
                    .bind(presented.hash())
                    .fetch_optional(&mut transaction)
                    .await?;
            let family = match (family, presented.session()) {
                (None, Some(id)) => keeping(&mut transaction, &user, id)
                    .await?
                    .filter(|session| presented.is_made_with(&Seed(session.seed)))
                    .map(|_| id),
                (family, _) => family,
            };
            if let Some(family) = family
                && end_session(&mut transaction, user.id, family).await?
            {
                let actor = acting(principal, &user, Some(family));
                let record = audited::session_ended(user.id, family);
                audit::append(&mut transaction, &actor, &[record]).await?;
            }
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Ends all sessions of a user whose row the transaction has locked.
    pub(super) async fn revoke_all(transaction: &mut Transaction, user: Uuid) -> Result<(), StoreError> {
        sqlx::query(
            "WITH ended AS (DELETE FROM sessions WHERE user_id = $1)
             DELETE FROM refresh_tokens WHERE user_id = $1",
        )
        .bind(user)
        .execute(transaction)
        .await?;
        Ok(())
    }

    pub(super) async fn delete_expired_tokens(&self, shutdown: &CancellationToken) -> Result<(), StoreError> {
        while !shutdown.is_cancelled() {
            let deleted = sqlx::query(
                "DELETE FROM refresh_tokens WHERE token_hash IN (
                     SELECT token_hash FROM refresh_tokens WHERE expires_at < now()
                     ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED
                 )",
            )
            .bind(i64::from(CLEANING_BATCH))
            .execute(&self.database)
            .await?;
            if deleted.rows_affected() < u64::from(CLEANING_BATCH) {
                break;
            }
        }
        Ok(())
    }

    /// Those whose time is over. One that ended before keeps its row until then, unless its holder opens many others.
    pub(super) async fn delete_ended_sessions(&self) -> Result<(), StoreError> {
        sqlx::query(
            "DELETE FROM sessions WHERE id IN (
                 SELECT id FROM sessions WHERE ends_at < now() ORDER BY ends_at LIMIT $1 FOR UPDATE SKIP LOCKED
             )",
        )
        .bind(i64::from(CLEANING_BATCH))
        .execute(&self.database)
        .await?;
        Ok(())
    }
}

/// Locks the enabled user whose token this is, or whose session it names. What the token's row says must be read after,
/// by another statement: this one may have waited for a transaction that changed it.
async fn lock_owner(
    transaction: &mut Transaction,
    presented: &RefreshToken,
) -> Result<Option<User>, StoreError> {
    let hash: TokenHash = presented.hash();
    let user = sqlx::query_as(concat!(
        "SELECT ",
        columns!("u"),
        " FROM users u WHERE u.id = COALESCE(
             (SELECT t.user_id FROM refresh_tokens t WHERE t.token_hash = $1),
             (SELECT s.user_id FROM sessions s WHERE s.id = $2)
         ) AND NOT u.disabled FOR NO KEY UPDATE OF u",
    ))
    .bind(hash)
    .bind(presented.session())
    .fetch_optional(transaction)
    .await?;
    Ok(user)
}

async fn keeping(
    transaction: &mut Transaction,
    user: &User,
    session: Uuid,
) -> Result<Option<Keeping>, StoreError> {
    let session = sqlx::query_as(
        "SELECT seed, authenticated_at, ends_at <= now() AS ended FROM sessions WHERE id = $1 AND user_id = $2",
    )
    .bind(session)
    .bind(user.id)
    .fetch_optional(transaction)
    .await?;
    Ok(session)
}

/// What a token gave when it was spent, if that was lately and has not been used.
async fn successor(
    transaction: &mut Transaction,
    user: &User,
    token: &Known,
    presented: &RefreshToken,
) -> Result<Option<Refresh>, StoreError> {
    if !token.graced {
        return Ok(None);
    }
    let Some(session) = keeping(transaction, user, token.family_id).await? else {
        return Ok(None);
    };
    let next = presented.successor(token.family_id, &Seed(session.seed));
    let current: bool = sqlx::query_scalar(
        "SELECT EXISTS (
             SELECT FROM refresh_tokens
             WHERE token_hash = $1 AND family_id = $2 AND spent_at IS NULL AND expires_at > now()
         )",
    )
    .bind(next.hash())
    .bind(token.family_id)
    .fetch_one(transaction)
    .await?;
    Ok((current && !session.ended).then(|| Refresh::Rotated {
        user: user.clone(),
        authentication: Authentication {
            session: token.family_id,
            at: session.authenticated_at,
        },
        next,
    }))
}

/// Ends a family, one of whose spent tokens was presented.
async fn reused(
    transaction: &mut Transaction,
    principal: &Principal,
    user: &User,
    family: Uuid,
) -> Result<Refresh, StoreError> {
    if !end_session(transaction, user.id, family).await? {
        return Ok(Refresh::Invalid);
    }
    // Nobody can tell whether the holder presented it or a thief.
    let record = audited::session_revoked(user.id, family);
    audit::append(transaction, principal, &[record]).await?;
    Ok(Refresh::Reused { user_id: user.id })
}
