//! Orders that are placed at the same time share a transaction.
//!
//! Group commit stands here, in front of the store, and nowhere else: each order is checked and priced by itself, and
//! comes together with others for the one thing that costs the same for one and for many, the commit. An order that the
//! database refuses is found in halves and refused alone.

use chassis::{
    batch::{BatchError, BatchOptions, Batcher, in_halves},
    grpc::status::with_reason,
    postgres,
};
use tonic::{Code, Status};

use crate::{
    idempotency::{IdempotencyKey, SavedAnswer},
    store::{Creation, NewOrder, Store},
};

/// Each order with an idempotency key takes an advisory lock: with one transaction of 128 at a time, replicas by the dozen
/// stay far below what PostgreSQL has room for (`max_locks_per_transaction` times `max_connections`, 6,400 by default).
const COMMIT: BatchOptions = BatchOptions {
    name: "orders to commit",
    max_batch: 128,
    max_queued: 4_096,
    max_in_flight: 1,
};
const LOOK_UP: BatchOptions = BatchOptions {
    name: "idempotency keys to look up",
    max_batch: 256,
    max_queued: 4_096,
    max_in_flight: 1,
};

/// The store, for many at a time. Cheap to clone.
#[derive(Clone, Debug)]
pub struct GroupCommit {
    look_ups: Batcher<IdempotencyKey, Result<Option<SavedAnswer>, Status>>,
    commits: Batcher<NewOrder, Result<Creation, Status>>,
}

impl GroupCommit {
    /// Must be called within a tokio runtime.
    pub fn new(store: Store) -> Self {
        let reading = store.clone();
        Self {
            look_ups: Batcher::spawn(LOOK_UP, move |keys: Vec<IdempotencyKey>| {
                let store = reading.clone();
                async move {
                    in_halves(&keys, may_be_one, |keys| {
                        let store = store.clone();
                        Box::pin(async move { store.saved_answers(keys).await.map_err(postgres::status) })
                    })
                    .await
                }
            }),
            commits: Batcher::spawn(COMMIT, move |orders: Vec<NewOrder>| {
                let store = store.clone();
                async move {
                    in_halves(&orders, may_be_one, |orders| {
                        let store = store.clone();
                        Box::pin(async move { store.create(orders).await.map_err(postgres::status) })
                    })
                    .await
                }
            }),
        }
    }

    /// What an earlier request with this key has left behind.
    pub async fn saved_answer(&self, key: IdempotencyKey) -> Result<Option<SavedAnswer>, Status> {
        self.look_ups.submit(key).await.map_err(not_done)?
    }

    /// Commits an order with its event and its key.
    pub async fn create(&self, order: NewOrder) -> Result<Creation, Status> {
        self.commits.submit(order).await.map_err(not_done)?
    }
}

/// The database is there and refuses: because of one of them, perhaps.
fn may_be_one(refusal: &Status) -> bool {
    refusal.code() == Code::Internal
}

fn not_done(error: BatchError) -> Status {
    match error {
        BatchError::Full => with_reason(Code::ResourceExhausted, "BUSY", error.to_string()),
        BatchError::Abandoned => {
            Status::unavailable("the transaction failed; the order may or may not be placed")
        }
    }
}
