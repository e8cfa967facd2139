//! The contract `shop.order.v1.OrderService`, in terms of the rules and the store.

mod convert;
mod create;
mod progress;
mod watching;

use std::collections::{HashMap, HashSet};

use chassis::{
    grpc::{
        ClientChannel, Principal,
        multiplex::{self, Multiplexer},
        status::{self, parse_uuid, with_reason},
    },
    open_enum::Open,
    page::Keyset,
    postgres,
    telemetry::{meter, trace},
};
use opentelemetry::{KeyValue, metrics::Counter};
use proto::{
    inventory::inventory_service_client::InventoryServiceClient,
    multiplex::{PlaceOrders, QuotePrices},
    order::{
        ActorRole, CreateOrdersRequest, CreateOrdersResponse, GetOrderFlowRequest, GetOrderFlowResponse,
        GetOrderRequest, GetOrderResponse, ListOrdersRequest, ListOrdersResponse, OrderOutcome,
        PlaceOrdersRequest, RecordOutcomeResult, RecordOutcomesRequest, RecordOutcomesResponse,
        UpdateOrderStatusRequest, UpdateOrderStatusResponse, WatchOrderRequest,
        order_service_server::OrderService, record_outcome_result,
    },
    trace::TraceContext,
};
use tonic::{Code, Request, Response, Status, Streaming};
use tracing::Span;
use uuid::Uuid;

use self::{create::Room, progress::Progress};
use crate::{
    admission::Admission,
    group_commit::GroupCommit,
    order::{Actor, Order, OrderStatus, Outcome, Step, TransitionError, check_actor, first_id},
    store::{self, StatusError, Store},
    watch::Watchers,
};

/// The most orders created in one call.
pub const MAX_ORDERS: usize = 500;
/// The most outcomes recorded in one call.
pub const MAX_OUTCOMES: usize = 1_000;

/// The implementation.
#[derive(Clone, Debug)]
pub struct Orders {
    store: Store,
    admission: Admission,
    group_commit: GroupCommit,
    prices: Multiplexer<QuotePrices>,
    inventory: InventoryServiceClient<ClientChannel>,
    watchers: Watchers,
    created: Counter<u64>,
    decided: Counter<u64>,
    progress: Progress,
}

impl Orders {
    /// Reads prices from `inventory`, and tells `watchers` of every change. Of one customer so many orders may be open.
    pub fn new(store: Store, inventory: ClientChannel, watchers: Watchers, max_open_orders: u32) -> Self {
        let created = meter()
            .u64_counter("shop.orders.created")
            .with_unit("{order}")
            .with_description("Orders that were placed.")
            .build();
        let decided = meter()
            .u64_counter("shop.orders.decided")
            .with_unit("{order}")
            .with_description("Orders that were confirmed or rejected, by that.")
            .build();
        // Shown from the start: the first order is an increase then, which an alert compares.
        created.add(0, &[]);
        for status in [OrderStatus::Confirmed, OrderStatus::Rejected] {
            decided.add(0, &[KeyValue::new("shop.order.status", status.as_str())]);
        }
        Self {
            admission: Admission::new(store.clone(), max_open_orders),
            group_commit: GroupCommit::new(store.clone()),
            store,
            prices: Multiplexer::new(inventory.clone()),
            inventory: InventoryServiceClient::new(inventory),
            watchers,
            created,
            decided,
            progress: Progress::new(),
        }
    }

    /// `user_id` set: only if the order is that user's.
    async fn find(&self, order_id: &str, user_id: Option<&str>) -> Result<Order, Status> {
        let (id, user_id) = parse_ids(order_id, user_id)?;
        self.store
            .order(id, user_id)
            .await
            .map_err(postgres::status)?
            .ok_or_else(not_found)
    }
}

#[tonic::async_trait]
impl OrderService for Orders {
    async fn create_orders(
        &self,
        request: Request<CreateOrdersRequest>,
    ) -> Result<Response<CreateOrdersResponse>, Status> {
        let orders = request.into_inner().orders;
        if orders.len() > MAX_ORDERS {
            return Err(status::invalid_field(
                "orders",
                format!("must have at most {MAX_ORDERS} entries"),
            ));
        }
        let results = self.create_each(orders).await;
        Ok(Response::new(CreateOrdersResponse { results }))
    }

    type PlaceOrdersStream = multiplex::Answers<PlaceOrders>;

