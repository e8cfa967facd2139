//! Prices that are asked for at the same time are read in one statement.
//!
//! Every order asks for its own products' prices, in a call of its own; together stands only what costs the same for one
//! and for many, the read.

use std::{collections::HashMap, sync::Arc};

use chassis::{
    batch::{BatchError, BatchOptions, Batcher},
    grpc::status::with_reason,
};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::store::{NamedPrice, Store};

const READ: BatchOptions = BatchOptions {
    name: "prices to read",
    max_batch: 256,
    max_queued: 4_096,
    max_in_flight: 1,
    alone_in_place: true,
};

type Prices = Arc<HashMap<Uuid, NamedPrice>>;

/// Reads prices for many at a time. Cheap to clone.
#[derive(Clone, Debug)]
pub struct GroupRead {
    reads: Batcher<Vec<Uuid>, Result<Prices, Status>>,
}

impl GroupRead {
    /// Must be called within a tokio runtime.
    pub fn new(store: Store) -> Self {
        let read = move |wanted: Vec<Vec<Uuid>>| {
            let store = store.clone();
            async move {
                let mut ids = wanted.concat();
                ids.sort_unstable();
                ids.dedup();
                let prices = store.prices(&ids).await.map_err(chassis::postgres::status);
                let prices = prices.map(|prices| {
                    let by_id = prices.into_iter().map(|price| (price.product_id, price));
                    Arc::new(by_id.collect::<HashMap<_, _>>())
                });
                vec![prices; wanted.len()]
            }
        };
        Self {
            reads: Batcher::spawn(READ, read),
        }
    }

    /// Those of the products that are known and not deleted, each once.
    pub async fn prices(&self, mut ids: Vec<Uuid>) -> Result<Vec<NamedPrice>, Status> {
        ids.sort_unstable();
        ids.dedup();
        let read = self.reads.submit(ids.clone()).await.map_err(|error| match error {
            BatchError::Full => with_reason(Code::ResourceExhausted, "BUSY", error.to_string()),
            BatchError::Abandoned => Status::unavailable(error.to_string()),
        });
        let prices = read??;
        Ok(ids.iter().filter_map(|id| prices.get(id).cloned()).collect())
    }
}
