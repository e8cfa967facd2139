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

/// An argument of a queue, in terms of neither AMQP nor the management API's JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    /// A text.
    Text(&'static str),
    /// A whole number.
    Number(i64),
}

/// A queue. All of them are durable, and shared by whoever may use them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Its name.
    pub name: &'static str,
    /// What makes it the queue it is: RabbitMQ takes no others for a queue that exists.
    pub arguments: &'static [(&'static str, Argument)],
}

/// What makes an exchange route to a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// From here,
    pub exchange: &'static str,
    /// what is published with such a key
    pub routing_key: &'static str,
    /// goes there.
    pub queue: &'static str,
}

/// The exchanges: durable, of the type `topic` and without arguments.
pub const EXCHANGES: [&str; 2] = [EXCHANGE, DEAD_LETTER_EXCHANGE];

/// The queues, the dead letters first: the other must have somewhere to reject to from its first message on.
/// Dead-lettering at least once needs `reject-publish` and quorum queues, and loses no message between the two queues:
/// <https://www.rabbitmq.com/docs/quorum-queues#dead-lettering>.
pub const QUEUES: [Queue; 2] = [
    Queue {
        name: DEAD_LETTER_QUEUE,
        arguments: &[
            ("x-queue-type", Argument::Text("quorum")),
            ("x-delivery-limit", Argument::Number(DEAD_LETTER_DELIVERY_LIMIT)),
        ],
    },
    Queue {
        name: QUEUE,
        arguments: &[
            ("x-queue-type", Argument::Text("quorum")),
            ("x-delivery-limit", Argument::Number(DELIVERY_LIMIT)),
            ("x-dead-letter-exchange", Argument::Text(DEAD_LETTER_EXCHANGE)),
            ("x-dead-letter-strategy", Argument::Text("at-least-once")),
            ("x-overflow", Argument::Text("reject-publish")),
        ],
    },
];

/// The bindings, the one of the dead letters first, as with [`QUEUES`].
pub const BINDINGS: [Binding; 1 + ROUTING_KEYS.len()] = [
    Binding {
        exchange: DEAD_LETTER_EXCHANGE,
        routing_key: "#",
        queue: DEAD_LETTER_QUEUE,
    },
    Binding {
        exchange: EXCHANGE,
        routing_key: ROUTING_KEYS[0],
        queue: QUEUE,
    },
    Binding {
        exchange: EXCHANGE,
        routing_key: ROUTING_KEYS[1],
        queue: QUEUE,
    },
];

/// Declares everything; what exists alike already is left as it is. Fails where it exists otherwise, or where the
/// user may not.
pub async fn declare(channel: &Channel) -> Result<(), lapin::Error> {
    for exchange in EXCHANGES {
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
    // The queues' order holds for their bindings too: see `QUEUES`.
    for queue in QUEUES {
        declare_queue(channel, queue).await?;
        for binding in BINDINGS.iter().filter(|binding| binding.queue == queue.name) {
            bind(channel, binding).await?;
        }
    }
    Ok(())
}

async fn declare_queue(channel: &Channel, queue: Queue) -> Result<(), lapin::Error> {
    let mut table = FieldTable::default();
    for (name, argument) in queue.arguments {
        let value = match argument {
            Argument::Text(text) => AMQPValue::LongString((*text).into()),
            Argument::Number(number) => AMQPValue::LongLongInt(*number),
        };
        table.insert((*name).into(), value);
    }
    let durable = QueueDeclareOptions {
        durable: true,
        ..Default::default()
    };
    channel
        .queue_declare(queue.name.into(), durable, table)
        .await
        .map(drop)
}

async fn bind(channel: &Channel, binding: &Binding) -> Result<(), lapin::Error> {
    let (options, none) = (QueueBindOptions::default(), FieldTable::default());
    channel
        .queue_bind(
            binding.queue.into(),
            binding.exchange.into(),
            binding.routing_key.into(),
            options,
            none,
        )
        .await
}
