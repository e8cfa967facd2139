//! Sessions: how one is opened, and when one of the pool may be used again.

use std::{future::Future, io, sync::Arc, time::Duration};

use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};
use futures::{StreamExt as _, stream::FuturesUnordered};
use sqlx::{Connection as _, Executor as _, PgConnection, Row as _, postgres::PgConnectOptions};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

use super::watch::{Origin, Watch};

/// An attempt to connect that takes longer gets company: another one, which looks the name up again.
const HEDGE: Duration = Duration::from_secs(1);
/// A session that was idle for longer is asked whether it is still there before it is used.
const PING_IDLE: Duration = Duration::from_secs(1);
/// Within this time it answers that, or it is gone.
pub(super) const PING_BOUND: Duration = Duration::from_millis(500);
/// A session that nobody needed for so long is closed.
const IDLE_LIFETIME: Duration = Duration::from_mins(5);
/// The longest that a session is used, less a tenth at random, so that they are not all renewed at once.
const LIFETIME: Duration = Duration::from_mins(30);
/// For the farewell of a session that is closed in order.
const CLOSE_BOUND: Duration = Duration::from_millis(500);

/// A session of the pool.
pub(super) struct Session {
    pub(super) connection: PgConnection,
    pub(super) origin: Origin,
    /// When its last statement ended.
    pub(super) used: Instant,
    lifetime: Duration,
}

impl Session {
    /// Whether it has been there, or idle, for too long.
    pub(super) fn is_old(&self) -> bool {
        self.used.elapsed() > IDLE_LIFETIME || self.origin.opened.elapsed() > self.lifetime
    }

    /// Ends it in an orderly way, as far as the server plays its part in time.
    pub(super) async fn close(self) {
        // The socket is closed either way.
        let _ = timeout(CLOSE_BOUND, self.connection.close()).await;
    }
}

/// What the pool makes sessions by.
#[derive(Debug)]
pub(super) struct Sessions {
    pub(super) options: watch::Receiver<PgConnectOptions>,
    pub(super) watch: Watch,
}

impl managed::Manager for Sessions {
    type Type = Session;
    type Error = sqlx::Error;

    async fn create(&self) -> sqlx::Result<Session> {
        let opened = Instant::now();
        let (connection, incarnation) = open(&self.options).await?;
        let origin = Origin { opened, incarnation };
        if self.watch.is_retired(&origin) {
            // It may be one to the server of before.
            return Err(
                io::Error::new(io::ErrorKind::NotConnected, "the database was replaced meanwhile").into(),
            );
        }
        Ok(Session {
            connection,
            origin,
            used: Instant::now(),
            lifetime: LIFETIME.mul_f32(1.0 - 0.1 * rand::random::<f32>()),
        })
    }

    async fn recycle(&self, session: &mut Session, _: &Metrics) -> RecycleResult<sqlx::Error> {
        if session.is_old() || self.watch.is_retired(&session.origin) {
            return Err(RecycleError::message("out of date"));
        }
        if session.used.elapsed() < PING_IDLE {
            return Ok(());
        }
        if let Ok(answer) = timeout(PING_BOUND, session.connection.ping()).await {
            session.used = Instant::now();
            return answer.map_err(RecycleError::Backend);
        }
        // The others that are idle are no better; to ask each of them in turn would take too long.
        self.watch.retire();
        self.watch.doubt();
        Err(RecycleError::message("no answer in time"))
    }
}

/// Which run of which server answers: it is another one after a restart or a failover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Incarnation(Arc<str>);

/// Opens a session on a server that takes writes, as `target_session_attrs=read-write` does. The name is looked up
/// anew at each attempt. Not bounded: attempts join the first one until one of them has an outcome.
pub(super) async fn open(
    options: &watch::Receiver<PgConnectOptions>,
) -> sqlx::Result<(PgConnection, Incarnation)> {
    let mut attempts = FuturesUnordered::new();
    loop {
        let options = options.borrow().clone();
        attempts.push(attempt(options));
        if let Ok(Some(outcome)) = timeout(HEDGE, attempts.next()).await {
            return outcome;
        }
    }
}

async fn attempt(options: PgConnectOptions) -> sqlx::Result<(PgConnection, Incarnation)> {
    let mut connection = PgConnection::connect_with(&options).await?;
    let row = connection
        .fetch_one("SELECT current_setting('transaction_read_only'), pg_postmaster_start_time()::text")
        .await?;
    if row.try_get::<&str, _>(0)? == "on" {
        return Err(read_only());
    }
    let incarnation = Incarnation(row.try_get::<&str, _>(1)?.into());
    Ok((connection, incarnation))
}

/// Whether the server takes writes on this session.
pub(super) async fn is_writable(connection: &mut PgConnection) -> sqlx::Result<bool> {
    let row = connection
        .fetch_one("SELECT current_setting('transaction_read_only')")
        .await?;
    Ok(row.try_get::<&str, _>(0)? == "off")
}

fn read_only() -> sqlx::Error {
    io::Error::new(io::ErrorKind::ReadOnlyFilesystem, "the database is read-only").into()
}

/// Whether [`open`] refused the server because it takes no writes.
pub(super) fn is_read_only(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem)
}

/// What a statement has come to, or that there was no answer in time.
pub(super) async fn bounded<T>(
    bound: Duration,
    work: impl Future<Output = sqlx::Result<T>>,
) -> sqlx::Result<T> {
    timeout(bound, work).await.unwrap_or_else(|_| Err(silent(bound)))
}

pub(super) fn silent(bound: Duration) -> sqlx::Error {
    let problem = format!("the database did not answer within {bound:?}");
    io::Error::new(io::ErrorKind::TimedOut, problem).into()
}