    async fn place_orders(
        &self,
        requests: Request<Streaming<PlaceOrdersRequest>>,
    ) -> Result<Response<Self::PlaceOrdersStream>, Status> {
        let orders = self.clone();
        multiplex::serve::<PlaceOrders, _, _>(requests.into_inner(), move |order| {
            let orders = orders.clone();
            async move { orders.create(order, &Room::of_an_answer()).await }
        })
    }

    async fn get_order(
        &self,
        request: Request<GetOrderRequest>,
    ) -> Result<Response<GetOrderResponse>, Status> {
        let request = request.into_inner();
        let order = self.find(&request.order_id, request.user_id.as_deref()).await?;
        Ok(Response::new(GetOrderResponse {
            order: Some(convert::order(&order)),
        }))
    }

    async fn list_orders(
        &self,
        request: Request<ListOrdersRequest>,
    ) -> Result<Response<ListOrdersResponse>, Status> {
        let request = request.into_inner();
        let filter = convert::filter(&request)?;
        let page = Keyset::read(
            filter.digest(),
            request.page,
            request.page_size,
            request.cursor.as_deref(),
        )?;
        let (orders, total) = self
            .store
            .orders(&filter, &page)
            .await
            .map_err(postgres::status)?;
        let orders = orders.map(|order| convert::order(&order));
        Ok(Response::new(ListOrdersResponse {
            orders: orders.items,
            total: u64::try_from(total).unwrap_or_default(),
            next: orders.next,
            page: orders.page,
        }))
    }

    type WatchOrderStream = watching::OrderStream;

    async fn watch_order(
        &self,
        request: Request<WatchOrderRequest>,
    ) -> Result<Response<Self::WatchOrderStream>, Status> {
        let request = request.into_inner();
        let (id, user_id) = parse_ids(&request.order_id, request.user_id.as_deref())?;
        // Subscribed before the first look, so that no change falls in between.
        let subscription = self
            .watchers
            .subscribe(id)
            .map_err(|error| with_reason(Code::ResourceExhausted, "TOO_MANY_WATCHERS", error.to_string()))?;
        let order = self
            .store
            .order(id, user_id)
            .await
            .map_err(postgres::status)?
            .ok_or_else(not_found)?;
        Ok(Response::new(watching::stream(
            self.store.clone(),
            order,
            subscription,
        )))
    }

    async fn update_order_status(
        &self,
        request: Request<UpdateOrderStatusRequest>,
    ) -> Result<Response<UpdateOrderStatusResponse>, Status> {
        let principal = Principal::of(&request);
        let request = request.into_inner();
        let (id, user_id) = parse_ids(&request.order_id, request.user_id.as_deref())?;
        let to = convert::status(request.status)
            .ok_or_else(|| status::invalid_field("status", "must be a status"))?;
        let actor = match request.actor() {
            ActorRole::Customer => Actor::Customer,
            ActorRole::Admin => Actor::Admin,
            ActorRole::Unspecified => {
                return Err(status::invalid_field("actor", "must be CUSTOMER or ADMIN"));
            }
        };
        check_actor(actor, to).map_err(transition)?;
        let expected = request.expected_status_name.as_deref();
        let now = now();
        let step = self
            .store
            .set_status(&principal, (id, user_id), expected, to, trace::current(), now)
            .await;
        if step.map_err(status_error)? == Step::Change {
            self.progress.reached(id, to, now);
            self.watchers.publish([(id, to.into())]);
        }
        let order = self
            .store
            .order(id, user_id)
            .await
            .map_err(postgres::status)?
            .ok_or_else(not_found)?;
        Ok(Response::new(UpdateOrderStatusResponse {
            order: Some(convert::order(&order)),
        }))
    }

