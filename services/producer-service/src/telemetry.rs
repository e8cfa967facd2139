//! The span and the metrics of a published message, with the names of OpenTelemetry's semantic conventions for
//! messaging.

use std::time::Duration;

use chassis::{amqp::topology, telemetry};
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram},
};
use proto::{event::EventType, trace::TraceContext};
use tracing::{Span, field::Empty};

use crate::event::ValidEvent;

/// What a message counts as: its type, where it is known, and its `error.type`, where it was not published.
type Kind = (Option<EventType>, Option<&'static str>);

/// The metrics of publishing.
#[derive(Clone, Debug)]
pub struct Metrics {
    sent: Counter<u64>,
    duration: Histogram<f64>,
}

impl Default for Metrics {
    fn default() -> Self {
        let meter = telemetry::meter();
        Self {
            sent: meter
                .u64_counter("messaging.client.sent.messages")
                .with_unit("{message}")
                .with_description("Messages that were handed to the broker.")
                .build(),
            duration: meter
                .f64_histogram("messaging.client.operation.duration")
                .with_unit("s")
                .with_description("Time from handing a message to the broker to its confirm.")
                .with_boundaries(telemetry::DURATION_BOUNDARIES.to_vec())
                .build(),
        }
    }
}

impl Metrics {
    /// Notes the messages of a batch, each with its type, where it is known, and its `error.type` where it was not published.
    pub fn batch(&self, messages: impl Iterator<Item = Kind>, elapsed: Duration) {
        let mut counts: Vec<(Kind, u64)> = Vec::new();
        for message in messages {
            match counts.iter_mut().find(|(known, _)| *known == message) {
                Some((_, count)) => *count += 1,
                None => counts.push((message, 1)),
            }
        }
        for ((kind, error), count) in counts {
            let attributes = attributes(kind, error);
            self.sent.add(count, &attributes);
            for _ in 0..count {
                self.duration.record(elapsed.as_secs_f64(), &attributes);
            }
        }
    }
}

fn attributes(kind: Option<EventType>, error: Option<&'static str>) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new("messaging.system", "rabbitmq"),
        KeyValue::new("messaging.operation.name", "send"),
        KeyValue::new("messaging.operation.type", "send"),
        // There is no end of unknown types, and each would be a series of its own.
        KeyValue::new(
            "messaging.destination.name",
            destination(kind.map_or("_OTHER", EventType::as_str)),
        ),
    ];
    attributes.extend(error.map(|error| KeyValue::new("error.type", error)));
    attributes
}

/// Where a type is published to: `{exchange}:{routing key}`.
fn destination(type_name: &str) -> String {
    format!("{}:{type_name}", topology::EXCHANGE)
}

/// The span of one message's publication, where its trace is recorded. The current span must be the call's.
pub fn span(event: &ValidEvent<'_>, trace: &TraceContext) -> Span {
    if !telemetry::trace::is_sampled(trace) {
        return Span::none();
    }
    let span = tracing::info_span!(
        parent: None,
        "send shop.events",
        otel.kind = "producer",
        otel.status_code = Empty,
        "error.type" = Empty,
        messaging.system = "rabbitmq",
        messaging.operation.name = "send",
        "messaging.operation.type" = "send",
        messaging.destination.name = destination(event.type_name()),
        messaging.rabbitmq.destination.routing_key = event.type_name(),
        messaging.message.id = event.id(),
        messaging.message.body.size = Empty,
    );
    telemetry::trace::item_span_parent(&span, trace);
    span
}

/// Marks the span of a message that was not published.
pub fn failed(span: &Span, error: &'static str) {
    span.record("otel.status_code", "ERROR");
    span.record("error.type", error);
}
