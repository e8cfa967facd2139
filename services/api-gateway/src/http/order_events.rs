//! `/orders/{id}/events`: an order's status as it changes, as [server-sent events](https://html.spec.whatwg.org/multipage/server-sent-events.html).

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::State,
    response::sse::{Event, KeepAlive, Sse},
};
use futures::{Stream, StreamExt as _};
use proto::order::{WatchOrderRequest, WatchOrderResponse};
use tonic::Status;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Api, caller::Caller, input::Id, orders::Order};
use crate::problem::Problem;

/// Proxies close connections that are silent for long.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

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
#[utoipa::path(
    get, path = "/orders/{id}/events", tag = "orders", security(("token" = [])),
    params(("id" = uuid::Uuid, Path, description = "The order")),
    responses((status = 200, description = "Each event's data is the order", body = OrderEvent, content_type = "text/event-stream")),
)]
async fn follow(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let place = api.event_streams.clone().try_acquire_owned();
    let place = place.map_err(|_| Problem::overloaded())?;
    let request = WatchOrderRequest {
        order_id: id.to_string(),
        user_id: caller.confined_to(),
    };
    let changes = api
        .backends
        .orders
        .clone()
        .watch_order(request)
        .await?
        .into_inner();
    let events = changes
        .map(event)
        .take_while(|event| std::future::ready(event.is_ok()))
        .filter_map(move |event| {
            // Given back when the stream ends.
            let _place = &place;
            std::future::ready(event.ok().map(Ok))
        })
        .take_until(api.shutdown.clone().cancelled_owned());
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// One change as an event. An error ends the stream; whoever follows it connects again.
fn event(change: Result<WatchOrderResponse, Status>) -> Result<Event, ()> {
    let ended = |problem: &dyn std::fmt::Display| tracing::warn!(%problem, "the stream of an order's status ends early");
    let change = change.map_err(|status| ended(&status.message()))?;
    let order = change.order.ok_or_else(|| ended(&"an answer has no order"))?;
    let event = Event::default().event("status").json_data(Order::from(order));
    event.map_err(|error| ended(&error))
}
