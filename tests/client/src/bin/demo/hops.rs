//! The hops that an order takes.

use anyhow::{Context as _, ensure};
use shop_client::{Kind, Trace};

/// Each hop: service, kind and name of its span, and for RabbitMQ the routing key.
const HOPS: [(&str, Kind, &str, &str); 12] = [
    ("api-gateway", Kind::Server, "POST /orders", ""),
    (
        "api-gateway",
        Kind::Client,
        "shop.order.v1.OrderService/PlaceOrders",
        "",
    ),
    (
        "order-service",
        Kind::Server,
        "shop.order.v1.OrderService/PlaceOrders",
        "",
    ),
    (
        "inventory-service",
        Kind::Server,
        "shop.inventory.v1.InventoryService/QuotePrices",
        "",
    ),
    (
        "order-service",
        Kind::Client,
        "shop.producer.v1.ProducerService/PublishEvents",
        "",
    ),
    (
        "producer-service",
        Kind::Server,
        "shop.producer.v1.ProducerService/PublishEvents",
        "",
    ),
    (
        "producer-service",
        Kind::Producer,
        "send shop.events",
        "order.created",
    ),
    (
        "consumer-service",
        Kind::Consumer,
        "process consumer-service.orders",
        "order.created",
    ),
    (
        "consumer-service",
        Kind::Client,
        "shop.inventory.v1.InventoryService/AllocateStock",
        "",
    ),
    (
        "inventory-service",
        Kind::Server,
        "shop.inventory.v1.InventoryService/AllocateStock",
        "",
    ),
    (
        "consumer-service",
        Kind::Client,
        "shop.order.v1.OrderService/RecordOutcomes",
        "",
    ),
    (
        "order-service",
        Kind::Server,
        "shop.order.v1.OrderService/RecordOutcomes",
        "",
    ),
];

/// Holds if the trace has every hop, all below the request. The error names the first that is missing.
pub(crate) fn check(trace: &Trace) -> anyhow::Result<()> {
    let mut request = None;
    for (service, kind, name, routing_key) in HOPS {
        let hop = trace.spans().iter().find(|span| {
            let key = span.attribute("messaging.rabbitmq.destination.routing_key");
            span.service == service && span.kind == kind && span.name == name && key == routing_key
        });
        let hop = hop.with_context(|| format!("the trace has no hop {service} {} {name}", kind.name()))?;
        let request = *request.get_or_insert(hop);
        ensure!(
            hop.id == request.id || trace.descends(hop, request),
            "{service} {name} does not follow from the request"
        );
    }
    Ok(())
}
