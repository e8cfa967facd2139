//! `/orders`: placing, reading and changing orders. How one follows an order: `order_events.rs`.

mod written;

use axum::{
    Json as Answer,
    extract::State,
    http::{HeaderName, StatusCode, header},
};
use chassis::grpc::{from_timestamp, timestamp as to_timestamp};
use proto::order::{
    ActorRole, GetOrderRequest, ListOrdersRequest, NewOrder, NewOrderLine, Order as OrderMessage,
    OrderLine as LineMessage, OrderStatus as StatusMessage, Rejection as RejectionMessage,
    RejectionReason as ReasonMessage, UpdateOrderStatusRequest,
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use self::written::{Placing, StatusChange, StatusWanted};
use super::{
    Api,
    caller::Caller,
    conditional::{MAX_ATTEMPTS, Preconditions, Representation, contended, unless_raced},
    decode::{Checked, Faults},
    idempotency::{IdempotencyKey, Replayed},
    input::{All, Id, Json, Query},
    list::{Links, List, Paging, Shown, Target},
    open_enum,
    timestamp::{self, Timestamp},
};
use crate::{
    backends::read,
    money::{self, Number},
    problem::Problem,
    rate_limit::Client,
};

/// For each so many lines an order counts as one request more.
const LINES_OF_A_REQUEST: usize = 10;

/// An order.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Order {
    /// UUIDv7.
    #[schema(format = Uuid)]
    id: String,
    #[schema(format = Uuid)]
    user_id: String,
    /// `pending → confirmed | rejected`; `pending | confirmed → cancelled`; `confirmed → completed`. Later versions may
    /// add others.
    #[schema(examples("pending", "confirmed", "rejected", "cancelled", "completed"))]
    pub(super) status: String,
    items: Vec<OrderItem>,
    #[schema(value_type = f64, minimum = 0, example = 21.98)]
    total: Number,
    /// A code of ISO 4217.
    #[schema(example = "EUR")]
    currency: String,
    /// Only of rejected orders.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    rejection: Option<Rejection>,
    #[serde(serialize_with = "timestamp::fixed_width")]
    #[schema(value_type = String, format = DateTime, required = true, example = "2026-01-02T03:04:05.120000Z")]
    created_at: Option<OffsetDateTime>,
    #[serde(serialize_with = "timestamp::fixed_width")]
    #[schema(value_type = String, format = DateTime, required = true, example = "2026-01-02T03:04:05.120000Z")]
    updated_at: Option<OffsetDateTime>,
}

/// A line of an order, with the name and price that the product had when the order was placed.
#[derive(Debug, Serialize, ToSchema)]
struct OrderItem {
    #[schema(format = Uuid)]
    product_id: String,
    name: String,
    #[schema(minimum = 1)]
    quantity: i64,
    /// Of one.
    #[schema(value_type = f64, minimum = 0, example = 10.99)]
    price: Number,
    /// Price times quantity.
    #[schema(value_type = f64, minimum = 0, example = 21.98)]
    total: Number,
}

/// Why an order was rejected.
#[derive(Debug, Serialize, ToSchema)]
struct Rejection {
    /// What is wrong with the first product at fault. Later versions may add others.
    #[schema(examples("insufficient_stock", "product_not_found"))]
    reason: String,
    /// The first product at fault.
    #[schema(format = Uuid)]
    product_id: String,
    /// Every product at fault, the first one too, in the order of the order's items.
    items: Vec<RejectedItem>,
}

/// A product that an order was rejected for.
#[derive(Debug, Serialize, ToSchema)]
struct RejectedItem {
    #[schema(format = Uuid)]
    product_id: String,
    /// As of the rejection.
    #[schema(examples("insufficient_stock", "product_not_found"))]
    reason: String,
}

/// The statuses that orders can be asked for by.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum OrderStatus {
    /// Placed; its stock is not taken yet.
    Pending,
    /// Its stock is taken.
    Confirmed,
    /// Its stock can't be had.
    Rejected,
    /// Given up; its stock is free again.
    Cancelled,
    /// Fulfilled.
    Completed,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct OrdersQuery {
    /// From 1; page times `page_size` is at most 10,000.
    #[param(minimum = 1, maximum = 10_000)]
    page: Option<u32>,
    /// 20 where nothing is said.
    #[param(minimum = 1, maximum = 100)]
    page_size: Option<u32>,
    /// The `next` of an answer to the same query, to go on behind it, however far; empty to begin so. Not with `page`.
    cursor: Option<String>,
    /// Only orders with this status.
    #[param(inline)]
    status: Option<OrderStatus>,
    /// Only this user's orders; anybody's is for admins.
    user_id: Option<Uuid>,
    /// Only orders placed then or later, a time of RFC 3339.
    #[param(value_type = Option<String>, format = DateTime, example = "2026-01-01T00:00:00Z")]
    created_from: Option<Timestamp>,
    /// Only orders placed before, a time of RFC 3339: with the beginning of the next month, all of this one.
    #[param(value_type = Option<String>, format = DateTime, example = "2026-02-01T00:00:00Z")]
    created_to: Option<Timestamp>,
}

