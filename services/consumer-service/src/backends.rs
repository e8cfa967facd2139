//! The services that are asked, and how long they are asked for.
//!
//! A back end that is down is nobody's fault: the batch is held, here, and asked for again with growing pauses until
//! there is an answer. The deliveries stay with this consumer meanwhile; giving them back would only spin them through
//! the broker and use up the delivery limit of healthy messages. A call that is refused as a whole is halved until the
//! item at fault stands alone, so that it takes no other with it.

use std::{future::Future, ops::RangeInclusive, time::Duration};

use backon::{BackoffBuilder as _, ExponentialBuilder};
use chassis::{grpc::ClientChannel, telemetry::trace};
use proto::{
    inventory::{
        AllocateStockRequest, ReleaseStockRequest, StockAllocation, StockAllocationResult, StockRelease,
        StockReleaseResult, inventory_service_client::InventoryServiceClient,
    },
    order::{
        OrderOutcome, RecordOutcomeResult, RecordOutcomesRequest, order_service_client::OrderServiceClient,
    },
    trace::TraceContext,
};
use tonic::{Code, Status};
use tracing::{Instrument as _, Span};

use crate::processing::Item;

/// Between attempts: the first pause, and what they grow to.
const PAUSES: RangeInclusive<Duration> = Duration::from_millis(50)..=Duration::from_secs(5);
/// So often may several items together end in an internal error before they are tried in halves.
const INTERNAL_ERRORS_TOGETHER: u32 = 3;
/// So often may one item alone end in an internal error before it is given up: an order that triggers a bug must not
/// hold the queue for ever. With the pauses that is about six seconds.
const INTERNAL_ERRORS_ALONE: u32 = 8;

/// The services that are asked. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Backends {
    inventory: InventoryServiceClient<ClientChannel>,
    orders: OrderServiceClient<ClientChannel>,
}

/// One answer per item: what the service said, or why it never will.
pub type Answers<R> = Vec<Result<R, String>>;

impl Backends {
    /// Asks over these channels.
    pub fn new(inventory: ClientChannel, orders: ClientChannel) -> Self {
        Self {
            inventory: InventoryServiceClient::new(inventory),
            orders: OrderServiceClient::new(orders),
        }
    }

    /// Has the stock of orders allocated.
    pub async fn allocate(&self, items: &[Item<StockAllocation>]) -> Answers<StockAllocationResult> {
        ask(
            "allocate stock",
            PAUSES,
            items,
            |request| &request.trace,
            |allocations| {
                let mut client = self.inventory.clone();
                async move {
                    Ok(client
                        .allocate_stock(AllocateStockRequest { allocations })
                        .await?
                        .into_inner()
                        .results)
                }
            },
        )
        .await
    }

    /// Has the stock of orders given back.
    pub async fn release(&self, items: &[Item<StockRelease>]) -> Answers<StockReleaseResult> {
        ask(
            "release stock",
            PAUSES,
            items,
            |request| &request.trace,
            |releases| {
                let mut client = self.inventory.clone();
                async move {
                    Ok(client
                        .release_stock(ReleaseStockRequest { releases })
                        .await?
                        .into_inner()
                        .results)
                }
            },
        )
        .await
    }

    /// Has the outcomes of orders recorded.
    pub async fn record(&self, items: &[Item<OrderOutcome>]) -> Answers<RecordOutcomeResult> {
        ask(
            "record outcomes",
            PAUSES,
            items,
            |request| &request.trace,
            |outcomes| {
                let mut client = self.orders.clone();
                async move {
                    Ok(client
                        .record_outcomes(RecordOutcomesRequest { outcomes })
                        .await?
                        .into_inner()
                        .results)
                }
            },
        )
        .await
    }
}

/// Asks until every item has its answer, however long that takes.
async fn ask<T, R, F, Fut>(
    what: &'static str,
    pauses: RangeInclusive<Duration>,
    items: &[Item<T>],
    trace_of: impl Fn(&T) -> &Option<TraceContext>,
    call: F,
) -> Answers<R>
where
    T: Clone,
    F: Fn(Vec<T>) -> Fut,
    Fut: Future<Output = Result<Vec<R>, Status>>,
{
    let mut answers = Vec::with_capacity(items.len());
    // A stack of what is still to be asked, with the first items on top.
    let mut groups = if items.is_empty() { Vec::new() } else { vec![items] };
    while let Some(group) = groups.pop() {
        let span = batch_span(
            what,
            group.iter().filter_map(|item| trace_of(&item.request).as_ref()),
        );
        match insist(what, &pauses, group, &call).instrument(span).await {
            Ok(results) => answers.extend(results.into_iter().map(Ok)),
            Err(status) if group.len() == 1 => {
                answers.push(Err(format!("{:?}: {}", status.code(), status.message())));
            }
            Err(status) => {
                tracing::warn!(items = group.len(), %status, "refused to {what}; trying in halves");
                let (first, second) = group.split_at(group.len() / 2);
                groups.extend([second, first]);
            }
        }
    }
    answers
}

