//! The batches of the hot path: allocation and release. An item that is not well formed is answered so, alone.

use chassis::{
    grpc::status::{invalid_field, parse_uuid, to_pb, with_reason},
    telemetry::{self, trace},
};
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram},
};
use proto::{
    inventory::{
        AllocateStockRequest, AllocateStockResponse, Allocated, RejectedStockLine, ReleaseStockRequest,
        ReleaseStockResponse, Released, StockAllocation, StockAllocationResult, StockRejection,
        StockRejectionReason, StockReleaseResult, stock_allocation_result::Outcome as AllocationOutcome,
        stock_release_result::Outcome as ReleaseOutcome,
    },
    trace::TraceContext,
};
use tonic::{Code, Status};
use tracing::{Span, field::Empty};
use uuid::Uuid;

use super::{Inventory, status};
use crate::stock::{Decision, Line, MalformedOrder, Order, RejectedLine, RejectionReason};

const MAX_ITEMS: usize = proto::limits::ALLOCATIONS;

/// What allocation and release count.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    orders: Counter<u64>,
    batch_size: Histogram<u64>,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let meter = telemetry::meter();
        Self {
            orders: meter
                .u64_counter("shop.stock.orders")
                .with_description("Orders whose stock was asked for or given back, by operation and outcome")
                .with_unit("{order}")
                .build(),
            batch_size: meter
                .u64_histogram("shop.stock.batch.size")
                .with_description("Orders per transaction")
                .with_unit("{order}")
                .with_boundaries(vec![1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0])
                .build(),
        }
    }

    fn record(&self, operation: &'static str, outcomes: impl ExactSizeIterator<Item = &'static str>) {
        let operation = KeyValue::new("operation", operation);
        self.batch_size
            .record(outcomes.len() as u64, std::slice::from_ref(&operation));
        for outcome in outcomes {
            self.orders
                .add(1, &[operation.clone(), KeyValue::new("outcome", outcome)]);
        }
    }
}

impl Inventory {
    pub(super) async fn allocate(
        &self,
        request: AllocateStockRequest,
    ) -> Result<AllocateStockResponse, Status> {
        let items = request.allocations;
        check_size("allocations", items.len())?;
        let spans: Vec<Span> = items
            .iter()
            .map(|item| item_span(item.trace.as_ref(), || tracing::info_span!(
                "allocate stock", otel.kind = "internal", shop.order.id = %item.order_id, shop.stock.outcome = Empty
            )))
            .collect();
        let mut orders = Vec::with_capacity(items.len());
        let malformed: Vec<Option<Status>> = items
            .iter()
            .map(|item| read_order(item).map(|order| orders.push(order)).err())
            .collect();
        let mut decisions = self.store.allocate(&orders).await.map_err(status)?.into_iter();
        let results: Vec<StockAllocationResult> = items
            .into_iter()
            .zip(malformed)
            .map(|(item, malformed)| {
                let outcome = match malformed {
                    Some(status) => Some(AllocationOutcome::Invalid(to_pb(&status))),
                    None => decisions.next().map(allocation_outcome),
                };
                StockAllocationResult {
                    order_id: item.order_id,
                    outcome,
                }
            })
            .collect();
        let outcomes = results.iter().map(|result| match result.outcome {
            Some(AllocationOutcome::Allocated(_)) => "allocated",
            Some(AllocationOutcome::Rejected(_)) => "rejected",
            Some(AllocationOutcome::Released(_)) => "released",
            Some(AllocationOutcome::Invalid(_)) | None => "invalid",
        });
        end_spans(spans, outcomes.clone());
        self.metrics.record("allocate", outcomes);
        Ok(AllocateStockResponse { results })
    }

