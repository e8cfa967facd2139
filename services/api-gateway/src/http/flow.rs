//! `/flow`: what moves through the shop at this moment, and what waits, as each service measures it. A service that can't
//! tell is named, and keeps nobody from seeing the rest: this is looked at when something is wrong.

use axum::{Json as Answer, extract::State};
use chassis::grpc::from_timestamp;
use proto::{consumer::GetQueueResponse, order::GetOrderFlowResponse, outbox::GetBacklogResponse};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Api, caller::Admin, timestamp};
use crate::problem::Problem;

/// What moves, and what waits.
#[derive(Serialize, ToSchema)]
struct Flow {
    /// Orders; left out where order-service does not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    orders: Option<OrderFlow>,
    /// What waits to be published, of each service that answers.
    #[schema(max_items = 16)]
    outboxes: Vec<OutboxBacklog>,
    /// What waits to be worked off; left out where consumer-service does not answer, or RabbitMQ doesn't answer it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    queue: Option<QueueState>,
    /// The services that did not answer in time.
    #[schema(max_items = 16)]
    unavailable: Vec<&'static str>,
}

/// How orders come, and how many wait.
#[derive(Serialize, ToSchema)]
struct OrderFlow {
    /// The orders of the last so many seconds are counted.
    #[schema(minimum = 1, maximum = 3_600, example = 10)]
    window_seconds: u32,
    /// Those that were placed in that time, by the status that they have now.
    #[schema(max_items = 16)]
    placed: Vec<OrdersOfStatus>,
    /// Orders that are not decided, whenever they were placed; exact up to 10,000.
    #[schema(minimum = 0, maximum = 10_000)]
    pending: u64,
    /// When the oldest of these was placed.
    #[serde(serialize_with = "timestamp::fixed_width")]
    #[schema(value_type = Option<String>, format = DateTime, required = true, example = "2026-01-02T03:04:05.120000Z")]
    oldest_pending_at: Option<OffsetDateTime>,
}

/// How many orders have a status.
#[derive(Serialize, ToSchema)]
struct OrdersOfStatus {
    /// Later versions may add others.
    #[schema(examples("pending", "confirmed", "rejected", "cancelled", "completed"))]
    status: String,
    /// Exact up to 100,000.
    #[schema(minimum = 0)]
    orders: u64,
}

/// Events of a service that wait to be published.
#[derive(Serialize, ToSchema)]
struct OutboxBacklog {
    /// Whose they are.
    #[schema(
        max_length = 64,
        examples("order-service", "inventory-service", "user-service")
    )]
    service: &'static str,
    /// Events that are to be published; exact up to 100,000.
    #[schema(minimum = 0)]
    events: u64,
    /// Age of the oldest of them; 0 where there is none.
    #[schema(minimum = 0, example = 0.25)]
    oldest_seconds: f64,
    /// Events that can't be published and were set aside for a person; exact up to 100,000.
    #[schema(minimum = 0)]
    set_aside: u64,
}

/// Messages that wait at the broker.
#[derive(Serialize, ToSchema)]
struct QueueState {
    /// Events that wait, without those that are being worked off.
    #[schema(minimum = 0)]
    messages: u64,
    /// Messages that could not be worked off: see `/dead-letters`.
    #[schema(minimum = 0)]
    dead_letters: u64,
}

impl From<GetOrderFlowResponse> for OrderFlow {
    fn from(flow: GetOrderFlowResponse) -> Self {
        let placed = flow.placed.into_iter().map(|placed| OrdersOfStatus {
            status: placed.status_name,
            orders: placed.orders,
        });
        Self {
            window_seconds: flow.window_seconds,
            placed: placed.collect(),
            pending: flow.pending,
            oldest_pending_at: from_timestamp(flow.oldest_pending_at.as_ref()),
        }
    }
}

impl OutboxBacklog {
    fn of(service: &'static str, backlog: GetBacklogResponse) -> Self {
        let oldest = backlog
            .oldest_age
            .and_then(|age| std::time::Duration::try_from(age).ok());
        Self {
            service,
            events: backlog.events,
            oldest_seconds: oldest.unwrap_or_default().as_secs_f64(),
            set_aside: backlog.set_aside,
        }
    }
}

impl From<GetQueueResponse> for QueueState {
    fn from(queue: GetQueueResponse) -> Self {
        Self {
            messages: queue.messages,
            dead_letters: queue.dead_letters,
        }
    }
}

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(get))
}

/// What moves through the shop at this moment, and what waits: orders, outboxes, the queue, dead letters.
#[utoipa::path(
    get, path = "/flow", tag = "flow", security(("token" = [])),
    responses((status = 200, body = Flow), (status = 403, description = "Not an admin")),
)]
async fn get(State(api): State<Api>, _: Admin) -> Result<Answer<Flow>, Problem> {
    let measured = api.backends.flow().await;
    let mut unavailable = measured.unavailable;
    unavailable.sort_unstable();
    unavailable.dedup();
    let outboxes = measured.backlogs.into_iter();
    Ok(Answer(Flow {
        orders: measured.orders.map(OrderFlow::from),
        outboxes: outboxes
            .map(|(service, backlog)| OutboxBacklog::of(service, backlog))
            .collect(),
        queue: measured.queue.map(QueueState::from),
        unavailable,
    }))
}
