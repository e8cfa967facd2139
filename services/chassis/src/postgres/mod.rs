//! PostgreSQL: a pool that waits for its database, brings the schema up to date, follows a rotated password, and is
//! back at once when another server takes over.
//!
//! sqlx speaks to the server and deadpool keeps the sessions; sqlx's own pool asks the server at each return of a
//! connection, which costs a round trip, and waits for one that will never answer. Here
//!
//! - every wait for the server has an end at our side, and the server's own limits are a little shorter;
//! - a session that did not answer in time, or whose statement was given up half way, is thrown away with its socket
//!   (`lease`). So a future may be dropped at any time, also in `select!` or a timeout: the session that it used is
//!   gone, and never goes back to the pool inside a transaction;
//! - a watcher (`watch`) asks about twice a second whether the database answers and takes writes. When another server
//!   has taken over, sessions of before are thrown away, what waits on them is told at once, and the name is looked up
//!   again;
//! - a server that takes no writes is refused, as by `target_session_attrs=read-write`.

mod database;
mod error;
mod lease;
mod metrics;
mod migrations;
mod options;
mod rows;
mod session;
mod watch;

use std::time::Duration;

use sqlx::{
    Connection as _, PgConnection,
    migrate::{MigrateError, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio_util::sync::CancellationToken;

pub use database::{Database, Transaction};
pub use error::{constraint, is_transient, status};
pub use migrations::{MigrationFile, migrator};

use crate::{
    config::{ConfigError, PostgresArgs},
    health::ReadinessFlag,
};
use options::{base_options, follow_url, for_sessions};
use session::{bounded, open};
use watch::{Watch, Watcher};

/// The longest that one statement may take at the server.
pub const STATEMENT_TIMEOUT: Duration = Duration::from_millis(4500);

const CONNECT_BOUND: Duration = Duration::from_secs(5);

/// Why a database can't be used, beyond being away for a while, which is waited for.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// The URL is missing or no URL.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// It is not there, or takes no writes.
    #[error("cannot reach the database: {0}")]
    Connect(#[source] sqlx::Error),
    /// The schema can't be brought up to date.
    #[error("cannot bring the database schema up to date: {0}")]
    Migrate(#[from] MigrateError),
    /// The pool can't be made.
    #[error("cannot make a pool of database sessions: {0}")]
    Pool(#[source] deadpool::managed::BuildError),
}

impl PostgresError {
    /// Whether to start may succeed a moment later. A database that can't be reached may come, or its URL be corrected.
    fn may_pass(&self) -> bool {
        match self {
            Self::Connect(_) => true,
            Self::Migrate(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) => {
                is_transient(error)
            }
            Self::Config(_) | Self::Migrate(_) | Self::Pool(_) => false,
        }
    }
}

/// What keeps a [`Database`] in step with the server behind its name.
pub(crate) struct Keeper {
    service: &'static str,
    args: PostgresArgs,
    options: tokio::sync::watch::Sender<PgConnectOptions>,
    watcher: Watcher,
    database: Database,
}

impl Keeper {
    /// Ends at shutdown.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let database = self.database;
        tokio::join!(
            shutdown.run_until_cancelled(self.watcher.run(|| database.trim())),
            follow_url(self.service, &self.options, &self.args, &shutdown),
        );
    }
}

/// Waits for the database and brings its schema up to date by each of the migrators in turn.
pub(crate) async fn connect(
    service: &'static str,
    args: &PostgresArgs,
    migrators: impl IntoIterator<Item = Migrator>,
    flag: &ReadinessFlag,
) -> Result<(Database, Keeper), PostgresError> {
    let migrators: Vec<Migrator> = migrators
        .into_iter()
        .map(|mut migrator| {
            // A neighbour of a later version may have been here already: what it added is no business of ours.
            migrator.set_ignore_missing(true);
            migrator
        })
        .collect();
    let prepared = flag.until_done(PostgresError::may_pass, || prepare(service, args, &migrators));
    let options = tokio::sync::watch::Sender::new(for_sessions(prepared.await?));
    let watch = Watch::new();
    let database = Database::new(options.subscribe(), watch.clone(), args.database_max_connections)
        .map_err(PostgresError::Pool)?;
    let keeper = Keeper {
        service,
        args: args.clone(),
        watcher: Watcher::new(watch, options.subscribe()),
        options,
        database: database.clone(),
    };
    Ok((database, keeper))
}

/// Finds a database that takes writes and migrates it, and says how it was reached. The URL is read anew at each attempt:
/// it may have been the password.
async fn prepare(
    service: &'static str,
    args: &PostgresArgs,
    migrators: &[Migrator],
) -> Result<PgConnectOptions, PostgresError> {
    let options = base_options(service, &args.url()?)?;
    let (_sender, receiver) = tokio::sync::watch::channel(options.clone());
    let (connection, _) = bounded(CONNECT_BOUND, open(&receiver))
        .await
        .map_err(PostgresError::Connect)?;
    close(connection).await;
    // Takes an advisory lock: of many replicas that start together one migrates and the others wait. No limits of time
    // here: to build an index may take long.
    let migrating = PgPoolOptions::new()
        .max_connections(1)
        .connect_lazy_with(options.clone());
    for migrator in migrators {
        migrator.run(&migrating).await?;
    }
    migrating.close().await;
    Ok(options)
}

/// One session with a service's limits of time, for a command that a person runs beside the service. Waits for nobody: an
/// error says that there is no database, or one that takes no writes.
pub async fn session(service: &'static str, args: &PostgresArgs) -> Result<PgConnection, PostgresError> {
    let options = for_sessions(base_options(service, &args.url()?)?);
    let (_sender, receiver) = tokio::sync::watch::channel(options);
    let opened = bounded(CONNECT_BOUND, open(&receiver)).await;
    Ok(opened.map_err(PostgresError::Connect)?.0)
}

async fn close(connection: PgConnection) {
    if let Err(error) = bounded(CONNECT_BOUND, connection.close()).await {
        tracing::debug!(%error, "a session was not closed cleanly");
    }
}