    pub(super) async fn release(&self, request: ReleaseStockRequest) -> Result<ReleaseStockResponse, Status> {
        let items = request.releases;
        check_size("releases", items.len())?;
        let spans: Vec<Span> = items
            .iter()
            .map(|item| item_span(item.trace.as_ref(), || tracing::info_span!(
                "release stock", otel.kind = "internal", shop.order.id = %item.order_id, shop.stock.outcome = Empty
            )))
            .collect();
        let order_ids: Vec<Result<Uuid, Status>> = items
            .iter()
            .map(|item| parse_uuid("order_id", &item.order_id))
            .collect();
        let well_formed: Vec<Uuid> = order_ids
            .iter()
            .filter_map(|id| id.as_ref().ok().copied())
            .collect();
        let mut decisions = self
            .store
            .release(&well_formed)
            .await
            .map_err(status)?
            .into_iter();
        let results: Vec<StockReleaseResult> = items
            .into_iter()
            .zip(order_ids)
            .map(|(item, order_id)| {
                let outcome = match order_id {
                    Ok(_) => decisions.next().map(release_outcome),
                    Err(status) => Some(ReleaseOutcome::Invalid(to_pb(&status))),
                };
                StockReleaseResult {
                    order_id: item.order_id,
                    outcome,
                }
            })
            .collect();
        let outcomes = results.iter().map(|result| match result.outcome {
            Some(ReleaseOutcome::Released(_)) => "released",
            Some(ReleaseOutcome::Invalid(_)) | None => "invalid",
        });
        end_spans(spans, outcomes.clone());
        self.metrics.record("release", outcomes);
        Ok(ReleaseStockResponse { results })
    }
}

fn check_size(field: &'static str, items: usize) -> Result<(), Status> {
    if items > MAX_ITEMS {
        return Err(invalid_field(field, format!("must be at most {MAX_ITEMS}")));
    }
    Ok(())
}

/// The item's own span, in the item's own trace; none where that is not recorded.
fn item_span(context: Option<&TraceContext>, span: impl FnOnce() -> Span) -> Span {
    match context {
        Some(context) if trace::is_sampled(context) => {
            let span = span();
            trace::item_span_parent(&span, context);
            span
        }
        _ => Span::none(),
    }
}

fn end_spans(spans: Vec<Span>, outcomes: impl Iterator<Item = &'static str>) {
    for (span, outcome) in spans.into_iter().zip(outcomes) {
        span.record("shop.stock.outcome", outcome);
    }
}

fn read_order(item: &StockAllocation) -> Result<Order, Status> {
    let id = parse_uuid("order_id", &item.order_id)?;
    let mut lines = Vec::with_capacity(item.lines.len());
    for (index, line) in item.lines.iter().enumerate() {
        let product_id = Uuid::try_parse(&line.product_id)
            .map_err(|_| invalid_field(format!("lines[{index}].product_id"), "must be a UUID"))?;
        lines.push(Line {
            product_id,
            quantity: line.quantity,
        });
    }
    Order::new(id, lines).map_err(|malformed| {
        let field = match malformed {
            MalformedOrder::NoLines => "lines".to_owned(),
            MalformedOrder::Quantity(index) => format!("lines[{index}].quantity"),
            MalformedOrder::RepeatedProduct(index) => format!("lines[{index}].product_id"),
        };
        invalid_field(field, malformed.to_string())
    })
}

fn allocation_outcome(decision: Decision) -> AllocationOutcome {
    match decision {
        Decision::Allocated => AllocationOutcome::Allocated(Allocated {}),
        Decision::Released => AllocationOutcome::Released(Released {}),
        Decision::Rejected(rejection) => {
            let RejectedStockLine {
                product_id,
                reason,
                reason_name,
            } = rejected_line(&rejection.first);
            AllocationOutcome::Rejected(StockRejection {
                reason,
                product_id,
                reason_name,
                lines: rejection.lines().map(rejected_line).collect(),
            })
        }
        Decision::Newer(status) => AllocationOutcome::Invalid(to_pb(&decided_by_a_later_version(&status))),
    }
}

fn rejected_line(line: &RejectedLine) -> RejectedStockLine {
    let (reason_name, reason) = line.reason.to_contract(|reason| {
        match reason {
            RejectionReason::InsufficientStock => StockRejectionReason::InsufficientStock,
            RejectionReason::ProductNotFound => StockRejectionReason::ProductNotFound,
        }
        .into()
    });
    RejectedStockLine {
        product_id: line.product_id.to_string(),
        reason,
        reason_name,
    }
}

fn release_outcome(decision: Decision) -> ReleaseOutcome {
    match decision {
        Decision::Newer(status) => ReleaseOutcome::Invalid(to_pb(&decided_by_a_later_version(&status))),
        _ => ReleaseOutcome::Released(Released {}),
    }
}

fn decided_by_a_later_version(status: &str) -> Status {
    let message =
        format!("a later version has made the order's stock {status:?}, which this one can't change");
    with_reason(Code::FailedPrecondition, "DECIDED_BY_A_LATER_VERSION", message)
}