    async fn record_outcomes(
        &self,
        request: Request<RecordOutcomesRequest>,
    ) -> Result<Response<RecordOutcomesResponse>, Status> {
        let outcomes = request.into_inner().outcomes;
        if outcomes.len() > MAX_OUTCOMES {
            return Err(status::invalid_field(
                "outcomes",
                format!("must have at most {MAX_OUTCOMES} entries"),
            ));
        }
        let parsed: Vec<Result<(Uuid, Outcome), Status>> = outcomes.iter().map(convert::outcome).collect();
        let mut valid: Vec<(Uuid, Outcome, TraceContext)> = Vec::with_capacity(parsed.len());
        let mut seen = HashSet::with_capacity(parsed.len());
        for (outcome, parsed) in outcomes.iter().zip(&parsed) {
            // Of repeated outcomes in one call the first counts, as it does between calls.
            if let Ok((id, decided)) = parsed
                && seen.insert(*id)
            {
                valid.push((*id, decided.clone(), item_trace(outcome)));
            }
        }
        let now = now();
        let recorded = self
            .store
            .record_outcomes(&valid, now)
            .await
            .map_err(status_error)?;
        for (order, (_, outcome, _)) in recorded.iter().zip(&valid).filter(|(order, _)| order.changed) {
            self.decided.add(
                1,
                &[KeyValue::new("shop.order.status", outcome.status().as_str())],
            );
            self.progress.reached(order.order_id, outcome.status(), now);
            self.watchers.publish([(order.order_id, outcome.status().into())]);
        }
        let statuses: HashMap<Uuid, Option<Open<OrderStatus>>> = recorded
            .into_iter()
            .map(|order| (order.order_id, order.status))
            .collect();
        let results = outcomes
            .into_iter()
            .zip(parsed)
            .map(|(outcome, parsed)| result(outcome, parsed, &statuses));
        Ok(Response::new(RecordOutcomesResponse {
            results: results.collect(),
        }))
    }

    async fn get_order_flow(
        &self,
        _: Request<GetOrderFlowRequest>,
    ) -> Result<Response<GetOrderFlowResponse>, Status> {
        let first = first_id(now() - store::WINDOW);
        let flow = self.store.flow(first).await.map_err(postgres::status)?;
        Ok(Response::new(convert::flow(flow)))
    }
}

/// The trace that the order's next event belongs to: a span of the order's own where its trace is recorded.
fn item_trace(outcome: &OrderOutcome) -> TraceContext {
    let trace = outcome.trace.clone().unwrap_or_default();
    own_span(trace, |_| {
        tracing::info_span!(
            "record outcome",
            otel.kind = "internal",
            shop.order.id = outcome.order_id
        )
    })
}

/// The context of a new span for one item of a batch, or the item's own where it is not recorded.
fn own_span(trace: TraceContext, span: impl FnOnce(&TraceContext) -> Span) -> TraceContext {
    if !trace::is_sampled(&trace) {
        return trace;
    }
    let span = span(&trace);
    trace::item_span_parent(&span, &trace);
    trace::of(&span)
}

fn result(
    outcome: OrderOutcome,
    parsed: Result<(Uuid, Outcome), Status>,
    statuses: &HashMap<Uuid, Option<Open<OrderStatus>>>,
) -> RecordOutcomeResult {
    let status = parsed.and_then(|(id, _)| statuses.get(&id).and_then(Option::as_ref).ok_or_else(not_found));
    let result = match status {
        Ok(status) => record_outcome_result::Result::Status(convert::status_code(status)),
        Err(error) => record_outcome_result::Result::Invalid(status::to_pb(&error)),
    };
    RecordOutcomeResult {
        order_id: outcome.order_id,
        result: Some(result),
    }
}

fn parse_ids(order_id: &str, user_id: Option<&str>) -> Result<(Uuid, Option<Uuid>), Status> {
    let user_id = user_id.map(|id| parse_uuid("user_id", id)).transpose()?;
    Ok((parse_uuid("order_id", order_id)?, user_id))
}

fn not_found() -> Status {
    with_reason(Code::NotFound, "ORDER_NOT_FOUND", "there is no such order")
}

#[allow(clippy::needless_pass_by_value, reason = "made for map_err")]
fn transition(error: TransitionError) -> Status {
    match error {
        TransitionError::Forbidden(_) => with_reason(Code::PermissionDenied, "FORBIDDEN", error.to_string()),
        TransitionError::Invalid { .. } => {
            with_reason(Code::FailedPrecondition, "INVALID_TRANSITION", error.to_string())
        }
    }
}

fn status_error(error: StatusError) -> Status {
    match error {
        StatusError::NotFound => not_found(),
        StatusError::Unexpected(_) => with_reason(Code::Aborted, "VERSION_MISMATCH", error.to_string()),
        StatusError::Transition(error) => transition(error),
        StatusError::Database(error) => postgres::status(error),
        StatusError::Event(error) => internal(&error),
    }
}

fn internal(error: &serde_json::Error) -> Status {
    tracing::error!(%error, "an event can't be written down");
    Status::internal("internal error")
}

/// Now, in the precision that the database keeps, so that an answer and its repetition are alike.
fn now() -> time::OffsetDateTime {
    let now = time::OffsetDateTime::now_utc();
    now.replace_nanosecond(now.microsecond() * 1_000).unwrap_or(now)
}
