//! The next version's migration, before there is one.

use std::time::Duration;

use anyhow::Context as _;
use e2e::{Service, Stack};
use sqlx::{AssertSqlSafe, PgPool};

/// Later than any that there is.
const VERSION: i64 = 9_000_000_000_000_000;
/// A statement waits no longer for others to let go of a table, since all that come after it wait too.
const LOCK_TIMEOUT: &str = "500ms";
const TRIES: u32 = 60;

/// Expands the schema of every database of a shop, as a next version might while this one runs: a column more in every
/// table, and one more migration in every table of migrations. Says how many tables there are.
pub async fn migrate_as_the_next_version(stack: &Stack) -> anyhow::Result<usize> {
    let mut tables = 0;
    for service in Service::ALL {
        if let Some(database) = stack.database(service) {
            let migrated = migrate(database.pool()).await;
            tables += migrated.with_context(|| format!("the database of {}", service.name()))?;
        }
    }
    Ok(tables)
}

async fn migrate(pool: &PgPool) -> anyhow::Result<usize> {
    // Partitions get the column from their table.
    let tables: Vec<(String, bool)> = sqlx::query_as(
        "SELECT oid::regclass::text, relname LIKE '%migrations' FROM pg_class
         WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition",
    )
    .fetch_all(pool)
    .await?;
    let mut expanded = 0;
    for (table, is_of_migrations) in tables {
        if is_of_migrations {
            let one_more = format!(
                "INSERT INTO {table} (version, description, success, checksum, execution_time)
                 VALUES ({VERSION}, 'of the next version', true, '\\x00', 0)"
            );
            sqlx::query(AssertSqlSafe(one_more)).execute(pool).await?;
        } else {
            add_column(pool, &table).await.with_context(|| table)?;
            expanded += 1;
        }
    }
    Ok(expanded)
}

async fn add_column(pool: &PgPool, table: &str) -> anyhow::Result<()> {
    let add = format!(
        "SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'; ALTER TABLE {table} ADD COLUMN of_the_next_version text"
    );
    let mut tries = 0;
    loop {
        let mut transaction = pool.begin().await?;
        match sqlx::raw_sql(AssertSqlSafe(add.clone()))
            .execute(&mut *transaction)
            .await
        {
            Ok(_) => return Ok(transaction.commit().await?),
            Err(sqlx::Error::Database(error))
                if error.code().as_deref() == Some("55P03") && tries < TRIES =>
            {
                tries += 1;
                drop(transaction);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}
