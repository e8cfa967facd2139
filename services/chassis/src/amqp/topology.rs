//! Exchanges, queues and bindings. Locally the services declare them; in a cluster the operator does, from these same
//! definitions, and the services may not.
//!
//! ```text
//! shop.events (topic) ── order.created, order.cancelled ──► consumer-service.orders (quorum)
//!                                                               │ rejected, or delivered too often
//! shop.dead-letters (topic) ◄───────────────────────────────────┘
//!     └── # ──► consumer-service.orders.dead-letters (quorum)
//! ```

use lapin::{
    Channel, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};
use proto::event::EventType;

/// Where every event is published.
pub const EXCHANGE: &str = "shop.events";
/// What consumer-service works off.
pub const QUEUE: &str = "consumer-service.orders";
/// Where messages go that can't be worked off.
pub const DEAD_LETTER_EXCHANGE: &str = "shop.dead-letters";
/// Where they wait for a person.
pub const DEAD_LETTER_QUEUE: &str = "consumer-service.orders.dead-letters";
/// The events that [`QUEUE`] gets: those that move stock.
pub const ROUTING_KEYS: [&str; 2] = [
    EventType::OrderCreated.as_str(),
    EventType::OrderCancelled.as_str(),
];

/// How often a message may come back before it is dead-lettered. A consumer that crashes uses one up for every
/// message it held, so the number is well above the crashes that a bad day brings; a poison message is rejected at
/// once and does not depend on it.
pub const DELIVERY_LIMIT: i64 = 50;

/// No message leaves the dead letters by being looked at; RabbitMQ 4 would otherwise drop it after 20 looks.
const DEAD_LETTER_DELIVERY_LIMIT: i64 = 1_000_000;

/// The arguments of [`QUEUE`]. Dead-lettering at least once needs `reject-publish` and quorum queues, and loses no
/// message between the two queues: <https://www.rabbitmq.com/docs/quorum-queues#dead-lettering>.
pub fn queue_arguments() -> Vec<(&'static str, AMQPValue)> {
    vec![
        ("x-queue-type", text("quorum")),
        ("x-delivery-limit", AMQPValue::LongLongInt(DELIVERY_LIMIT)),
        ("x-dead-letter-exchange", text(DEAD_LETTER_EXCHANGE)),
        ("x-dead-letter-strategy", text("at-least-once")),
        ("x-overflow", text("reject-publish")),
    ]
}

/// The arguments of [`DEAD_LETTER_QUEUE`].
pub fn dead_letter_queue_arguments() -> Vec<(&'static str, AMQPValue)> {
    vec![
        ("x-queue-type", text("quorum")),
        (
            "x-delivery-limit",
            AMQPValue::LongLongInt(DEAD_LETTER_DELIVERY_LIMIT),
        ),
    ]
}

/// Declares everything; what exists alike already is left as it is. Fails where it exists otherwise, or where the
/// user may not.
pub async fn declare(channel: &Channel) -> Result<(), lapin::Error> {
    for exchange in [EXCHANGE, DEAD_LETTER_EXCHANGE] {
        let durable = ExchangeDeclareOptions {
            durable: true,
            ..Default::default()
        };
        channel
            .exchange_declare(
                exchange.into(),
                ExchangeKind::Topic,
                durable,
                FieldTable::default(),
            )
            .await?;
    }
    // The dead letters first: the queue must have somewhere to reject to from its first message on.
    declare_queue(channel, DEAD_LETTER_QUEUE, dead_letter_queue_arguments()).await?;
    bind(channel, DEAD_LETTER_QUEUE, DEAD_LETTER_EXCHANGE, "#").await?;
    declare_queue(channel, QUEUE, queue_arguments()).await?;
    for key in ROUTING_KEYS {
        bind(channel, QUEUE, EXCHANGE, key).await?;
    }
    Ok(())
}

async fn declare_queue(
    channel: &Channel,
    queue: &str,
    arguments: Vec<(&'static str, AMQPValue)>,
) -> Result<(), lapin::Error> {
    let mut table = FieldTable::default();
    for (name, value) in arguments {
        table.insert(name.into(), value);
    }
    let durable = QueueDeclareOptions {
        durable: true,
        ..Default::default()
    };
    channel
        .queue_declare(queue.into(), durable, table)
        .await
        .map(drop)
}

async fn bind(channel: &Channel, queue: &str, exchange: &str, key: &str) -> Result<(), lapin::Error> {
    let (options, none) = (QueueBindOptions::default(), FieldTable::default());
    channel
        .queue_bind(queue.into(), exchange.into(), key.into(), options, none)
        .await
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}
