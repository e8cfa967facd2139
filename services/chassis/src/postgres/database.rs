//! A database as a service's store uses it: statements of their own, and transactions.
//!
//! [`Database`] and [`Transaction`] are sqlx executors: `query.fetch_all(&database)`, `query.execute(&mut transaction)`.
//! Whatever is asked has an end, and whoever asks may give up at any time: a statement that has no answer in time, or
//! whose future is dropped, takes its session with it, and nobody waits for that.

use std::{fmt, future::Future, mem, time::Duration};

use deadpool::{
    Runtime,
    managed::{BuildError, Pool, PoolConfig, PoolError, QueueMode, TimeoutType, Timeouts},
};
use futures::future::BoxFuture;
use sqlx::{
    Execute, Executor, Postgres, SqlStr,
    postgres::{PgConnectOptions, PgRow, PgStatement, PgTypeInfo},
};
use tokio::{
    runtime::Handle,
    sync::watch,
    time::{Instant, sleep},
};

use super::{
    error::is_transient,
    lease::{self, Lease, Steps},
    metrics,
    session::{PING_BOUND, Session, Sessions, silent},
    watch::Watch,
};

/// The longest wait for a session. Past it the caller is told to come back.
const ACQUIRE_BOUND: Duration = Duration::from_secs(3);
/// Before another attempt to get a session, where the last one failed; it doubles each time.
const PAUSE: Duration = Duration::from_millis(50);
/// The longest wait for BEGIN and COMMIT.
const CONTROL_BOUND: Duration = Duration::from_secs(5);
/// The longest wait for a rollback. It only saves opening another session.
const ROLLBACK_BOUND: Duration = Duration::from_secs(1);

/// A database. Cheap to clone.
#[derive(Clone)]
pub struct Database {
    pool: Pool<Sessions>,
    watch: Watch,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("pool", &self.pool.status())
            .finish_non_exhaustive()
    }
}

/// A transaction. Dropped without [`Transaction::commit`], it is rolled back, which the one who drops it doesn't wait
/// for.
pub struct Transaction {
    lease: Option<Lease>,
    on_commit: Vec<Box<dyn FnOnce() + Send>>,
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").finish_non_exhaustive()
    }
}

impl Database {
    pub(super) fn new(
        options: watch::Receiver<PgConnectOptions>,
        watch: Watch,
        max_sessions: u32,
    ) -> Result<Self, BuildError> {
        let name = options.borrow().get_database().unwrap_or_default().to_owned();
        let sessions = Sessions {
            options,
            watch: watch.clone(),
        };
        let mut config = PoolConfig::new(usize::try_from(max_sessions).unwrap_or(usize::MAX));
        // The last one used is the warmest, and those that nobody needs grow old.
        config.queue_mode = QueueMode::Lifo;
        let pool = Pool::builder(sessions)
            .config(config)
            .runtime(Runtime::Tokio1)
            .build()?;
        metrics::observe(&pool, name);
        Ok(Self { pool, watch })
    }

