//! The transactional outbox: an event is committed with the change that it tells of, and published until the broker has
//! it. Neither is ever there without the other.
//!
//! A service that emits events calls [`start`] once, adds [`migrations`] to its own, and [`Outbox::append`]s an
//! [`Event`] within the transaction of each change, or, where round trips matter, within its very statement
//! ([`appended!`]), and answers for what waits by [`service`]. That is all it has to know. Its command line gains [`Command`], which
//! `main` hands to [`command::run`].
//!
//! ```text
//! append ──► outbox_events, in the caller's transaction
//!    └── once that has committed ──► memory ──┐
//!        what memory did not publish ──► sweep ┴──► producer-service ──► deleted, or tried again, or outbox_poison
//! ```
//!
//! A committed event goes to producer-service from memory ([`fresh`]); the table is read only for what is left behind: by
//! a process that died, in a failure, under a load that memory does not keep up with ([`relay`]). An event is published
//! at least once, always with the same id. **Events of one subject keep their order**, also between replicas: an event is
//! published from memory only where every earlier one of its subject has been, and swept only when no earlier row is
//! left. **One event never holds up another subject's**: a call that is refused as a whole is halved until the event at
//! fault is alone ([`publish`]), and that one is set aside in `outbox_poison` with its reason. **What nobody listens to
//! costs nothing** ([`unheard`]). [`upkeep`] measures and keeps the table small; [`command`] is for the person who looks at what was set aside.

mod append;
pub mod command;
mod event;
mod fresh;
mod grpc;
mod publish;
mod relay;
mod store;
mod unheard;
mod upkeep;

use std::time::Instant;

use chassis::{Service, grpc::ClientChannel, postgres::Database};
use sqlx::migrate::Migrator;
use tokio::sync::mpsc;

pub use append::{Appended, Appending};
pub use command::Command;
pub use event::Event;
pub use grpc::{OutboxState, service};
pub use relay::RelayArgs;
pub use store::SWEEP;

use fresh::Pending;
use proto::event::EventType;
use unheard::Unheard;

/// The most commits whose events wait to be looked at; those of a further one are left to the sweep.
const MAX_COMMITS: usize = 1_024;

/// The tables, for [`Service::postgres`]. They have a history of their own, beside that of the service's tables.
pub fn migrations() -> Migrator {
    let mut migrator = chassis::migrations!["0001_outbox", "0002_first_outbox"];
    migrator.dangerous_set_table_name("_outbox_migrations");
    migrator
}

/// Where a service's changes leave their events. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Outbox {
    committed: mpsc::Sender<Vec<Pending>>,
    unheard: Unheard,
}

/// Starts the relay on a database with the tables of [`migrations`]. `source` is the CloudEvents source of every event,
/// as `/order-service`; `producer` leads to producer-service.
pub fn start(
    service: &Service,
    database: Database,
    producer: ClientChannel,
    source: &'static str,
    args: &RelayArgs,
) -> Outbox {
    let (committed, fresh) = mpsc::channel(MAX_COMMITS);
    let unheard = Unheard::default();
    let publisher = publish::Publisher::new(producer, source, unheard.clone());
    let relay = relay::Relay::new(database.clone(), publisher, args);
    service.spawn("outbox-relay", |shutdown| relay.run(fresh, shutdown));
    service.spawn("outbox-upkeep", |shutdown| upkeep::run(database, shutdown));
    Outbox { committed, unheard }
}

impl Outbox {
    /// Whether anybody may be listening to events of that type. One that nobody listens to need not be appended.
    pub fn is_heard(&self, kind: EventType) -> bool {
        !self.unheard.covers(kind.as_str(), Instant::now())
    }
}
