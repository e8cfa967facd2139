//! The trace of an order, hop by hop, in the words of OpenTelemetry's semantic conventions: from the HTTP request through
//! the outbox and RabbitMQ to the last gRPC call behind it.

use anyhow::ensure;
use serde_json::Value;

use crate::{Kind, Span, Trace, otlp::Receiver};

const GATEWAY: &str = "api-gateway";
const INVENTORY: &str = "inventory-service";
const ORDER: &str = "order-service";
const PRODUCER: &str = "producer-service";
const CONSUMER: &str = "consumer-service";

const PLACE_ORDERS: &str = "shop.order.v1.OrderService/PlaceOrders";
const QUOTE_PRICES: &str = "shop.inventory.v1.InventoryService/QuotePrices";
const PUBLISH_EVENTS: &str = "shop.producer.v1.ProducerService/PublishEvents";
const ALLOCATE_STOCK: &str = "shop.inventory.v1.InventoryService/AllocateStock";
const RECORD_OUTCOMES: &str = "shop.order.v1.OrderService/RecordOutcomes";

/// Waits until all of a confirmed order's trace has arrived: of the newest order, of which there may be no other since it
/// was placed. An error names the first hop that is missing or not as it should be.
pub async fn one_order_is_one_trace(receiver: &Receiver, order: &Value) -> anyhow::Result<()> {
    let trace_id = receiver
        .wait_for("POST /orders", |spans| {
            spans.newest_trace_id(|span| span.name == "POST /orders")
        })
        .await?;
    let whole = |receiver: &Receiver| follow(&receiver.trace(&trace_id), order).ok();
    match receiver.wait_for("the whole trace", whole).await {
        Ok(()) => Ok(()),
        Err(late) => follow(&receiver.trace(&trace_id), order).map_err(|missing| missing.context(late)),
    }
}

/// Waits until that trace has the order's confirmation too, as the consequence of its processing. To be called where
/// somebody listens to `order.confirmed`, for otherwise it isn't published.
pub async fn its_confirmation_is_part_of_the_trace(receiver: &Receiver) -> anyhow::Result<()> {
    let confirmed = |spans: &Trace| {
        let processed = spans
            .one(CONSUMER, Kind::Consumer, "process consumer-service.orders")
            .ok()?;
        let announced = sent_event(spans, "order.confirmed").ok()?;
        spans.descends(announced, processed).then_some(())
    };
    receiver
        .wait_for("order.confirmed, which follows from the processing", |spans| {
            let trace_id = spans.newest_trace_id(|span| span.name == "POST /orders")?;
            confirmed(&spans.trace(&trace_id))
        })
        .await
}

/// Goes through the trace hop by hop.
fn follow(trace: &Trace, order: &Value) -> anyhow::Result<()> {
    let request = trace.one(GATEWAY, Kind::Server, "POST /orders")?;
    has(
        request,
        &[
            ("http.request.method", "POST"),
            ("http.route", "/orders"),
            ("http.response.status_code", "201"),
            ("url.path", "/orders"),
            ("url.scheme", "http"),
        ],
    )?;
    ensure!(trace.parent(request).is_none(), "the request begins the trace");

    let created = call(trace, request, GATEWAY, ORDER, PLACE_ORDERS)?;
    call(trace, created, ORDER, INVENTORY, QUOTE_PRICES)?;

    // The outbox: the event leaves after the commit, as the consequence of the request that wrote it.
    let sent = sent_event(trace, "order.created")?;
    has(
        sent,
        &[
            ("messaging.system", "rabbitmq"),
            ("messaging.operation.type", "send"),
            ("messaging.operation.name", "send"),
            ("messaging.destination.name", "shop.events:order.created"),
        ],
    )?;
    let published = call_where(trace, created, ORDER, PRODUCER, PUBLISH_EVENTS, |server| {
        trace.descends(sent, server)
    })?;
    ensure!(
        trace.descends(sent, published),
        "the event is sent within PublishEvents:\n{trace}"
    );

    // RabbitMQ: the consumer's span is both a child of the sender's and linked to it.
    let processed = trace.one(CONSUMER, Kind::Consumer, "process consumer-service.orders")?;
    has(
        processed,
        &[
            ("messaging.system", "rabbitmq"),
            ("messaging.operation.type", "process"),
            ("messaging.operation.name", "process"),
            (
                "messaging.destination.name",
                "shop.events:order.created:consumer-service.orders",
            ),
            ("messaging.rabbitmq.destination.routing_key", "order.created"),
            ("messaging.message.id", sent.attribute("messaging.message.id")),
        ],
    )?;
    ensure!(
        !sent.attribute("messaging.message.id").is_empty(),
        "the message has an id"
    );
    ensure!(
        processed.parent.as_ref() == Some(&sent.id),
        "process is a child of send:\n{trace}"
    );
    let link = (sent.trace_id.clone(), sent.id.clone());
    ensure!(
        processed.links.contains(&link),
        "process is linked to send: {:?}",
        processed.links
    );

    call(trace, processed, CONSUMER, INVENTORY, ALLOCATE_STOCK)?;
    call(trace, processed, CONSUMER, ORDER, RECORD_OUTCOMES)?;

    let failed: Vec<&Span> = trace.spans().iter().filter(|span| span.is_error).collect();
    ensure!(
        failed.is_empty(),
        "nothing failed on the way of {}: {failed:?}",
        order["id"]
    );
    Ok(())
}

/// The one event of that type that is sent.
fn sent_event<'a>(trace: &'a Trace, kind: &str) -> anyhow::Result<&'a Span> {
    trace.one_where(PRODUCER, Kind::Producer, "send shop.events", |span| {
        span.attribute("messaging.rabbitmq.destination.routing_key") == kind
    })
}

/// One gRPC hop: the client's span below `cause`, and the server's span as its child.
fn call<'a>(trace: &'a Trace, cause: &Span, from: &str, to: &str, method: &str) -> anyhow::Result<&'a Span> {
    call_where(trace, cause, from, to, method, |_| true)
}

fn call_where<'a>(
    trace: &'a Trace,
    cause: &Span,
    from: &str,
    to: &str,
    method: &str,
    pick: impl Fn(&Span) -> bool,
) -> anyhow::Result<&'a Span> {
    let server = trace.one_where(to, Kind::Server, method, pick)?;
    let client = trace.one_where(from, Kind::Client, method, |span| {
        server.parent.as_ref() == Some(&span.id)
    })?;
    for span in [client, server] {
        has(
            span,
            &[
                ("rpc.system.name", "grpc"),
                ("rpc.method", method),
                ("rpc.response.status_code", "OK"),
            ],
        )?;
    }
    ensure!(
        !client.attribute("server.address").is_empty(),
        "{method}: the client says whom it called"
    );
    ensure!(
        trace.descends(client, cause),
        "{method} follows from {}:\n{trace}",
        cause.name
    );
    Ok(server)
}

fn has(span: &Span, attributes: &[(&str, &str)]) -> anyhow::Result<()> {
    for (name, value) in attributes {
        let found = span.attribute(name);
        ensure!(
            found == *value,
            "{} {}: {name} is {found:?}, not {value:?}",
            span.service,
            span.name
        );
    }
    Ok(())
}
