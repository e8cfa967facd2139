//! Whether a customer may open another order ([`crate::open_orders`]), asked of memory, and of the database where that
//! does not do.
//!
//! Many customers' first orders at the same time share a read, and one customer's orders wait for one. A customer who has
//! had fewer orders than may be open has fewer open: only beyond that is the status of any looked at.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chassis::{
    batch::{BatchError, BatchOptions, Batcher},
    grpc::status::with_reason,
    postgres,
};
use moka::{policy::EvictionPolicy, sync::Cache};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::{
    open_orders::{Reads, Tally, Verdict},
    store::Store,
};

/// How many customers are remembered, and for how long at most. Of those who are not, the database is asked.
const REMEMBERED: u64 = 20_000;
const REMEMBERED_FOR: Duration = Duration::from_mins(5);
const COUNT: BatchOptions = BatchOptions {
    name: "customers' orders to count",
    max_batch: 64,
    max_queued: 4_096,
    max_in_flight: 2,
    alone_in_place: true,
};

/// Lets orders in. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Admission {
    bound: u32,
    customers: Cache<Uuid, Arc<Customer>>,
    counts: Batcher<Counted, Result<u32, Status>>,
    store: Store,
}

/// Why an order is not let in.
#[derive(Debug, thiserror::Error)]
pub enum NotLetIn {
    /// As many are open as may be.
    #[error(
        "{bound} of your orders are open, and no more may be. Cancel one, or wait until some are completed."
    )]
    TooManyOpen {
        /// As many.
        bound: u32,
    },
    /// Nobody knows how many are open.
    #[error(transparent)]
    NotRead(#[from] Status),
}

impl From<NotLetIn> for Status {
    fn from(refused: NotLetIn) -> Self {
        match refused {
            NotLetIn::NotRead(status) => status,
            NotLetIn::TooManyOpen { .. } => with_reason(
                Code::FailedPrecondition,
                "TOO_MANY_OPEN_ORDERS",
                refused.to_string(),
            ),
        }
    }
}

/// An order that is let in. When it is dropped, its commit is over, and it counts.
#[derive(Debug)]
pub struct LetIn {
    order: Uuid,
    customer: Arc<Customer>,
}

/// Whose orders are to be counted, and which are to be left out.
#[derive(Clone, Debug)]
struct Counted {
    user_id: Uuid,
    left_out: Vec<Uuid>,
}

#[derive(Debug, Default)]
struct Customer {
    tally: Mutex<Tally>,
    /// Held by who asks the database.
    turn_to_read: tokio::sync::Mutex<Option<Failed>>,
}

/// That the last read failed, for those who came before it and wait for their turn.
#[derive(Debug)]
struct Failed {
    read: Reads,
    status: Status,
}

impl Admission {
    /// Up to that many open orders of a customer. Must be called within a tokio runtime.
    pub fn new(store: Store, bound: u32) -> Self {
        let reading = store.clone();
        Self {
            bound,
            // The latest is always remembered: who came first would otherwise be counted apart from who came next.
            customers: Cache::builder()
                .max_capacity(REMEMBERED)
                .time_to_live(REMEMBERED_FOR)
                .eviction_policy(EvictionPolicy::lru())
                .build(),
            counts: Batcher::spawn(COUNT, move |asked: Vec<Counted>| {
                let store = reading.clone();
                async move { count(&store, &asked, bound).await }
            }),
            store,
        }
    }

    /// Has the database asked about a customer who is not known: what can be done while something else is waited for.
    pub async fn know(&self, user_id: Uuid) -> Result<(), Status> {
        let customer = self.customer(user_id);
        let came_after = customer.tally().reads();
        if customer.tally().is_known() {
            return Ok(());
        }
        let mut turn = customer.turn_to_read.lock().await;
        if customer.tally().is_known() {
            return Ok(());
        }
        self.read(user_id, &customer, &mut turn, came_after).await
    }

    /// Lets an order in, if its customer may open another.
    pub async fn let_in(&self, user_id: Uuid, order: Uuid) -> Result<LetIn, NotLetIn> {
        let customer = self.customer(user_id);
        let came_after = customer.tally().reads();
        let ask = || customer.tally().let_in(order, self.bound, came_after);
        let mut verdict = ask();
        if verdict == Verdict::ReadFirst {
            let mut turn = customer.turn_to_read.lock().await;
            // Whoever had the turn before may have asked for this one too. Others may have been let in meanwhile, so many
            // that it is to be asked once more.
            loop {
                verdict = ask();
                if verdict != Verdict::ReadFirst {
                    break;
                }
                self.read(user_id, &customer, &mut turn, came_after).await?;
            }
        }
        match verdict {
            Verdict::Refused => Err(NotLetIn::TooManyOpen { bound: self.bound }),
            Verdict::LetIn | Verdict::ReadFirst => Ok(LetIn { order, customer }),
        }
    }

    fn customer(&self, user_id: Uuid) -> Arc<Customer> {
        self.customers.get_with(user_id, Arc::default)
    }

    /// Asks the database, or says how that failed for somebody else after the request came.
    async fn read(
        &self,
        user_id: Uuid,
        customer: &Customer,
        last: &mut Option<Failed>,
        came_after: Reads,
    ) -> Result<(), Status> {
        if let Some(failed) = last.as_ref().filter(|failed| failed.read > came_after) {
            return Err(failed.status.clone());
        }
        let left_out = customer.tally().begin_to_read();
        match self.open_orders(user_id, left_out).await {
            Ok(open) => {
                *last = None;
                customer.tally().have_read(open);
                Ok(())
            }
            Err(status) => {
                let read = customer.tally().reads();
                *last = Some(Failed {
                    read,
                    status: status.clone(),
                });
                Err(status)
            }
        }
    }

    /// How many orders of the customer may be open. Far below the bound it is how many there are: that is read from the
    /// index alone.
    async fn open_orders(&self, user_id: Uuid, left_out: Vec<Uuid>) -> Result<u32, Status> {
        let all = self.counts.submit(Counted {
            user_id,
            left_out: left_out.clone(),
        });
        let all = all.await.map_err(not_counted)??;
        if all < self.bound {
            return Ok(all);
        }
        let open = self.store.open_among_latest(user_id, &left_out, self.bound).await;
        open.map_err(postgres::status)
    }
}

impl Customer {
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LetIn {
    /// It is not placed, and known not to be.
    pub fn withdraw(self) {
        self.customer.tally().not_placed(self.order);
    }
}

impl Drop for LetIn {
    fn drop(&mut self) {
        self.customer.tally().placed(self.order);
    }
}

async fn count(store: &Store, asked: &[Counted], bound: u32) -> Vec<Result<u32, Status>> {
    let customers: Vec<Uuid> = asked.iter().map(|counted| counted.user_id).collect();
    let left_out: Vec<Uuid> = asked
        .iter()
        .flat_map(|counted| counted.left_out.iter().copied())
        .collect();
    match store.orders_of_each(&customers, &left_out, bound).await {
        Ok(counts) => counts.into_iter().map(Ok).collect(),
        Err(error) => {
            let status = postgres::status(error);
            asked.iter().map(|_| Err(status.clone())).collect()
        }
    }
}

fn not_counted(error: BatchError) -> Status {
    match error {
        BatchError::Full => with_reason(Code::ResourceExhausted, "BUSY", error.to_string()),
        BatchError::Abandoned => Status::unavailable("the customer's orders could not be counted"),
    }
}
