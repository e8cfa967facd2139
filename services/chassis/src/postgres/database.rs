//! A database as a service's store uses it: statements of their own, and transactions.
//!
//! [`Database`] and [`Transaction`] are sqlx executors: `query.fetch_all(&database)`, `query.execute(&mut transaction)`.

use std::fmt;

use futures::{future::BoxFuture, stream::BoxStream};
use sqlx::{
    Describe, Either, Execute, Executor, PgPool, Postgres, SqlStr,
    postgres::{PgQueryResult, PgRow, PgStatement, PgTypeInfo},
};

type Steps<'e> = BoxStream<'e, sqlx::Result<Either<PgQueryResult, PgRow>>>;

/// A database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Database {
    pool: PgPool,
}

/// A transaction. Dropped without [`Transaction::commit`], it is rolled back.
pub struct Transaction {
    transaction: sqlx::Transaction<'static, Postgres>,
    on_commit: Vec<Box<dyn FnOnce() + Send>>,
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").finish_non_exhaustive()
    }
}

impl Database {
    pub(crate) fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// Begins a transaction.
    pub async fn begin(&self) -> sqlx::Result<Transaction> {
        Ok(Transaction {
            transaction: self.pool.begin().await?,
            on_commit: Vec::new(),
        })
    }
}

impl Transaction {
    /// What is to be done once this transaction has committed, and only then. Must not block.
    pub fn on_commit(&mut self, done: impl FnOnce() + Send + 'static) {
        self.on_commit.push(Box::new(done));
    }

    /// Commits. An error leaves open whether it is committed.
    pub async fn commit(self) -> sqlx::Result<()> {
        self.transaction.commit().await?;
        self.on_commit.into_iter().for_each(|done| done());
        Ok(())
    }

    /// Undoes all of it.
    pub async fn rollback(self) -> sqlx::Result<()> {
        self.transaction.rollback().await
    }
}

impl<'c> Executor<'c> for &'_ Database {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> Steps<'e>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        self.pool.fetch_many(query)
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<PgRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        self.pool.fetch_optional(query)
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, sqlx::Result<PgStatement>>
    where
        'c: 'e,
    {
        self.pool.prepare_with(sql, parameters)
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, sqlx::Result<Describe<Postgres>>>
    where
        'c: 'e,
    {
        self.pool.describe(sql)
    }
}

impl<'c> Executor<'c> for &'c mut Transaction {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> Steps<'e>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        self.transaction.fetch_many(query)
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<PgRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        self.transaction.fetch_optional(query)
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, sqlx::Result<PgStatement>>
    where
        'c: 'e,
    {
        self.transaction.prepare_with(sql, parameters)
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, sqlx::Result<Describe<Postgres>>>
    where
        'c: 'e,
    {
        self.transaction.describe(sql)
    }
}
