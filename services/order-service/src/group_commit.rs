//! Orders that are placed at the same time share a transaction.
//!
//! Group commit stands here, in front of the store, and nowhere else: each order is checked and priced by itself, and
//! comes together with others for the one thing that costs the same for one and for many, the commit. An order that the
//! database refuses is found in halves and refused alone.

use std::ops::Range;

use chassis::{
    batch::{BatchError, BatchOptions, Batcher},
    bisect::{Verdict, bisect},
    grpc::status::with_reason,
    idempotency::{IdempotencyKey, SavedAnswer},
    postgres,
};
use tonic::{Code, Status};

use crate::store::{Creation, NewOrder, Store};

/// Each order with an idempotency key takes an advisory lock: with one transaction of 128 at a time, replicas by the dozen
/// stay far below what PostgreSQL has room for (`max_locks_per_transaction` times `max_connections`, 6,400 by default).
const COMMIT: BatchOptions = BatchOptions {
    name: "orders to commit",
    max_batch: 128,
    max_queued: 4_096,
    max_in_flight: 1,
    alone_in_place: true,
};
const LOOK_UP: BatchOptions = BatchOptions {
    name: "idempotency keys to look up",
    max_batch: 256,
    max_queued: 4_096,
    max_in_flight: 1,
    alone_in_place: true,
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
                    let look_up = |range| store.saved_answers(&keys[range]);
                    bisect(keys.len(), 1, |range| settle(range.clone(), look_up(range))).await
                }
            }),
            commits: Batcher::spawn(COMMIT, move |orders: Vec<NewOrder>| {
                let store = store.clone();
                async move {
                    let commit = |range| store.create(&orders[range]);
                    bisect(orders.len(), 1, |range| settle(range.clone(), commit(range))).await
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

/// What has become of those orders or keys. Where the database is there and refuses several, it may be because of one of them.
async fn settle<R>(
    group: Range<usize>,
    done: impl Future<Output = sqlx::Result<Vec<R>>>,
) -> Verdict<Result<R, Status>> {
    match done.await.map_err(postgres::status) {
        Ok(done) => Verdict::Settled(done.into_iter().map(Ok).collect()),
        Err(refusal) if group.len() > 1 && refusal.code() == Code::Internal => Verdict::Divide,
        Err(refusal) => Verdict::Settled(group.map(|_| Err(refusal.clone())).collect()),
    }
}

fn not_done(error: BatchError) -> Status {
    match error {
        BatchError::Full => with_reason(Code::ResourceExhausted, "BUSY", error.to_string()),
        BatchError::Abandoned => {
            Status::unavailable("the transaction failed; the order may or may not be placed")
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::future::ready;

    use super::*;

    #[tokio::test]
    async fn several_that_are_refused_are_divided_and_an_outage_is_not() {
        let refused = || ready(Err::<Vec<()>, _>(sqlx::Error::Protocol("refused".to_owned())));
        assert!(matches!(settle(0..2, refused()).await, Verdict::Divide));
        let Verdict::Settled(alone) = settle(3..4, refused()).await else {
            panic!("one is not divided")
        };
        assert_eq!(alone[0].as_ref().unwrap_err().code(), Code::Internal);
        let away = ready(Err::<Vec<()>, _>(sqlx::Error::Io(
            std::io::ErrorKind::ConnectionReset.into(),
        )));
        let Verdict::Settled(all) = settle(0..2, away).await else {
            panic!("an outage is nobody's fault")
        };
        assert!(
            all.len() == 2
                && all
                    .iter()
                    .all(|one| one.as_ref().unwrap_err().code() == Code::Unavailable)
        );
    }
}
