//! All SQL of the service. Every method is one statement or one transaction; the tables are explained in
//! `migrations/`.

mod create;
mod outbox;
mod read;
mod transition;

use std::sync::Arc;

use chassis::postgres::{Database, Transaction};
use proto::event::EventType;
use tokio::sync::Notify;

pub use create::{Creation, NewOrder};
pub use outbox::{Attempt, Batch, PendingEvent, TAKE_EVENTS};
pub use transition::{Recorded, StatusError};

use crate::outbox::Event;

/// The database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    database: Database,
    committed: Arc<Notify>,
}

impl Store {
    /// `committed` is notified whenever a transaction has added to the outbox.
    pub fn new(database: Database, committed: Arc<Notify>) -> Self {
        Self { database, committed }
    }

    /// Commits a transaction that has added to the outbox, and wakes the relay.
    async fn commit(&self, transaction: Transaction) -> sqlx::Result<()> {
        transaction.commit().await?;
        self.committed.notify_one();
        Ok(())
    }
}

/// Adds to the outbox, in the order given.
async fn insert_events(transaction: &mut Transaction, events: &[Event]) -> sqlx::Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO outbox (event_id, order_id, type, data, traceparent, tracestate, occurred_at)
         SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[])",
    )
    .bind(events.iter().map(|event| event.id).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.order_id).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.kind.as_str()).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.data.as_str()).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.trace.traceparent.as_str()).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.trace.tracestate.as_str()).collect::<Vec<_>>())
    .bind(events.iter().map(|event| event.occurred_at).collect::<Vec<_>>())
    .execute(&mut *transaction)
    .await?;
    Ok(())
}

/// A value that the schema's checks rule out; met only where the schema is newer than this program.
fn unknown(column: &str, value: &str) -> sqlx::Error {
    sqlx::Error::ColumnDecode {
        index: column.to_owned(),
        source: format!("{value} is not known").into(),
    }
}

fn event_type(name: &str) -> sqlx::Result<EventType> {
    EventType::parse(name).ok_or_else(|| unknown("type", name))
}
