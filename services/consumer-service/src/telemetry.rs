//! The span and the metrics of a message that is worked off, with the names of OpenTelemetry's semantic conventions
//! for messaging.

use std::time::Duration;

use chassis::{
    amqp::topology,
    telemetry::{self, DURATION_BOUNDARIES, trace},
};
use lapin::message::Delivery;
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram},
};
use proto::trace::TraceContext;
use tracing::{Span, field::Empty};

use crate::{delivery, processing::Hopeless};

/// The metrics of consuming.
#[derive(Clone, Debug)]
pub struct Metrics {
    consumed: Counter<u64>,
    duration: Histogram<f64>,
    dead_lettered: Counter<u64>,
    unknown: Counter<u64>,
    batch_size: Histogram<u64>,
    attributes: [KeyValue; 4],
}

impl Default for Metrics {
    fn default() -> Self {
        let meter = telemetry::meter();
        let dead_lettered = meter
            .u64_counter("shop.consumer.dead_lettered.messages")
            .with_unit("{message}")
            .with_description("Messages that were rejected to the dead letters.")
            .build();
        // Shown from the start: the first one is an increase then, which an alert compares.
        for kind in Hopeless::KINDS {
            dead_lettered.add(0, &[KeyValue::new("reason", kind)]);
        }
        Self {
            consumed: meter
                .u64_counter("messaging.client.consumed.messages")
                .with_unit("{message}")
                .with_description("Messages that the broker handed over.")
                .build(),
            duration: meter
                .f64_histogram("messaging.process.duration")
                .with_unit("s")
                .with_description("Time from taking a message up, with its batch, to its verdict.")
                .with_boundaries(DURATION_BOUNDARIES.to_vec())
                .build(),
            dead_lettered,
            unknown: meter
                .u64_counter("shop.consumer.unknown.messages")
                .with_unit("{message}")
                .with_description(
                    "Messages whose event type this version does not know; they were acknowledged.",
                )
                .build(),
            batch_size: meter
                .u64_histogram("shop.consumer.batch.size")
                .with_unit("{message}")
                .with_description("Messages of a batch.")
                .with_boundaries(vec![1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0])
                .build(),
            attributes: [
                KeyValue::new("messaging.system", "rabbitmq"),
                KeyValue::new("messaging.operation.name", "process"),
                KeyValue::new("messaging.operation.type", "process"),
                KeyValue::new("messaging.destination.name", topology::QUEUE),
            ],
        }
    }
}

impl Metrics {
    /// Notes a batch and how long it took.
    pub fn batch(&self, messages: usize, elapsed: Duration) {
        let count = u64::try_from(messages).unwrap_or(u64::MAX);
        self.batch_size.record(count, &[]);
        self.consumed.add(count, &self.attributes);
        for _ in 0..messages {
            self.duration.record(elapsed.as_secs_f64(), &self.attributes);
        }
    }

    /// Notes a message of an unknown type. The type is no label: there is no end of unknown ones.
    pub fn unknown(&self) {
        self.unknown.add(1, &[]);
    }

    /// Notes a message that was rejected.
    pub fn dead_lettered(&self, why: &Hopeless) {
        self.dead_lettered.add(1, &[KeyValue::new("reason", why.kind())]);
    }
}

/// The span of one message's processing, where its trace is recorded. The creation context is both its parent, which
/// makes one trace of it, and linked, as the conventions ask.
pub fn span(delivery: &Delivery, context: &TraceContext) -> Span {
    if !trace::is_sampled(context) {
        return Span::none();
    }
    let span = tracing::info_span!(
        parent: None,
        "process consumer-service.orders",
        otel.kind = "consumer",
        otel.status_code = Empty,
        error.type = Empty,
        messaging.system = "rabbitmq",
        messaging.operation.name = "process",
        messaging.operation.type = "process",
        messaging.destination.name = destination(delivery),
        messaging.rabbitmq.destination.routing_key = delivery.routing_key.as_str(),
        messaging.message.id = delivery::message_id(&delivery.properties),
        messaging.message.body.size = delivery.data.len(),
    );
    trace::set_parent(&span, context);
    trace::add_link(&span, context);
    span
}

/// Marks the span of a message that is rejected.
pub fn rejected(span: &Span, why: &Hopeless) {
    span.record("otel.status_code", "ERROR");
    span.record("error.type", why.kind());
}

/// `{exchange}:{routing key}:{queue}`; a message that was put back has only its queue.
fn destination(delivery: &Delivery) -> String {
    let (exchange, key) = (delivery.exchange.as_str(), delivery.routing_key.as_str());
    if exchange.is_empty() {
        topology::QUEUE.to_owned()
    } else {
        format!("{exchange}:{key}:{}", topology::QUEUE)
    }
}
