//! Accounts.

use chassis::{
    grpc::Principal,
    open_enum::Open,
    page::{Entries, Keyset, MAX_WINDOW},
    postgres::{Transaction, constraint},
};
use rules::email::Email;
use sqlx::{FromRow, Row as _, postgres::PgRow};
use uuid::Uuid;

use super::{NewSession, Store, StoreError};
use crate::{
    audited,
    backoff::{DeviceToken, Lane},
    events,
    password::PasswordHash,
    user::{Access, Name, Role, User},
};

/// An account to be created.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewUser<'a> {
    pub(crate) id: Uuid,
    pub(crate) email: &'a Email,
    pub(crate) name: &'a Name,
    pub(crate) password_hash: &'a PasswordHash,
}

/// An account with its password.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) user: User,
    pub(crate) password_hash: PasswordHash,
}

/// The columns of an [`Account`], and so of a [`User`], of the table or subquery of that name. A statement names what it
/// wants: `*` would give it whatever column a later version adds, and its prepared form would fail from then on.
macro_rules! columns {
    ($of:literal) => {
        concat!(
            $of,
            ".id, ",
            $of,
            ".email, ",
            $of,
            ".name, ",
            $of,
            ".role, ",
            $of,
            ".password_hash, ",
            $of,
            ".disabled, ",
            $of,
            ".created_at, ",
            $of,
            ".updated_at"
        )
    };
}
pub(super) use columns;

impl FromRow<'_, PgRow> for User {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            email: row.try_get("email")?,
            name: row.try_get("name")?,
            role: Open::parse(row.try_get("role")?),
            disabled: row.try_get("disabled")?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
        })
    }
}

impl FromRow<'_, PgRow> for Account {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            user: User::from_row(row)?,
            password_hash: PasswordHash::from_stored(row.try_get("password_hash")?),
        })
    }
}

impl StoreError {
    /// Gives the violation of the unique email its name.
    fn from_insert(error: sqlx::Error) -> Self {
        match constraint(&error) {
            Some("users_email_key") => Self::EmailTaken,
            _ => Self::Database(error),
        }
    }
}

impl Store {
    /// Creates an account that buys, and its first session on that device.
    pub(crate) async fn register(
        &self,
        principal: &Principal,
        new: &NewUser<'_>,
        session: &NewSession,
        device: &DeviceToken,
    ) -> Result<User, StoreError> {
        let mut transaction = self.database.begin().await?;
        let user: User = sqlx::query_as(concat!(
            "INSERT INTO users (id, email, name, role, password_hash) VALUES ($1, $2, $3, $4, $5) RETURNING ",
            columns!("users"),
        ))
        .bind(new.id)
        .bind(new.email.as_str())
        .bind(new.name.as_str())
        .bind(Role::User.as_str())
        .bind(new.password_hash.as_str())
        .fetch_one(&mut transaction)
        .await
        .map_err(StoreError::from_insert)?;
        self.add_session(&mut transaction, user.id, session, false)
            .await?;
        Self::remember_device(&mut transaction, user.id, device).await?;
        let event = events::registered(&user)?;
        self.outbox.append(&mut transaction, vec![event]).await?;
        let actor = acting(principal, &user, Some(session.id));
        audit::append(&mut transaction, &actor, &[audited::registered(&user)]).await?;
        transaction.commit().await?;
        Ok(user)
    }

    /// Creates the first admin.
    pub(crate) async fn create_admin(&self, new: &NewUser<'_>) -> Result<User, StoreError> {
        let mut transaction = self.database.begin().await?;
        let user: User = sqlx::query_as(concat!(
            "INSERT INTO users (id, email, name, role, password_hash) VALUES ($1, $2, $3, $4, $5) RETURNING ",
            columns!("users"),
        ))
        .bind(new.id)
        .bind(new.email.as_str())
        .bind(new.name.as_str())
        .bind(Role::Admin.as_str())
        .bind(new.password_hash.as_str())
        .fetch_one(&mut transaction)
        .await
        .map_err(StoreError::from_insert)?;
        let event = events::registered(&user)?;
        self.outbox.append(&mut transaction, vec![event]).await?;
        let record = audited::first_admin_created(&user);
        audit::append(&mut transaction, &Principal::system(), &[record]).await?;
        transaction.commit().await?;
        Ok(user)
    }