    /// Begins a transaction.
    pub async fn begin(&self) -> sqlx::Result<Transaction> {
        let deadline = Instant::now() + ACQUIRE_BOUND;
        loop {
            let mut lease = self.lease(deadline).await?;
            match lease.simple("BEGIN", CONTROL_BOUND).await {
                Ok(()) => {
                    return Ok(Transaction {
                        lease: Some(lease),
                        on_commit: Vec::new(),
                    });
                }
                // The session had ended unnoticed, and nothing was done on it: another will do.
                Err(error) if is_transient(&error) && Instant::now() < deadline => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether the database can do its work, as of now. An error says in words what is amiss.
    pub(crate) async fn ask(&self) -> Result<(), String> {
        self.watch.ask().await
    }

    /// Closes idle sessions that must not be used again.
    pub(super) fn trim(&self) {
        let of_use = |session: &Session| !session.is_old() && !self.watch.is_retired(&session.origin);
        for session in self.pool.retain(|session, _| of_use(session)).removed {
            // To the others there is nobody to say farewell.
            if !self.watch.is_retired(&session.origin) {
                tokio::spawn(session.close());
            }
        }
    }

    /// A session for one statement. The future holds no borrow, as sqlx wants it.
    fn lease_now(&self) -> impl Future<Output = sqlx::Result<Lease>> + Send + use<> {
        let database = self.clone();
        async move { database.lease(Instant::now() + ACQUIRE_BOUND).await }
    }

    async fn lease(&self, deadline: Instant) -> sqlx::Result<Lease> {
        let mut pause = PAUSE;
        loop {
            self.watch.available(deadline).await?;
            let left = deadline.saturating_duration_since(Instant::now());
            let timeouts = Timeouts {
                wait: Some(left),
                create: Some(left),
                recycle: Some(PING_BOUND * 2),
            };
            let error = match self.pool.timeout_get(&timeouts).await {
                Ok(session) => return Ok(Lease::new(session, self.watch.clone())),
                Err(PoolError::Timeout(TimeoutType::Wait)) if self.watch.problem().is_some() => {
                    return Err(self.watch.unavailable());
                }
                Err(PoolError::Timeout(TimeoutType::Wait)) => {
                    metrics::timed_out();
                    return Err(sqlx::Error::PoolTimedOut);
                }
                Err(PoolError::Timeout(_)) => silent(left),
                Err(PoolError::Backend(error)) => error,
                Err(PoolError::Closed | PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_)) => {
                    return Err(sqlx::Error::PoolClosed);
                }
            };
            // The session that watches may be an old one, which can't tell what a new one meets.
            self.watch.doubt_writable();
            if !is_transient(&error) || Instant::now() + pause >= deadline {
                return Err(error);
            }
            sleep(pause).await;
            pause *= 2;
        }
    }
}

impl Transaction {
    /// What is to be done once this transaction has committed, and only then. Must not block.
    pub fn on_commit(&mut self, done: impl FnOnce() + Send + 'static) {
        self.on_commit.push(Box::new(done));
    }

    /// Commits. An error leaves open whether it is committed, unless a statement had failed before: then it is not.
    pub async fn commit(mut self) -> sqlx::Result<()> {
        if open(&mut self.lease)?.has_failed() {
            // The server would answer COMMIT by rolling back, and call that a success.
            self.rollback().await?;
            return Err(sqlx::Error::Protocol(
                "a statement of the transaction failed before it was to be committed".to_owned(),
            ));
        }
        open(&mut self.lease)?.simple("COMMIT", CONTROL_BOUND).await?;
        self.lease = None;
        for done in mem::take(&mut self.on_commit) {
            done();
        }
        Ok(())
    }

    fn lease(&mut self) -> std::future::Ready<sqlx::Result<&mut Lease>> {
        std::future::ready(open(&mut self.lease))
    }

    /// Undoes all of it.
    pub async fn rollback(mut self) -> sqlx::Result<()> {
        open(&mut self.lease)?.simple("ROLLBACK", ROLLBACK_BOUND).await?;
        self.lease = None;
        Ok(())
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        let Some(mut lease) = self.lease.take().filter(Lease::is_whole) else {
            return;
        };
        let Ok(runtime) = Handle::try_current() else {
            lease.give_up();
            return;
        };
        runtime.spawn(async move {
            if let Err(error) = lease.simple("ROLLBACK", ROLLBACK_BOUND).await {
                tracing::debug!(%error, "a transaction was given up with its session");
                lease.give_up();
            }
        });
    }
}

fn open(lease: &mut Option<Lease>) -> sqlx::Result<&mut Lease> {
    lease.as_mut().ok_or(sqlx::Error::PoolClosed)
}

/// Writes [`Executor`] once for both: they differ in how a session is had, which is the closure's to say. (Rust allows no
/// implementation of another crate's trait for everything that has one.)
macro_rules! executor {
    ($lifetime:lifetime, $kind:ty, $lease:expr) => {
        impl<$lifetime> Executor<$lifetime> for $kind {
            type Database = Postgres;

            fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> Steps<'e>
            where
                $lifetime: 'e,
                E: 'q + Execute<'q, Postgres>,
            {
                lease::fetch_many($lease(self), query)
            }

            fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<PgRow>>>
            where
                $lifetime: 'e,
                E: 'q + Execute<'q, Postgres>,
            {
                Box::pin(lease::fetch_optional($lease(self), query))
            }

            fn prepare_with<'e>(
                self,
                sql: SqlStr,
                parameters: &'e [PgTypeInfo],
            ) -> BoxFuture<'e, sqlx::Result<PgStatement>>
            where
                $lifetime: 'e,
            {
                Box::pin(lease::prepare_with($lease(self), sql, parameters))
            }
        }
    };
}

executor!('c, &'_ Database, Database::lease_now);
executor!('c, &'c mut Transaction, Transaction::lease);