impl From<OrderMessage> for Order {
    fn from(order: OrderMessage) -> Self {
        let status = open_enum::text(
            &order.status_name,
            StatusMessage::try_from(order.status).map(|status| status.as_str_name()),
            "ORDER_STATUS_",
        );
        let total = order.total.unwrap_or_default();
        Self {
            id: order.id,
            user_id: order.user_id,
            status,
            items: order.lines.into_iter().map(OrderItem::from).collect(),
            total: money::to_number(&total),
            currency: total.currency_code,
            rejection: order.rejection.map(Rejection::from),
            created_at: from_timestamp(order.created_at.as_ref()),
            updated_at: from_timestamp(order.updated_at.as_ref()),
        }
    }
}

impl From<LineMessage> for OrderItem {
    fn from(line: LineMessage) -> Self {
        Self {
            product_id: line.product_id,
            name: line.product_name,
            quantity: line.quantity,
            price: money::to_number(&line.unit_price.unwrap_or_default()),
            total: money::to_number(&line.line_total.unwrap_or_default()),
        }
    }
}

impl From<RejectionMessage> for Rejection {
    fn from(rejection: RejectionMessage) -> Self {
        let spelled = |name: &str, number| {
            let known = ReasonMessage::try_from(number).map(|reason| reason.as_str_name());
            open_enum::text(name, known, "REJECTION_REASON_")
        };
        let reason = spelled(&rejection.reason_name, rejection.reason);
        let lines = rejection.lines.into_iter();
        let mut items: Vec<RejectedItem> = lines
            .map(|line| RejectedItem {
                reason: spelled(&line.reason_name, line.reason),
                product_id: line.product_id,
            })
            .collect();
        // The version before knows the first one alone.
        if items.is_empty() {
            items.push(RejectedItem {
                product_id: rejection.product_id.clone(),
                reason: reason.clone(),
            });
        }
        Self {
            reason,
            product_id: rejection.product_id,
            items,
        }
    }
}

impl From<OrderStatus> for StatusMessage {
    fn from(status: OrderStatus) -> Self {
        match status {
            OrderStatus::Pending => Self::Pending,
            OrderStatus::Confirmed => Self::Confirmed,
            OrderStatus::Rejected => Self::Rejected,
            OrderStatus::Cancelled => Self::Cancelled,
            OrderStatus::Completed => Self::Completed,
        }
    }
}

impl Checked for OrdersQuery {
    fn check(&self, faults: &mut Faults) {
        Paging::check(faults, self.page, self.page_size, self.cursor.as_deref());
    }
}

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, change_status))
}

/// Places an order. It is `pending` until its stock is taken; from this answer on it is not lost. One account may place
/// 1,000 an hour and have 10,000 that are open, pending or confirmed, where the shop says nothing else; ten lines count as
/// a request more.
#[utoipa::path(
    post, path = "/orders", tag = "orders", security(("token" = [])), request_body = Placing,
    params((
        "Idempotency-Key" = Option<String>, Header,
        description = "Makes the request safe to repeat: the same key gives the first answer again",
    )),
    responses(
        (status = 201, body = Order, headers(
            ("location" = String),
            ("idempotency-replayed" = Option<String>, description = "`true` where it is an earlier answer"),
        )),
        (status = 409, description = "The first request with this Idempotency-Key is still at work, or as many orders of the \
            customer are open as may be"),
    ),
)]
async fn create(
    State(api): State<Api>,
    caller: Caller,
    All(input): All<(IdempotencyKey, Json<Placing>)>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Replayed, Answer<Order>), Problem> {
    let (IdempotencyKey(idempotency_key), Json(placing)) = input;
    let further = u32::try_from(placing.items.len() / LINES_OF_A_REQUEST).unwrap_or(u32::MAX);
    api.limiter
        .count_requests(Client::Account(caller.id), further)
        .and_then(|()| api.limiter.count_order(caller.id))
        .map_err(Problem::too_many_requests)?;
    let request_digest = match idempotency_key.as_str() {
        "" => Vec::new(),
        _ => placing.digest(),
    };
    let lines = placing.items.into_iter().map(|item| NewOrderLine {
        product_id: item.product_id,
        quantity: item.quantity,
    });
    let created = api.backends.place_order(NewOrder {
        user_id: caller.id.to_string(),
        lines: lines.collect(),
        idempotency_key,
        request_digest,
        trace: None,
    });
    let created = created.await?;
    let order = created.order.ok_or_else(Problem::internal)?;
    let location = [(header::LOCATION, format!("/orders/{}", order.id))];
    let replayed = Replayed(created.replayed);
    Ok((
        StatusCode::CREATED,
        location,
        replayed,
        Answer(Order::from(order)),
    ))
}

