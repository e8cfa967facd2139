//! PostgreSQL: a pool that waits for its database, brings the schema up to date and follows a rotated password.
//!
//! sqlx 0.9.0 leaves a pooled connection inside a transaction when `begin()` is cancelled half way
//! (<https://github.com/transact-rs/sqlx/issues/4393>). gRPC handlers are therefore run in tasks that nobody cancels
//! ([`crate::grpc::server`]); a loop of a service's own must not put a `begin()` into `select!` or a timeout. Every
//! statement is bounded by the server itself: [`STATEMENT_TIMEOUT`].

mod database;

use std::{str::FromStr as _, time::Duration};

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::{
    Connection as _, PgConnection, PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

pub use database::{Database, Transaction};

use crate::{
    config::{ConfigError, PostgresArgs},
    grpc::status::with_reason,
    health::ReadinessFlag,
};

/// The longest that one statement may take.
pub const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);

const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
const FOLLOW_INTERVAL: Duration = Duration::from_secs(5);

/// Why a database can't be used, beyond being away for a while, which is waited for.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// The URL is missing or no URL.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The schema can't be brought up to date.
    #[error("cannot bring the database schema up to date: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
}

pub(crate) async fn connect(
    service: &'static str,
    args: &PostgresArgs,
    migrators: impl IntoIterator<Item = Migrator>,
    flag: &ReadinessFlag,
) -> Result<PgPool, PostgresError> {
    let answering = wait_for_database(service, args, flag).await?;
    let migrating = PgPoolOptions::new()
        .max_connections(1)
        .connect_lazy_with(answering.clone());
    // Takes an advisory lock: of many replicas that start together one migrates and the others wait. No statement
    // timeout here: to build an index may take long.
    for mut migrator in migrators {
        // A neighbour of a later version may have been here already: what it added is no business of ours.
        migrator.set_ignore_missing(true);
        migrator.run(&migrating).await?;
    }
    migrating.close().await;
    flag.ready();
    Ok(PgPoolOptions::new()
        .max_connections(args.database_max_connections)
        .min_connections(1)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(Duration::from_mins(5))
        .max_lifetime(Duration::from_mins(30))
        // A broken connection shows itself by the error of its next statement; a ping before each use would cost a
        // round trip on every request.
        .test_before_acquire(false)
        .connect_lazy_with(with_time_limits(answering)))
}

/// Tries until the database answers, and says how it was reached. The URL is read again at each try: it may have been
/// the password.
async fn wait_for_database(
    service: &'static str,
    args: &PostgresArgs,
    flag: &ReadinessFlag,
) -> Result<PgConnectOptions, PostgresError> {
    let mut pause = Duration::from_millis(100);
    loop {
        let options = base_options(service, &args.url()?)?;
        // Not by a pool, which would wait by itself and then not know why.
        let problem = match tokio::time::timeout(CONNECT_TIMEOUT, PgConnection::connect_with(&options)).await
        {
            Ok(Ok(connection)) => {
                if let Err(error) = connection.close().await {
                    tracing::debug!(%error, "the first connection was not closed cleanly");
                }
                return Ok(options);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer in time".to_owned(),
        };
        tracing::warn!(problem, "waiting for the database");
        flag.not_ready(problem);
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn base_options(service: &str, url: &SecretString) -> Result<PgConnectOptions, ConfigError> {
    let options = PgConnectOptions::from_str(url.expose_secret()).map_err(|error| ConfigError::Invalid {
        variable: "DATABASE_URL",
        reason: error.to_string(),
    })?;
    Ok(options.application_name(service))
}

fn with_time_limits(options: PgConnectOptions) -> PgConnectOptions {
    let milliseconds = STATEMENT_TIMEOUT.as_millis().to_string();
    options.options([
        ("statement_timeout", milliseconds.as_str()),
        ("idle_in_transaction_session_timeout", "60000"),
    ])
}

/// New connections use the URL as its file has it now; old ones live on until they are closed, so that a rotation
/// with both passwords valid for a while loses nothing.
pub(crate) async fn follow_url(
    service: &'static str,
    pool: &PgPool,
    args: &PostgresArgs,
    shutdown: CancellationToken,
) {
    let mut known = args.url().ok();
    while shutdown
        .run_until_cancelled(tokio::time::sleep(FOLLOW_INTERVAL))
        .await
        .is_some()
    {
        let now = match args.url() {
            Ok(url) => url,
            Err(error) => {
                tracing::warn!(%error, "the database URL can't be read again; the last one stays in use");
                continue;
            }
        };
        if known
            .as_ref()
            .is_some_and(|known| known.expose_secret() == now.expose_secret())
        {
            continue;
        }
        match base_options(service, &now) {
            Ok(options) => {
                pool.set_connect_options(with_time_limits(options));
                tracing::info!("new database connections use the changed URL");
            }
            Err(error) => {
                tracing::warn!(%error, "the changed database URL is not usable; the last one stays in use");
            }
        }
        known = Some(now);
    }
}

pub(crate) async fn ping(pool: PgPool) -> Result<(), String> {
    sqlx::query("SELECT 1")
        .execute(&pool)
        .await
        .map(drop)
        .map_err(|error| {
            tracing::warn!(%error, "the database does not answer");
            "the database does not answer".to_owned()
        })
}

/// The name of the constraint that a statement violated, if that is what went wrong.
pub fn constraint(error: &sqlx::Error) -> Option<&str> {
    error.as_database_error()?.constraint()
}

/// Whether the same work may succeed a moment later: the database is away, busy, or chose this transaction to give
/// way to another.
pub fn is_transient(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => {
            true
        }
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            // 08: connection; 40: transaction rollback (serialization, deadlock); 53: resources; 57: operator
            // intervention (shutdown, statement timeout); 28: a password that is being rotated.
            ["08", "40", "53", "57", "28"]
                .iter()
                .any(|class| code.starts_with(class))
        }),
        _ => false,
    }
}

/// What a caller is told of a database error: UNAVAILABLE where trying again may help, otherwise INTERNAL. The error
/// itself is logged here, once, and not sent.
#[allow(clippy::needless_pass_by_value, reason = "made for map_err")]
pub fn status(error: sqlx::Error) -> Status {
    if is_transient(&error) {
        tracing::warn!(%error, "the database can't do its work now");
        with_reason(
            Code::Unavailable,
            "DATABASE_UNAVAILABLE",
            "the database is not available",
        )
    } else {
        tracing::error!(%error, "a database statement failed");
        Status::internal("internal error")
    }
}