/// Asks for a group until there is an answer, or a refusal that no repetition will change.
async fn insist<T, R, F, Fut>(
    what: &'static str,
    pauses: &RangeInclusive<Duration>,
    group: &[Item<T>],
    call: &F,
) -> Result<Vec<R>, Status>
where
    T: Clone,
    F: Fn(Vec<T>) -> Fut,
    Fut: Future<Output = Result<Vec<R>, Status>>,
{
    let tolerated = if group.len() == 1 {
        INTERNAL_ERRORS_ALONE
    } else {
        INTERNAL_ERRORS_TOGETHER
    };
    let mut internal_errors = 0;
    let mut growing = ExponentialBuilder::default()
        .with_min_delay(*pauses.start())
        .with_max_delay(*pauses.end())
        .without_max_times()
        .with_jitter()
        .build();
    loop {
        let requests = group.iter().map(|item| item.request.clone()).collect();
        let status = match call(requests).await {
            Ok(results) if results.len() == group.len() => return Ok(results),
            Ok(results) => Status::internal(format!("{} answers to {} items", results.len(), group.len())),
            Err(status) => status,
        };
        match Hope::of(status.code()) {
            Hope::None => return Err(status),
            Hope::Some => {
                internal_errors += 1;
                if internal_errors == tolerated {
                    return Err(status);
                }
            }
            Hope::Full => internal_errors = 0,
        }
        let pause = growing.next().unwrap_or(*pauses.end());
        tracing::warn!(items = group.len(), %status, ?pause, "cannot {what} now; the batch is held");
        tokio::time::sleep(pause).await;
    }
}

/// Whether the same call may succeed another time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hope {
    /// It is the back end that is not well, or not let in, or not up to date; the items are as good as any.
    Full,
    /// A bug, which may be in the back end as a whole or in its handling of one item.
    Some,
    /// The items are refused for what they are.
    None,
}

impl Hope {
    const fn of(code: Code) -> Self {
        match code {
            Code::Unavailable
            | Code::DeadlineExceeded
            | Code::ResourceExhausted
            | Code::Aborted
            | Code::Cancelled
            | Code::Unknown
            | Code::Unimplemented
            | Code::Unauthenticated
            | Code::PermissionDenied => Self::Full,
            Code::Internal | Code::DataLoss | Code::Ok => Self::Some,
            Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::FailedPrecondition
            | Code::OutOfRange => Self::None,
        }
    }
}

/// The span under which a batch's call is made: in the items' trace where they share one, else linked to all of them.
fn batch_span<'a>(what: &'static str, traces: impl Iterator<Item = &'a TraceContext> + Clone) -> Span {
    if !traces.clone().any(trace::is_sampled) {
        return Span::none();
    }
    let span = tracing::info_span!(parent: None, "batch", otel.name = what, otel.kind = "internal");
    trace::set_batch_parent(&span, traces);
    span
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Mutex;

    use super::*;

    fn items(numbers: std::ops::Range<u32>) -> Vec<Item<u32>> {
        numbers
            .map(|request| Item {
                request,
                messages: Vec::new(),
            })
            .collect()
    }

    async fn ask_with(
        answer: impl Fn(&[u32]) -> Result<Vec<u32>, Status>,
        count: u32,
    ) -> (Answers<u32>, Vec<usize>) {
        let sizes = Mutex::new(Vec::new());
        let answers = ask(
            "test",
            Duration::from_millis(1)..=Duration::from_millis(2),
            &items(0..count),
            |_| &None,
            |numbers: Vec<u32>| {
                sizes.lock().unwrap().push(numbers.len());
                std::future::ready(answer(&numbers))
            },
        )
        .await;
        (answers, sizes.into_inner().unwrap())
    }

    #[tokio::test]
    async fn one_refused_item_is_found_and_the_others_are_answered_in_order() {
        let (answers, sizes) = ask_with(
            |numbers| {
                if numbers.contains(&5) {
                    Err(Status::invalid_argument("five"))
                } else {
                    Ok(numbers.to_vec())
                }
            },
            8,
        )
        .await;
        for (number, answer) in (0..8).zip(&answers) {
            assert_eq!(answer.as_ref().ok(), (number != 5).then_some(&number));
        }
        assert_eq!(answers[5], Err("InvalidArgument: five".to_owned()));
        assert_eq!(sizes, [8, 4, 4, 2, 1, 1, 2]);
    }

    #[tokio::test]
    async fn a_back_end_that_is_down_is_asked_until_it_is_up_without_splitting() {
        let calls = Mutex::new(0);
        let (answers, sizes) = ask_with(
            |numbers| {
                let mut calls = calls.lock().unwrap();
                *calls += 1;
                if *calls <= 40 {
                    Err(Status::unavailable("down"))
                } else {
                    Ok(numbers.to_vec())
                }
            },
            3,
        )
        .await;
        assert_eq!(answers, [Ok(0), Ok(1), Ok(2)]);
        assert_eq!(sizes, [3; 41]);
    }

    #[tokio::test]
    async fn an_item_that_triggers_a_bug_is_given_up_alone() {
        let (answers, sizes) = ask_with(
            |numbers| {
                if numbers.contains(&0) {
                    Err(Status::internal("bug"))
                } else {
                    Ok(numbers.to_vec())
                }
            },
            2,
        )
        .await;
        assert_eq!(answers, [Err("Internal: bug".to_owned()), Ok(1)]);
        let calls = INTERNAL_ERRORS_TOGETHER + INTERNAL_ERRORS_ALONE + 1;
        assert_eq!(u32::try_from(sizes.len()), Ok(calls));
    }

    #[tokio::test]
    async fn nothing_is_asked_for_nothing() {
        assert_eq!(
            ask_with(|numbers| Ok(numbers.to_vec()), 0).await,
            (Vec::new(), Vec::new())
        );
    }
}
