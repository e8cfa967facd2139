//! All SQL of the service. Each method is one transaction.

mod backoff;
mod devices;
mod refresh_tokens;
mod second_factors;
mod sessions;
mod signing_keys;
mod users;

use std::time::Duration;

use chassis::postgres::{Database, is_transient};
use outbox::Outbox;
use sqlx::migrate::Migrator;
use tokio_util::sync::CancellationToken;

pub(crate) use refresh_tokens::{Opened, Proven, Refresh};
pub(crate) use second_factors::Confirmation;
pub(crate) use sessions::NewSession;
pub(crate) use users::{Account, NewUser};

const CLEANING_INTERVAL: Duration = Duration::from_mins(10);

/// Accounts, refresh tokens and signing keys. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    database: Database,
    outbox: Outbox,
    lifetimes: Lifetimes,
}

/// How long sessions last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifetimes {
    /// A refresh token that is not used.
    pub(crate) refresh_token: Duration,
    /// A session, however it is used.
    pub(crate) session: Duration,
}

/// Why the store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// Another account has the email.
    #[error("another account has this email")]
    EmailTaken,
    /// There is no such account.
    #[error("there is no such user")]
    NotFound,
    /// The password was changed meanwhile.
    #[error("the password was changed meanwhile")]
    PasswordChanged,
    /// No enabled admin would be left.
    #[error("the last enabled admin can be neither demoted nor disabled")]
    LastAdmin,
    /// Whoever asks for the change is no enabled admin.
    #[error("only an enabled admin may do this")]
    NoAdmin,
    /// There is no such session, or it has ended.
    #[error("there is no such session")]
    NoSession,
    /// The second factor is on already.
    #[error("the second factor is on already; switch it off first")]
    SecondFactorOn,
    /// There is no second factor that was begun.
    #[error("no second factor was begun")]
    SecondFactorNotBegun,
    /// There is no second factor.
    #[error("the account has no second factor")]
    SecondFactorOff,
    /// A key can't be made or read.
    #[error(transparent)]
    Key(#[from] crate::signing_key::KeyError),
    /// An event can't be written down.
    #[error("the event: {0}")]
    Event(#[from] serde_json::Error),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl StoreError {
    /// Whether the same may succeed a moment later: the database is away, busy or read-only.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::Database(error) if is_transient(error))
    }
}

/// The tables, in the steps in which they came to be.
pub(crate) fn migrations() -> Migrator {
    chassis::migrations![
        "0001_users",
        "0002_refresh_tokens",
        "0003_signing_keys",
        "0004_sessions",
        "0005_backoff",
        "0007_second_factors",
    ]
}

impl Store {
    /// On a database whose schema is up to date. The events of every change go to `outbox`, which is in the same one.
    pub(crate) fn new(database: Database, outbox: Outbox, lifetimes: Lifetimes) -> Self {
        Self {
            database,
            outbox,
            lifetimes,
        }
    }

    /// Removes what has expired, in small batches, now and then. Every replica may: each skips what another is at.
    pub(crate) async fn clean(self, shutdown: CancellationToken) {
        loop {
            for (what, cleaned) in [
                ("refresh tokens", self.delete_expired_tokens(&shutdown).await),
                ("sessions", self.delete_ended_sessions().await),
                ("failed attempts", self.delete_old_attempts().await),
                ("devices", self.delete_expired_devices().await),
            ] {
                if let Err(error) = cleaned {
                    tracing::warn!(%error, "old {what} can't be removed; later");
                }
            }
            let pause = tokio::time::sleep(CLEANING_INTERVAL);
            if shutdown.run_until_cancelled(pause).await.is_none() {
                return;
            }
        }
    }
}
