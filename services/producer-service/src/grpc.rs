//! The gRPC face: a batch of events in, one result per event out, in the same order.

use std::time::Instant;

use chassis::{grpc::status, telemetry::trace};
use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};
use proto::{
    event::{CONTENT_TYPE, EventType},
    producer::{
        Event, PublishEventsRequest, PublishEventsResponse, PublishResult, Published,
        producer_service_server::ProducerService, publish_result,
    },
    trace::TraceContext,
};
use tonic::{Code, Request, Response, Status};
use tracing::Span;

use crate::{
    event::{InvalidEvent, ValidEvent},
    publisher::{Message, Outcome, PublishError, Publisher},
    telemetry::{self, Metrics},
};

/// The most events of a call.
pub const MAX_EVENTS: usize = 1_000;
/// AMQP's delivery mode of a message that survives a restart of the broker.
const PERSISTENT: u8 = 2;

/// The implementation of `shop.producer.v1.ProducerService`.
#[derive(Clone, Debug)]
pub struct Producer {
    publisher: Publisher,
    metrics: Metrics,
}

impl Producer {
    /// Publishes through `publisher`.
    pub fn new(publisher: Publisher) -> Self {
        Self {
            publisher,
            metrics: Metrics::default(),
        }
    }

    /// Publishes what is valid; answers what the broker said of it, in order.
    async fn publish(&self, messages: Vec<Message>, sent: &[Sent]) -> Result<Vec<Outcome>, Status> {
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        let begin = Instant::now();
        let published = self.publisher.publish(messages).await;
        let elapsed = begin.elapsed();
        let errors: Vec<_> = match &published {
            Ok(outcomes) => outcomes.iter().map(|outcome| failure(*outcome)).collect(),
            Err(error) => vec![Some(reason(*error)); sent.len()],
        };
        for (sent, error) in sent.iter().zip(&errors) {
            if let Some(error) = error {
                telemetry::failed(&sent.span, error);
            }
        }
        self.metrics
            .batch(sent.iter().map(|sent| sent.kind).zip(errors), elapsed);
        published.map_err(|error| status::with_reason(Code::Unavailable, reason(error), error.to_string()))
    }
}

/// What is kept of an event while its message is away.
struct Sent {
    kind: Option<EventType>,
    span: Span,
}

#[tonic::async_trait]
impl ProducerService for Producer {
    async fn publish_events(
        &self,
        request: Request<PublishEventsRequest>,
    ) -> Result<Response<PublishEventsResponse>, Status> {
        let events = request.into_inner().events;
        if events.len() > MAX_EVENTS {
            return Err(status::invalid_field(
                "events",
                format!("at most {MAX_EVENTS} events"),
            ));
        }
        let mut messages = Vec::with_capacity(events.len());
        let mut sent = Vec::with_capacity(events.len());
        let mut refused = Vec::with_capacity(events.len());
        for event in &events {
            refused.push(match prepare(event) {
                Ok((message, kept)) => {
                    messages.push(message);
                    sent.push(kept);
                    None
                }
                Err(invalid) => Some(invalid),
            });
        }
        let mut outcomes = self.publish(messages, &sent).await?.into_iter();
        let results = events
            .into_iter()
            .zip(refused)
            .map(|(event, refused)| result(event.id, refused, || outcomes.next().unwrap_or(Outcome::Unknown)))
            .collect();
        Ok(Response::new(PublishEventsResponse { results }))
    }
}

fn prepare(event: &Event) -> Result<(Message, Sent), InvalidEvent> {
    let valid = ValidEvent::new(event)?;
    let own = event.trace.as_ref().map(trace::bounded).unwrap_or_default();
    let span = telemetry::span(&valid, &own);
    let of_span = trace::of(&span);
    let context = if of_span.traceparent.is_empty() {
        own
    } else {
        of_span
    };
    let body = valid.encode(&context)?;
    span.record("messaging.message.body.size", body.len());
    let message = Message {
        id: event.id.clone(),
        routing_key: valid.type_name().to_owned(),
        mandatory: valid.is_mandatory(),
        body,
        properties: properties(&valid, &context),
    };
    Ok((
        message,
        Sent {
            kind: valid.kind,
            span,
        },
    ))
}

fn properties(event: &ValidEvent<'_>, context: &TraceContext) -> BasicProperties {
    let mut headers = FieldTable::default();
    trace::inject(context, |name, value| {
        headers.insert(name.into(), AMQPValue::LongString(value.into()));
    });
    BasicProperties::default()
        .with_content_type(CONTENT_TYPE.into())
        .with_delivery_mode(PERSISTENT)
        .with_message_id(event.id().into())
        .with_type(event.type_name().into())
        .with_timestamp(u64::try_from(event.time.unix_timestamp()).unwrap_or(0))
        .with_app_id("producer-service".into())
        .with_headers(headers)
}

fn result(
    event_id: String,
    refused: Option<InvalidEvent>,
    outcome: impl FnOnce() -> Outcome,
) -> PublishResult {
    let failed = |status: &Status| publish_result::Outcome::Failed(status::to_pb(status));
    let outcome = match refused {
        Some(invalid) => failed(&status::invalid_field(invalid.field(), invalid.to_string())),
        None => match outcome() {
            Outcome::Published => publish_result::Outcome::Published(Published { unheard: false }),
            Outcome::Unheard => publish_result::Outcome::Published(Published { unheard: true }),
            Outcome::Unroutable => failed(&status::with_reason(
                Code::FailedPrecondition,
                "UNROUTABLE",
                "no queue takes events of this type",
            )),
            Outcome::Nacked => failed(&status::with_reason(
                Code::Unavailable,
                "NACKED",
                "the message broker refused it for now",
            )),
            Outcome::Unknown => failed(&status::with_reason(
                Code::Unavailable,
                "UNCONFIRMED",
                "the message broker was lost before it confirmed; the event may have been published",
            )),
        },
    };
    PublishResult {
        event_id,
        outcome: Some(outcome),
    }
}

/// `error.type` of a message that was not published.
fn failure(outcome: Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::Published | Outcome::Unheard => None,
        Outcome::Unroutable => Some("UNROUTABLE"),
        Outcome::Nacked => Some("NACKED"),
        Outcome::Unknown => Some("UNCONFIRMED"),
    }
}

/// The reason of the whole call's UNAVAILABLE.
fn reason(error: PublishError) -> &'static str {
    match error {
        PublishError::Disconnected => "BROKER_DISCONNECTED",
        PublishError::Blocked => "BROKER_BLOCKED",
        PublishError::Busy => "BUSY",
        PublishError::TimedOut => "UNCONFIRMED",
    }
}
