//! What an error of the database means.

use sqlx::postgres::{PgDatabaseError, PgSeverity};
use tonic::{Code, Status};

use crate::grpc::status::with_reason;

/// The name of the constraint that a statement violated, if that is what went wrong.
pub fn constraint(error: &sqlx::Error) -> Option<&str> {
    error.as_database_error()?.constraint()
}

/// Whether the same work may succeed a moment later: the database is away, busy, not the primary any more, or chose
/// this transaction to give way to another.
pub fn is_transient(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => {
            true
        }
        sqlx::Error::Database(database) => {
            // 08: connection; 40: transaction rollback (serialization, deadlock); 53: resources; 57: operator
            // intervention (shutdown, statement timeout); 58: the machine below; 28: a password that is being rotated.
            let class = |code: &str| {
                ["08", "40", "53", "57", "58", "28"]
                    .iter()
                    .any(|class| code.starts_with(class))
            };
            is_read_only(error)
                || has_stale_plan(error)
                || ends_session(error)
                || database.code().is_some_and(|code| class(&code))
        }
        _ => false,
    }
}

/// What a caller is told of a database error: UNAVAILABLE where trying again may help, `RESOURCE_EXHAUSTED` where the
/// database is well and too much is asked of it by this process, otherwise INTERNAL. The error itself is logged here,
/// once, and not sent.
#[allow(clippy::needless_pass_by_value, reason = "made for map_err")]
pub fn status(error: sqlx::Error) -> Status {
    if matches!(error, sqlx::Error::PoolTimedOut) {
        tracing::warn!("every database session is in use");
        with_reason(
            Code::ResourceExhausted,
            "DATABASE_BUSY",
            "too much is asked of the database",
        )
    } else if is_transient(&error) {
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

/// `read_only_sql_transaction`: the server was the primary once, or is on its way to be it.
pub(super) fn is_read_only(error: &sqlx::Error) -> bool {
    code_is(error, "25006")
}

/// `too_many_connections`
pub(super) fn has_no_room(error: &sqlx::Error) -> bool {
    code_is(error, "53300")
}

/// Whether the session is of no use after this error.
pub(super) fn ends_session(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(database) => {
            // Whatever the code says: the server ends the session by itself.
            let fatal = database
                .try_downcast_ref::<PgDatabaseError>()
                .is_none_or(|error| matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic));
            fatal || is_read_only(error) || has_stale_plan(error)
        }
        _ => true,
    }
}

/// A prepared statement that a change of the schema made useless: a session keeps it, a new one prepares it anew.
fn has_stale_plan(error: &sqlx::Error) -> bool {
    // `feature_not_supported` means something else everywhere but here.
    code_is(error, "0A000")
        && error
            .as_database_error()
            .and_then(|error| error.try_downcast_ref::<PgDatabaseError>())
            .is_some_and(|error| error.routine() == Some("RevalidateCachedQuery"))
}

fn code_is(error: &sqlx::Error, expected: &str) -> bool {
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|code| code == expected)
}
