//! The audit: who did what, to what, why, when, from where, and in which trace. A record is written in the transaction of
//! the change that it tells of, so neither is there without the other, and is only ever added: what holds that, and what
//! it doesn't protect from, stands in the migration and in `docs/adr/0011-*`.
//!
//! A service adds [`migrations`] to its own, [`append`]s a [`Record`] within the transaction of each change that a person
//! makes, and answers for its records by [`service`]. On whose behalf a call is made comes with it
//! ([`chassis::grpc::Principal`]).

mod grpc;
mod record;
mod store;

use sqlx::migrate::Migrator;

pub use grpc::{AuditLog, service};
pub use record::{Changes, Record, Subject};
pub use store::append;

/// The table, for [`Service::postgres`](chassis::Service::postgres). It has a history of its own, beside that of the
/// service's tables.
pub fn migrations() -> Migrator {
    let mut migrator = chassis::migrations!["0001_audit_records"];
    migrator.dangerous_set_table_name("_audit_migrations");
    migrator
}
