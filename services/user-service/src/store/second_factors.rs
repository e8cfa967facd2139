//! Second factors and their recovery codes. Every method that changes them locks the row of the user first, as those do
//! that open and end sessions: nobody logs in past a factor that is switched on meanwhile.

use chassis::{grpc::Principal, postgres::Transaction};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Store, StoreError};
use crate::{
    audited,
    backoff::Lane,
    second_factor::{Given, Passed, RECOVERY_CODES, RecoveryCode, Secret},
};

/// A factor that is there.
struct Kept {
    secret: [u8; 20],
    confirmed: bool,
    last_step: i64,
}

chassis::from_row!(Kept {
    secret,
    confirmed,
    last_step
});

/// What became of the first code of a factor that was begun.
#[derive(Debug)]
pub(crate) enum Confirmation {
    /// It is right, and the factor is on. These are its recovery codes.
    On(Vec<RecoveryCode>),
    /// It is wrong.
    Wrong,
}

impl Store {
    /// Keeps the secret of a factor that is not on yet, in the place of one that was begun before.
    pub(crate) async fn begin_second_factor(&self, user: Uuid, secret: &Secret) -> Result<(), StoreError> {
        let mut transaction = self.database.begin().await?;
        lock(&mut transaction, user).await?;
        let begun = sqlx::query(
            "INSERT INTO second_factors AS f (user_id, secret) VALUES ($1, $2)
             ON CONFLICT (user_id) DO UPDATE SET secret = excluded.secret, created_at = now()
             WHERE f.confirmed_at IS NULL",
        )
        .bind(user)
        .bind(secret.to_stored())
        .execute(&mut transaction)
        .await?;
        if begun.rows_affected() == 0 {
            return Err(StoreError::SecondFactorOn);
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Switches a factor on whose holder can make codes. All other sessions end, which were opened without; that one counts
    /// as opened with it.
    pub(crate) async fn confirm_second_factor(
        &self,
        principal: &Principal,
        user: Uuid,
        session: Option<Uuid>,
        code: &str,
    ) -> Result<Confirmation, StoreError> {
        let mut transaction = self.database.begin().await?;
        lock(&mut transaction, user).await?;
        let kept = kept(&mut transaction, user).await?;
        let kept = kept.ok_or(StoreError::SecondFactorNotBegun)?;
        if kept.confirmed {
            return Err(StoreError::SecondFactorOn);
        }
        let now = OffsetDateTime::now_utc();
        let Some(step) = Secret::from_stored(kept.secret).step_of(code, now, kept.last_step) else {
            return Ok(Confirmation::Wrong);
        };
        sqlx::query("UPDATE second_factors SET confirmed_at = now(), last_step = $2 WHERE user_id = $1")
            .bind(user)
            .bind(step)
            .execute(&mut transaction)
            .await?;
        let codes: Vec<_> = (0..RECOVERY_CODES).map(|_| RecoveryCode::generate()).collect();
        sqlx::query("INSERT INTO recovery_codes (user_id, code_hash) SELECT $1, unnest($2::bytea[])")
            .bind(user)
            .bind(codes.iter().map(|code| code.hash(user)).collect::<Vec<_>>())
            .execute(&mut transaction)
            .await?;
        sqlx::query(
            "WITH ended AS (DELETE FROM sessions WHERE user_id = $1 AND id IS DISTINCT FROM $2),
             stays AS (UPDATE sessions SET second_factor = true WHERE user_id = $1 AND id = $2)
             DELETE FROM refresh_tokens WHERE user_id = $1 AND family_id IS DISTINCT FROM $2",
        )
        .bind(user)
        .bind(session)
        .execute(&mut transaction)
        .await?;
        Self::forget_attempts(&mut transaction, &Lane::of_holder(user)).await?;
        audit::append(&mut transaction, principal, &[audited::second_factor_added(user)]).await?;
        transaction.commit().await?;
        Ok(Confirmation::On(codes))
    }

    /// Switches a factor off for its holder, who proves that he has it. His sessions go on without it.
    pub(crate) async fn remove_own_second_factor(
        &self,
        principal: &Principal,
        user: Uuid,
        given: &Given,
    ) -> Result<Passed, StoreError> {
        let mut transaction = self.database.begin().await?;
        lock(&mut transaction, user).await?;
        let passed = Self::pass_second_factor(&mut transaction, user, given).await?;
        match passed {
            Passed::NotNeeded => return Err(StoreError::SecondFactorOff),
            Passed::Missing | Passed::Wrong => return Ok(passed),
            Passed::ByCode | Passed::ByRecovery => {}
        }
        remove(&mut transaction, user).await?;
        sqlx::query("UPDATE sessions SET second_factor = false WHERE user_id = $1")
            .bind(user)
            .execute(&mut transaction)
            .await?;
        Self::forget_attempts(&mut transaction, &Lane::of_holder(user)).await?;
        let record = audited::second_factor_removed(user);
        audit::append(&mut transaction, principal, &[record]).await?;
        transaction.commit().await?;
        Ok(passed)
    }

    /// Switches the factor of another account off, where whoever asks for it is an enabled admin at that moment. All its
    /// sessions end: who has lost the app may have lost them with it.
    pub(crate) async fn remove_second_factor_of(
        &self,
        principal: &Principal,
        user: Uuid,
        actor: Uuid,
    ) -> Result<(), StoreError> {
        let mut transaction = self.database.begin().await?;
        // In one order, as those who change roles lock them.
        let locked: Vec<(Uuid, bool)> = sqlx::query_as(
            "SELECT id, role = 'admin' AND NOT disabled FROM users WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE",
        )
        .bind(vec![user, actor])
        .fetch_all(&mut transaction)
        .await?;
        if user == actor || !locked.contains(&(actor, true)) {
            return Err(StoreError::NoAdmin);
        }
        if !locked.iter().any(|(id, _)| *id == user) {
            return Err(StoreError::NotFound);
        }
        if !remove(&mut transaction, user).await? {
            return Err(StoreError::SecondFactorOff);
        }
        Self::revoke_all(&mut transaction, user).await?;
        let record = audited::second_factor_removed(user);
        audit::append(&mut transaction, principal, &[record]).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// How many recovery codes are left; none where no factor is on.
    pub(crate) async fn recovery_codes_left(&self, user: Uuid) -> Result<Option<u32>, StoreError> {
        let left: Option<i64> = sqlx::query_scalar(
            "SELECT (SELECT count(*) FROM recovery_codes r WHERE r.user_id = f.user_id) FROM second_factors f
             WHERE f.user_id = $1 AND f.confirmed_at IS NOT NULL",
        )
        .bind(user)
        .fetch_optional(&self.database)
        .await?;
        Ok(left.map(|left| u32::try_from(left).unwrap_or_default()))
    }

    /// Whether somebody has the second factor of a user whose row the transaction has locked; what he gave is spent.
    pub(super) async fn pass_second_factor(
        transaction: &mut Transaction,
        user: Uuid,
        given: &Given,
    ) -> Result<Passed, StoreError> {
        let Some(kept) = kept(transaction, user).await?.filter(|kept| kept.confirmed) else {
            return Ok(Passed::NotNeeded);
        };
        match given {
            Given::Nothing => Ok(Passed::Missing),
            Given::Code(code) => {
                let now = OffsetDateTime::now_utc();
                let Some(step) = Secret::from_stored(kept.secret).step_of(code, now, kept.last_step) else {
                    return Ok(Passed::Wrong);
                };
                sqlx::query("UPDATE second_factors SET last_step = $2 WHERE user_id = $1")
                    .bind(user)
                    .bind(step)
                    .execute(transaction)
                    .await?;
                Ok(Passed::ByCode)
            }
            Given::Recovery(code) => {
                let spent = sqlx::query("DELETE FROM recovery_codes WHERE user_id = $1 AND code_hash = $2")
                    .bind(user)
                    .bind(code.hash(user))
                    .execute(transaction)
                    .await?;
                Ok(match spent.rows_affected() {
                    0 => Passed::Wrong,
                    _ => Passed::ByRecovery,
                })
            }
        }
    }
}

async fn lock(transaction: &mut Transaction, user: Uuid) -> Result<(), StoreError> {
    let locked = sqlx::query("SELECT FROM users WHERE id = $1 FOR NO KEY UPDATE")
        .bind(user)
        .fetch_optional(transaction)
        .await?;
    locked.map(drop).ok_or(StoreError::NotFound)
}

async fn kept(transaction: &mut Transaction, user: Uuid) -> Result<Option<Kept>, StoreError> {
    let kept = sqlx::query_as(
        "SELECT secret, confirmed_at IS NOT NULL AS confirmed, last_step FROM second_factors WHERE user_id = $1",
    )
    .bind(user)
    .fetch_optional(transaction)
    .await?;
    Ok(kept)
}

/// Whether there was one that was on.
async fn remove(transaction: &mut Transaction, user: Uuid) -> Result<bool, StoreError> {
    let was_on: Option<bool> = sqlx::query_scalar(
        "DELETE FROM second_factors WHERE user_id = $1 RETURNING confirmed_at IS NOT NULL",
    )
    .bind(user)
    .fetch_optional(transaction)
    .await?;
    Ok(was_on.unwrap_or_default())
}