    /// The account with that email, however it is written.
    pub(crate) async fn account(&self, email: &Email) -> Result<Option<Account>, StoreError> {
        let account = sqlx::query_as(concat!(
            "SELECT ",
            columns!("users"),
            r#" FROM users WHERE lower(email COLLATE "C") = lower($1 COLLATE "C")"#,
        ))
        .bind(email.as_str())
        .fetch_optional(&self.database)
        .await?;
        Ok(account)
    }

    /// The account with that id, and its password.
    pub(crate) async fn account_by_id(&self, id: Uuid) -> Result<Account, StoreError> {
        let account = sqlx::query_as(concat!("SELECT ", columns!("users"), " FROM users WHERE id = $1"))
            .bind(id)
            .fetch_optional(&self.database)
            .await?;
        account.ok_or(StoreError::NotFound)
    }

    /// The account with that id.
    pub(crate) async fn user(&self, id: Uuid) -> Result<User, StoreError> {
        self.account_by_id(id).await.map(|account| account.user)
    }

    /// One page of all accounts, newest first, and how many there are.
    pub(crate) async fn users(&self, page: &Keyset<Uuid>) -> Result<(Entries<User>, u64), StoreError> {
        let users = sqlx::query_as(concat!(
            "SELECT ",
            columns!("users"),
            " FROM users WHERE id < COALESCE($3, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
             ORDER BY id DESC LIMIT $1 OFFSET $2",
        ))
        .bind(page.limit())
        .bind(page.offset())
        .bind(page.after())
        .fetch_all(&self.database)
        .await?;
        let total: i64 = sqlx::query_scalar("SELECT count(*) FROM (SELECT FROM users LIMIT $1) AS counted")
            .bind(i64::from(MAX_WINDOW))
            .fetch_one(&self.database)
            .await?;
        Ok((page.entries(users, |user: &User| user.id), total.unsigned_abs()))
    }

    /// Renames an account.
    pub(crate) async fn rename(
        &self,
        principal: &Principal,
        id: Uuid,
        name: &Name,
    ) -> Result<User, StoreError> {
        let mut transaction = self.database.begin().await?;
        let before = lock_name(&mut transaction, id).await?;
        let user: Option<User> = sqlx::query_as(concat!(
            "UPDATE users SET name = $2, updated_at = now() WHERE id = $1 RETURNING ",
            columns!("users"),
        ))
        .bind(id)
        .bind(name.as_str())
        .fetch_optional(&mut transaction)
        .await?;
        let user = user.ok_or(StoreError::NotFound)?;
        let event = events::updated(&user)?;
        self.outbox.append(&mut transaction, vec![event]).await?;
        let record = before.and_then(|before| audited::renamed(&user, &before));
        audit::append(&mut transaction, principal, record.as_slice()).await?;
        transaction.commit().await?;
        Ok(user)
    }