/// Orders, newest first: one's own, or everybody's for an admin.
#[utoipa::path(
    get, path = "/orders", tag = "orders", security(("token" = [])), params(OrdersQuery),
    responses(
        (status = 200, body = List<Order>, headers(("etag" = String), ("link" = String))),
        (status = 304, description = "It is still as `If-None-Match` knows it"),
        (status = 403, description = "Another user's orders"),
    ),
)]
async fn list(
    State(api): State<Api>,
    caller: Caller,
    target: Target,
    Query(query): Query<OrdersQuery>,
) -> Result<(Links, Representation<List<Order>>), Problem> {
    if !caller.is_admin() && query.user_id.is_some_and(|user| user != caller.id) {
        return Err(Problem::forbidden("only an admin may list another user's orders"));
    }
    let paging = Paging::new(query.page, query.page_size, query.cursor);
    let status = query
        .status
        .map_or(StatusMessage::Unspecified, StatusMessage::from);
    let request = ListOrdersRequest {
        page: paging.page,
        page_size: paging.page_size,
        cursor: paging.cursor.clone(),
        user_id: caller
            .confined_to()
            .or_else(|| query.user_id.map(|user| user.to_string())),
        status: status.into(),
        created_from: query.created_from.map(|Timestamp(time)| to_timestamp(time)),
        created_to: query.created_to.map(|Timestamp(time)| to_timestamp(time)),
    };
    let answer = read(&api.backends.orders, request, |mut orders, request| async move {
        orders.list_orders(request).await
    });
    let answer = answer.await?;
    let shown = Shown {
        total: answer.total,
        next: answer.next,
        page: answer.page,
    };
    let (links, list) = paging.list(&target, answer.orders, shown, Order::from);
    Ok((links, Representation::new(list)))
}

/// One order.
#[utoipa::path(
    get, path = "/orders/{id}", tag = "orders", security(("token" = [])),
    params(
        ("id" = Uuid, Path, description = "The order"),
        ("If-None-Match" = Option<String>, Header, description = "The ETag of the order as it is known already"),
    ),
    responses(
        (status = 200, body = Order, headers(("etag" = String))),
        (status = 304, description = "It is still as it is known"),
    ),
)]
async fn get(State(api): State<Api>, caller: Caller, Id(id): Id) -> Result<Representation<Order>, Problem> {
    current(&api, caller, id).await.map(Representation::new)
}

async fn current(api: &Api, caller: Caller, id: Uuid) -> Result<Order, Problem> {
    let request = GetOrderRequest {
        order_id: id.to_string(),
        user_id: caller.confined_to(),
    };
    let answer = read(&api.backends.orders, request, |mut orders, request| async move {
        orders.get_order(request).await
    });
    answer.await?.order.map(Order::from).ok_or_else(Problem::internal)
}

/// Cancels an order, or completes it as an admin. Of an order that is so already nothing changes.
#[utoipa::path(
    patch, path = "/orders/{id}", tag = "orders", security(("token" = [])), request_body = StatusChange,
    params(
        ("id" = Uuid, Path, description = "The order"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the order as it was read"),
    ),
    responses(
        (status = 200, body = Order, headers(("etag" = String))),
        (status = 403, description = "Only an admin may complete an order"),
        (status = 409, description = "The order's status does not lead there"),
        (status = 412, description = "It is not as it was read any more"),
    ),
)]
async fn change_status(
    State(api): State<Api>,
    caller: Caller,
    wanted: Preconditions,
    All(input): All<(Id, Json<StatusChange>)>,
) -> Result<Representation<Order>, Problem> {
    let (Id(id), Json(StatusChange { status })) = input;
    let actor = if caller.is_admin() {
        ActorRole::Admin
    } else {
        ActorRole::Customer
    };
    let status = match status {
        StatusWanted::Completed => StatusMessage::Completed,
        StatusWanted::Cancelled => StatusMessage::Cancelled,
    };
    let request = UpdateOrderStatusRequest {
        order_id: id.to_string(),
        user_id: caller.confined_to(),
        actor: actor.into(),
        status: status.into(),
        expected_status_name: None,
    };
    for _ in 0..MAX_ATTEMPTS {
        let mut request = request.clone();
        if !wanted.is_empty() {
            let known = Representation::new(current(&api, caller, id).await?);
            known.check(&wanted)?;
            request.expected_status_name = Some(known.into_inner().status);
        }
        let answer = api
            .backends
            .orders
            .clone()
            .update_order_status(caller.request(request))
            .await;
        if let Some(changed) = unless_raced(answer)? {
            let order = changed.order.ok_or_else(Problem::internal)?;
            return Ok(Representation::new(order.into()));
        }
    }
    Err(contended())
}
