//! How the database is reached: its URL, which may change while the service runs.

use std::{str::FromStr as _, time::Duration};

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::postgres::PgConnectOptions;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::STATEMENT_TIMEOUT;
use crate::config::{ConfigError, PostgresArgs};

const FOLLOW_INTERVAL: Duration = Duration::from_secs(5);

pub(super) fn base_options(service: &str, url: &SecretString) -> Result<PgConnectOptions, ConfigError> {
    let options = PgConnectOptions::from_str(url.expose_secret()).map_err(|error| ConfigError::Invalid {
        variable: "DATABASE_URL",
        reason: error.to_string(),
    })?;
    Ok(options.application_name(service))
}

/// What holds for every session.
///
/// Time is bounded by the server too, for when we can't tell it any more: it must not keep the locks of a transaction
/// whose client was cut off.
///
/// A session plans a statement once, whatever it is given, and keeps the plan. Left to itself it would plan one with lists
/// of varying length anew each time it is short, which costs more than doing it.
///
/// A plan that was made while a table was empty would read all of it from then on, however large it grows, until somebody
/// vacuums or analyzes it; of a table that is filled and emptied all the time that is most of the time. Every statement of
/// ours that grows has its index: so a table is read as a whole only where there is no other way. What that leaves open is
/// which index is read: `tests/e2e/tests/statements.rs` looks at every statement of the way of an order.
pub(super) fn for_sessions(options: PgConnectOptions) -> PgConnectOptions {
    let milliseconds = STATEMENT_TIMEOUT.as_millis().to_string();
    options.options([
        ("plan_cache_mode", "force_generic_plan"),
        ("enable_seqscan", "off"),
        // Forbidden plans look costly to it, and no statement of ours is worth compiling.
        ("jit", "off"),
        ("statement_timeout", milliseconds.as_str()),
        ("idle_in_transaction_session_timeout", "5000"),
        ("tcp_keepalives_idle", "5"),
        ("tcp_keepalives_interval", "2"),
        ("tcp_keepalives_count", "3"),
        ("tcp_user_timeout", "10000"),
    ])
}

/// New sessions use the URL as its file has it now; old ones live on until they are closed, so that a rotation
/// with both passwords valid for a while loses nothing.
pub(super) async fn follow_url(
    service: &'static str,
    options: &watch::Sender<PgConnectOptions>,
    args: &PostgresArgs,
    shutdown: &CancellationToken,
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
            Ok(changed) => {
                options.send_replace(for_sessions(changed));
                tracing::info!("new database sessions use the changed URL");
            }
            Err(error) => {
                tracing::warn!(%error, "the changed database URL is not usable; the last one stays in use");
            }
        }
        known = Some(now);
    }
}