    /// Replaces the password that was checked, and the name where one is given. All sessions end, and of the devices only
    /// the one named stays known: whoever had the old password may have logged in with it.
    pub(crate) async fn change_password(
        &self,
        principal: &Principal,
        id: Uuid,
        checked: &PasswordHash,
        new: &PasswordHash,
        name: Option<&Name>,
        device: Option<&DeviceToken>,
    ) -> Result<User, StoreError> {
        let mut transaction = self.database.begin().await?;
        let before = lock_name(&mut transaction, id).await?;
        let user: Option<User> = sqlx::query_as(concat!(
            "UPDATE users SET password_hash = $3, name = COALESCE($4, name), updated_at = now()
             WHERE id = $1 AND password_hash = $2 RETURNING ",
            columns!("users"),
        ))
        .bind(id)
        .bind(checked.as_str())
        .bind(new.as_str())
        .bind(name.map(Name::as_str))
        .fetch_optional(&mut transaction)
        .await?;
        let user = user.ok_or(StoreError::PasswordChanged)?;
        Self::revoke_all(&mut transaction, id).await?;
        Self::forget_devices(&mut transaction, id, device).await?;
        Self::forget_attempts(&mut transaction, &Lane::of_holder(id)).await?;
        let mut changes = vec![events::password_changed(&user)?];
        if name.is_some() {
            changes.push(events::updated(&user)?);
        }
        self.outbox.append(&mut transaction, changes).await?;
        let renamed = before.and_then(|before| audited::renamed(&user, &before));
        let records: Vec<_> = [audited::password_changed(&user)]
            .into_iter()
            .chain(renamed)
            .collect();
        audit::append(&mut transaction, principal, &records).await?;
        transaction.commit().await?;
        Ok(user)
    }

    /// Changes what an account may do, where whoever asks for it is an enabled admin at that moment. All enabled admins
    /// are locked, in one order, before one of them may cease to be: two who demote each other come one after the other,
    /// and the second is refused.
    pub(crate) async fn change_access(
        &self,
        principal: &Principal,
        id: Uuid,
        access: Access,
        actor: Option<Uuid>,
    ) -> Result<User, StoreError> {
        let mut transaction = self.database.begin().await?;
        // The account and the actor too, in the same order as the admins: each may be the other's in another transaction.
        let locked: Vec<(Uuid, String, bool)> = sqlx::query_as(
            "SELECT id, role, disabled FROM users
             WHERE id = ANY($1) OR ($2 AND role = 'admin' AND NOT disabled) ORDER BY id FOR NO KEY UPDATE",
        )
        .bind(actor.iter().copied().chain([id]).collect::<Vec<_>>())
        .bind(access.ends_an_admin())
        .fetch_all(&mut transaction)
        .await?;
        let admins: Vec<Uuid> = locked
            .iter()
            .filter(|(_, role, disabled)| role == Role::Admin.as_str() && !disabled)
            .map(|(id, ..)| *id)
            .collect();
        if actor.is_some_and(|actor| !admins.contains(&actor)) {
            return Err(StoreError::NoAdmin);
        }
        if access.ends_an_admin() && admins == [id] {
            return Err(StoreError::LastAdmin);
        }
        let user: Option<User> = sqlx::query_as(concat!(
            "UPDATE users SET role = COALESCE($2, role), disabled = COALESCE($3, disabled), updated_at = now()
             WHERE id = $1 RETURNING ",
            columns!("users"),
        ))
        .bind(id)
        .bind(access.role.map(Role::as_str))
        .bind(access.disabled)
        .fetch_optional(&mut transaction)
        .await?;
        let user = user.ok_or(StoreError::NotFound)?;
        if user.disabled {
            Self::revoke_all(&mut transaction, id).await?;
        }
        let event = events::updated(&user)?;
        self.outbox.append(&mut transaction, vec![event]).await?;
        if let Some((_, role, disabled)) = locked.iter().find(|(locked, ..)| *locked == id) {
            let records = audited::access_changed(&user, role, *disabled);
            audit::append(&mut transaction, principal, &records).await?;
        }
        transaction.commit().await?;
        Ok(user)
    }
}

/// Locks an account until the transaction ends, and gives its name; none where there is no such account.
async fn lock_name(transaction: &mut Transaction, id: Uuid) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar("SELECT name FROM users WHERE id = $1 FOR NO KEY UPDATE")
        .bind(id)
        .fetch_optional(transaction)
        .await
}

/// Whoever brought the account's password or token: the holder of the account.
pub(super) fn acting(principal: &Principal, user: &User, session: Option<Uuid>) -> Principal {
    // Roles are spelled as kinds of principals are.
    principal.proven(Open::parse(user.role.as_str()), user.id, session)
}
