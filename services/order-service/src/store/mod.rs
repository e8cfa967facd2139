//! All SQL of the service. Every method is one statement or one transaction; the tables are explained in
//! `migrations/`.

mod create;
mod idempotency;
mod read;
mod transition;

use chassis::postgres::Database;
use outbox::Outbox;

pub use create::{Creation, NewOrder};
pub use read::{OPEN_AMONG_LATEST, ORDERS_OF_EACH};
pub use transition::{Recorded, StatusError};

/// The database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    database: Database,
    outbox: Outbox,
}

impl Store {
    /// The events of every change go to `outbox`, which is in the same database.
    pub fn new(database: Database, outbox: Outbox) -> Self {
        Self { database, outbox }
    }
}
