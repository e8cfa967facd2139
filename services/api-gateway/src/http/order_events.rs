//! `/orders/{id}/events`: an order's status as it changes, as [server-sent events](https://html.spec.whatwg.org/multipage/server-sent-events.html).

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::State,
    http::StatusCode,
    response::sse::{Event, KeepAlive, Sse},
};
use backon::{ExponentialBuilder, Retryable as _};
use chassis::grpc::ClientChannel;
use futures::{Stream, StreamExt as _, stream};
use proto::order::{WatchOrderRequest, WatchOrderResponse, order_service_client::OrderServiceClient};
use tonic::{Code, Status, Streaming};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    caller::{Caller, Identity},
    input::Id,
    orders::Order,
};
use crate::{problem::Problem, rate_limit::Client, shares::Full};

/// Proxies close connections that are silent for long.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How often in the life of a stream another replica of order-service is asked.
const MAX_INTERRUPTIONS: usize = 20;
/// How often each time, with pauses that grow to two seconds: half a minute in all.
const MAX_ATTEMPTS: usize = 18;

/// What a client reads of each event. The OpenAPI document describes a stream by the schema of one event, as is usual
/// before version 3.2 of that specification.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what axum's `Event` writes")]
struct OrderEvent {
    /// Always `status`.
    #[schema(pattern = "^status$")]
    event: String,
    /// The order, as `GET /orders/{id}` answers it.
    #[schema(content_media_type = "application/json")]
    data: String,
}

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(follow))
}

/// Follows an order: an event `status` with the order now, and another at each change until the status is final. The
/// stream ends then, or after some minutes; connect again in that case, the first event is the order as it is.
/// It ends within a second too when the token expires, or its session or account ends.
#[utoipa::path(
    get, path = "/orders/{id}/events", tag = "orders", security(("token" = [])),
    params(("id" = uuid::Uuid, Path, description = "The order")),
    responses(
        (status = 200, description = "Each event's data is the order", body = OrderEvent, content_type = "text/event-stream"),
        (status = 429, description = "Too many streams are open of this account, or from this address"),
    ),
)]
async fn follow(
    State(api): State<Api>,
    caller: Caller,
    identity: Identity,
    Id(id): Id,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let place = api.event_streams.take(&[
        (
            Client::Account(caller.id),
            api.limits.max_event_streams_per_account,
        ),
        (
            Client::Address(identity.address()),
            api.limits.max_event_streams_per_address,
        ),
    ]);
    let place = place.map_err(|full| match full {
        Full::All => Problem::overloaded(),
        Full::Client => Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too-many-event-streams",
            "too many streams of this account or from this address are open; close one",
        ),
    })?;
    let request = WatchOrderRequest {
        order_id: id.to_string(),
        user_id: caller.confined_to(),
    };
    let changes = Changes::of(api.backends.orders.clone(), request).await?;
    let events = changes
        .into_stream()
        .map(event)
        .take_while(|event| std::future::ready(event.is_ok()))
        .filter_map(move |event| {
            // Given back when the stream ends.
            let _place = &place;
            std::future::ready(event.ok().map(Ok))
        })
        .take_until(api.shutdown.clone().cancelled_owned())
        .take_until(caller.ended(api));
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// One change as an event.
fn event(order: Order) -> Result<Event, ()> {
    let event = Event::default().event("status").json_data(order);
    event.map_err(|problem| tracing::error!(%problem, "an order can't be written as an event"))
}

/// The changes of one order. Where the replica that tells of them stops or dies, another is asked.
struct Changes {
    orders: OrderServiceClient<ClientChannel>,
    request: WatchOrderRequest,
    answers: Streaming<WatchOrderResponse>,
    /// How often another replica was asked.
    interruptions: usize,
    /// The status that was told of last.
    told: Option<String>,
}

impl Changes {
    async fn of(
        mut orders: OrderServiceClient<ClientChannel>,
        request: WatchOrderRequest,
    ) -> Result<Self, Status> {
        Ok(Self {
            answers: orders.watch_order(request.clone()).await?.into_inner(),
            orders,
            request,
            interruptions: 0,
            told: None,
        })
    }

    /// The order at first and after each change. Whoever follows it connects again where it ends early.
    fn into_stream(self) -> impl Stream<Item = Order> {
        stream::unfold(self, async |mut changes| {
            let next = changes.next().await.unwrap_or_else(|problem| {
                tracing::warn!(%problem, "the stream of an order's status ends early");
                None
            });
            next.map(|order| (order, changes))
        })
    }

    async fn next(&mut self) -> Result<Option<Order>, Status> {
        loop {
            let order = match self.answers.message().await {
                Ok(Some(WatchOrderResponse { order })) => {
                    order.ok_or_else(|| Status::internal("an answer has no order"))?
                }
                Ok(None) => return Ok(None),
                Err(interruption)
                    if is_interruption(&interruption) && self.interruptions < MAX_INTERRUPTIONS =>
                {
                    self.interruptions += 1;
                    self.answers = self.ask_again().await?;
                    continue;
                }
                Err(problem) => return Err(problem),
            };
            let order = Order::from(order);
            // A replica that was asked again begins with the order as it is.
            if self.told.as_ref() != Some(&order.status) {
                self.told = Some(order.status.clone());
                return Ok(Some(order));
            }
        }
    }

    async fn ask_again(&self) -> Result<Streaming<WatchOrderResponse>, Status> {
        let pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(50))
            .with_max_delay(Duration::from_secs(2))
            .with_max_times(MAX_ATTEMPTS)
            .with_jitter();
        let ask = || {
            let (mut orders, request) = (self.orders.clone(), self.request.clone());
            async move { orders.watch_order(request).await }
        };
        let answer = ask.retry(pauses).when(is_interruption).await?;
        Ok(answer.into_inner())
    }
}

/// Whether the replica is at fault rather than the request: it stops, or the connection to it broke, which is the one
/// error that has a cause on this side.
fn is_interruption(status: &Status) -> bool {
    status.code() == Code::Unavailable || std::error::Error::source(status).is_some()
}
