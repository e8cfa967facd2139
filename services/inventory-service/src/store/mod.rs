//! All SQL of the service. Each method is one transaction; none decides anything that [`crate::product`] or
//! [`crate::stock`] could. What queries cost at a million products, and why they are written as they are, stands in
//! `QUERIES.md` beside the source.

mod allocations;
mod categories;
mod movements;
mod products;
mod search;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chassis::{
    idempotency::{
        IdempotencyKey, Repetition,
        table::{self, Claim},
    },
    postgres::{Database, Transaction, constraint},
};
use moka::sync::Cache;
use outbox::Outbox;
use proto::event::StockChangeKind;
use sqlx::migrate::Migrator;
use tokio::sync::{Semaphore, SemaphorePermit};
use uuid::Uuid;

use crate::{events, search::Words};

pub use categories::{ALONG_AN_INDEX, CATEGORIES, Category};
pub use movements::{MovementKind, StockMovement};
pub use products::NamedPrice;
pub use search::Listing;

/// How many searches are remembered to be common, and for how long: see `search.rs`.
const COMMON_SEARCHES: u64 = 1_000;
const COMMON_FOR: Duration = Duration::from_mins(1);
/// For how long the categories are as they were.
const CATEGORIES_FOR: Duration = Duration::from_secs(5);
/// Who waited so long for a turn to read a list is told to come back: the person who asked has not gone yet.
const LONGEST_WAIT_TO_LIST: Duration = Duration::from_millis(500);
/// How many wait for that turn at most. They are calls at work, of which the service has room for so many: the others are
/// for those that wait for no list.
const MAX_WAITING_TO_LIST: usize = 64;

/// Words, category and currency.
type CommonSearch = (Option<Words>, String, String);

/// Products, their stock, its ledger and what was decided about orders.
#[derive(Clone, Debug)]
pub struct Store {
    database: Database,
    outbox: Outbox,
    emits_stock_changed: bool,
    common_searches: Cache<CommonSearch, ()>,
    categories: Cache<(), Arc<Vec<Category>>>,
    lists: Arc<Semaphore>,
    waiting_to_list: Arc<Semaphore>,
}

/// Why the store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another product that is not deleted has the stock keeping unit.
    #[error("another product has this sku")]
    SkuTaken,
    /// The product is unknown or deleted.
    #[error("there is no such product")]
    NotFound,
    /// The product is not at the version, or has not the price, that was expected.
    #[error("the product is at version {current}")]
    VersionMismatch {
        /// The version it is at.
        current: i64,
    },
    /// The movement would take more than there is.
    #[error("only {available} units are in stock")]
    InsufficientStock {
        /// The units that there are.
        available: i64,
    },
    /// Too many lists are being read already.
    #[error("too many searches are at work; try again in a moment")]
    Busy,
    /// Other transactions kept deciding about the same orders; trying again later may help.
    #[error("other transactions decide about the same orders")]
    Contended,
    /// Another request was made under the same idempotency key.
    #[error("the idempotency key was used with another request")]
    KeyReused,
    /// A request with the same idempotency key is being worked on.
    #[error("a request with this idempotency key is being worked on")]
    KeyInFlight,
    /// An event can't be written down.
    #[error("the event: {0}")]
    Event(#[from] serde_json::Error),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// What a request with an idempotency key has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Once<T> {
    /// It is done now.
    Done(T),
    /// It was done before: the answer that was kept.
    Before(Vec<u8>),
}

/// Takes a request's key for the transaction; the answer that was kept where it was used before.
async fn claim(
    transaction: &mut Transaction,
    key: Option<&IdempotencyKey>,
) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(key) = key else { return Ok(None) };
    match table::claim(transaction, key).await? {
        Claim::Mine => Ok(None),
        Claim::Repeated(Repetition::Replay(answer)) => Ok(Some(answer)),
        Claim::Repeated(Repetition::Reused) => Err(StoreError::KeyReused),
        Claim::InFlight => Err(StoreError::KeyInFlight),
    }
}

impl StoreError {
    /// Gives the violation of the unique sku its name.
    fn from_write(error: sqlx::Error) -> Self {
        match constraint(&error) {
            Some("products_sku_key") => Self::SkuTaken,
            _ => Self::Database(error),
        }
    }
}

/// The tables, in the steps in which they came to be.
pub(crate) fn migrations() -> Migrator {
    chassis::migrations![
        "0001_products",
        "0002_stock",
        "0003_idempotency_keys",
        "0004_rejected_lines",
        "0005_terms",
        "0006_terms_idx",
        "0007_price_amount_idx",
        "0008_terms_filled",
    ]
}

impl Store {
    /// On a database whose schema is up to date and to which there are that many `connections`. Lists are read on half
    /// of them: a list can take a tenth of a second, an allocation takes a few milliseconds and must find one free. The
    /// events of every change go to `outbox`, which is in the same database; those of changes of stock only with
    /// `emits_stock_changed`.
    pub fn new(database: Database, connections: u32, outbox: Outbox, emits_stock_changed: bool) -> Self {
        let common_searches = Cache::builder()
            .max_capacity(COMMON_SEARCHES)
            .time_to_live(COMMON_FOR)
            .build();
        Self {
            database,
            outbox,
            emits_stock_changed,
            common_searches,
            categories: Cache::builder()
                .max_capacity(1)
                .time_to_live(CATEGORIES_FOR)
                .build(),
            lists: Arc::new(Semaphore::new((connections as usize / 2).max(1))),
            waiting_to_list: Arc::new(Semaphore::new(MAX_WAITING_TO_LIST)),
        }
    }

    /// Waits, for a moment, until a list may be read; it is being read as long as the permit is held.
    async fn turn_to_list(&self) -> Result<SemaphorePermit<'_>, StoreError> {
        let _waiting = self.waiting_to_list.try_acquire().map_err(|_| StoreError::Busy)?;
        match tokio::time::timeout(LONGEST_WAIT_TO_LIST, self.lists.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(StoreError::Busy),
        }
    }

    /// Appends an event for each product whose stock the transaction has changed, by so much, and holds locked: what is
    /// read here is what it leaves. Costs nothing where nobody wants them.
    async fn append_stock_changed(
        &self,
        transaction: &mut Transaction,
        kind: StockChangeKind,
        changes: &BTreeMap<Uuid, i64>,
    ) -> Result<(), StoreError> {
        if !self.emits_stock_changed || changes.is_empty() {
            return Ok(());
        }
        let products: Vec<Uuid> = changes.keys().copied().collect();
        let left: Vec<(Uuid, i64)> =
            sqlx::query_as("SELECT product_id, available FROM stock WHERE product_id = ANY($1)")
                .bind(products)
                .fetch_all(&mut *transaction)
                .await?;
        let events = left.into_iter().filter_map(|(product_id, available)| {
            let delta = *changes.get(&product_id)?;
            Some(events::stock_changed(product_id, kind, delta, available))
        });
        let events = events.collect::<Result<Vec<_>, _>>()?;
        Ok(self.outbox.append(transaction, events).await?)
    }
}
