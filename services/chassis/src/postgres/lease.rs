//! The use of one session by one caller at a time.

use std::{borrow::BorrowMut, future::Future, io, time::Duration};

use async_stream::try_stream;
use deadpool::managed::Object;
use futures::{StreamExt as _, future::FutureExt as _, stream::BoxStream};
use sqlx::{
    Either, Execute, Executor as _, PgConnection, Postgres, SqlStr,
    postgres::{PgQueryResult, PgRow, PgStatement, PgTypeInfo},
};
use tokio::time::Instant;

use super::{
    error,
    session::{Session, Sessions, silent},
    watch::{Origin, Watch},
};

pub(super) type Steps<'e> = BoxStream<'e, sqlx::Result<Either<PgQueryResult, PgRow>>>;

/// The longest wait for the server's next word. Longer than [`super::STATEMENT_TIMEOUT`], so that a server that is only
/// slow says so itself and its session stays whole.
const ANSWER_BOUND: Duration = Duration::from_secs(5);

/// A session in use. It goes back to the pool when this is dropped, unless a statement was left half way: then its
/// socket is closed, and the server is not waited for.
pub(super) struct Lease {
    session: Option<Object<Sessions>>,
    /// A statement is at work on it, or was given up there.
    torn: bool,
    /// A statement failed.
    failed: bool,
    watch: Watch,
}

impl Lease {
    pub(super) fn new(session: Object<Sessions>, watch: Watch) -> Self {
        Self {
            session: Some(session),
            torn: false,
            failed: false,
            watch,
        }
    }

    /// Whether it can go on after what has been done with it.
    pub(super) fn is_whole(&self) -> bool {
        !self.torn
    }

    /// Whether a statement failed, after which the server does no other of the same transaction.
    pub(super) fn has_failed(&self) -> bool {
        self.failed
    }

    /// Throws the session away.
    pub(super) fn give_up(mut self) {
        self.torn = true;
    }

    /// A statement without parameters and rows.
    pub(super) async fn simple(&mut self, statement: &'static str, bound: Duration) -> sqlx::Result<()> {
        let (connection, usage) = self.parts()?;
        usage
            .until(bound, connection.execute(statement).map(|done| done.map(drop)))
            .await
    }

    fn parts(&mut self) -> sqlx::Result<(&mut PgConnection, Usage<'_>)> {
        let gone = || io::Error::new(io::ErrorKind::NotConnected, "the database session was given up");
        if self.torn {
            return Err(gone().into());
        }
        let session: &mut Session = self.session.as_mut().ok_or_else(gone)?;
        let usage = Usage {
            torn: &mut self.torn,
            failed: &mut self.failed,
            used: &mut session.used,
            origin: &session.origin,
            watch: &self.watch,
        };
        Ok((&mut session.connection, usage))
    }
}

/// What sqlx's `Executor` does, on a session that is had first: one of the pool for the one statement, or that of a
/// transaction.
pub(super) fn fetch_many<'e, 'q: 'e, L, E>(
    lease: impl Future<Output = sqlx::Result<L>> + Send + 'e,
    query: E,
) -> Steps<'e>
where
    L: BorrowMut<Lease> + Send + 'e,
    E: 'q + Execute<'q, Postgres>,
{
    Box::pin(try_stream! {
        let mut lease = lease.await?;
        let (connection, mut usage) = lease.borrow_mut().parts()?;
        usage.begin();
        let mut steps = connection.fetch_many(query);
        while let Some(step) = usage.next(ANSWER_BOUND, steps.next()).await {
            yield step?;
        }
    })
}

/// As [`fetch_many`].
pub(super) async fn fetch_optional<'q, L, E>(
    lease: impl Future<Output = sqlx::Result<L>>,
    query: E,
) -> sqlx::Result<Option<PgRow>>
where
    L: BorrowMut<Lease>,
    E: 'q + Execute<'q, Postgres>,
{
    let mut lease = lease.await?;
    let (connection, usage) = lease.borrow_mut().parts()?;
    usage.until(ANSWER_BOUND, connection.fetch_optional(query)).await
}

/// As [`fetch_many`].
pub(super) async fn prepare_with<L: BorrowMut<Lease>>(
    lease: impl Future<Output = sqlx::Result<L>>,
    sql: SqlStr,
    parameters: &[PgTypeInfo],
) -> sqlx::Result<PgStatement> {
    let mut lease = lease.await?;
    let (connection, usage) = lease.borrow_mut().parts()?;
    usage
        .until(ANSWER_BOUND, connection.prepare_with(sql, parameters))
        .await
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.torn
            && let Some(session) = self.session.take()
        {
            drop(Object::take(session));
        }
    }
}

/// One statement on a session.
struct Usage<'l> {
    torn: &'l mut bool,
    failed: &'l mut bool,
    used: &'l mut Instant,
    origin: &'l Origin,
    watch: &'l Watch,
}

impl Usage<'_> {
    fn begin(&mut self) {
        *self.torn = true;
    }

    fn end(&mut self, error: Option<&sqlx::Error>) {
        *self.used = Instant::now();
        *self.failed |= error.is_some();
        match error {
            Some(error) if error::is_read_only(error) => self.watch.doubt_writable(),
            Some(error) if error::ends_session(error) => self.watch.doubt(),
            _ => *self.torn = false,
        }
    }

    /// Ends with the work, or when there will be no answer.
    async fn wait<T>(&self, bound: Duration, work: impl Future<Output = T>) -> sqlx::Result<T> {
        tokio::select! {
            biased;
            outcome = work => Ok(outcome),
            () = self.watch.lost(self.origin) => {
                let problem = "the database was replaced before it answered";
                Err(io::Error::new(io::ErrorKind::ConnectionAborted, problem).into())
            }
            () = tokio::time::sleep(bound) => Err(silent(bound)),
        }
    }

    async fn until<T>(
        mut self,
        bound: Duration,
        work: impl Future<Output = sqlx::Result<T>>,
    ) -> sqlx::Result<T> {
        self.begin();
        let outcome = self.wait(bound, work).await.flatten();
        self.end(outcome.as_ref().err());
        outcome
    }

    async fn next<T>(
        &mut self,
        bound: Duration,
        step: impl Future<Output = Option<sqlx::Result<T>>>,
    ) -> Option<sqlx::Result<T>> {
        let step = match self.wait(bound, step).await {
            Ok(step) => step,
            Err(error) => Some(Err(error)),
        };
        match &step {
            Some(Ok(_)) => {}
            Some(Err(error)) => self.end(Some(error)),
            None => self.end(None),
        }
        step
    }
}
