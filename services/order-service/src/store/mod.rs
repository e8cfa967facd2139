//! All SQL of the service. Every method is one statement or one transaction; the tables are explained in
//! `migrations/`.

mod create;
mod flow;
mod idempotency;
mod read;
mod transition;

use chassis::postgres::Database;
use outbox::Outbox;
use sqlx::migrate::Migrator;

pub use create::{Creation, NewOrder};
pub use flow::{OrderFlow, PENDING, PLACED, WINDOW};
pub use read::{OPEN_AMONG_LATEST, ORDERS_OF_EACH};
pub use transition::{Recorded, StatusError};

/// The database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    database: Database,
    outbox: Outbox,
}

/// The tables, in the steps in which they came to be.
pub(crate) fn migrations() -> Migrator {
    chassis::migrations![
        "0001_orders",
        "0002_outbox",
        "0003_idempotency_keys",
        "0004_rejected_lines",
    ]
}

impl Store {
    /// The events of every change go to `outbox`, which is in the same database.
    pub fn new(database: Database, outbox: Outbox) -> Self {
        Self { database, outbox }
    }
}
