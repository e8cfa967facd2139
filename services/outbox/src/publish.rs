//! Handing events to producer-service, and finding the one that is at fault when a call is refused.

use std::{sync::OnceLock, time::Instant};

use chassis::{
    bisect::{Verdict, bisect},
    grpc::{ClientChannel, status, timestamp},
    telemetry::trace,
};
use prost::Message as _;
use proto::producer::{
    self, PublishEventsRequest, PublishResult, producer_service_client::ProducerServiceClient, publish_result,
};
use tonic::{Code, Status};
use tracing::Instrument as _;

use crate::{Event, fresh::Pending, unheard::Unheard};

/// The largest call in bytes, unless a single event is larger. producer-service takes four times as much.
const MAX_CALL_BYTES: usize = 4 * 1024 * 1024;

/// What became of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The broker has it.
    Published,
    /// Not now: no queue takes it, the broker refused it for a moment, or producer-service is of a version that doesn't
    /// know its type yet. It is as good as any.
    Later(String),
    /// It is refused for what it is.
    Refused(String),
    /// Nobody has looked at it: producer-service is not there.
    Untried,
}

/// Publishes through producer-service. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Publisher {
    client: ProducerServiceClient<ClientChannel>,
    source: &'static str,
    unheard: Unheard,
}

impl Publisher {
    /// Notes in `unheard` which types nobody listens to.
    pub(crate) fn new(producer: ClientChannel, source: &'static str, unheard: Unheard) -> Self {
        Self {
            client: ProducerServiceClient::new(producer),
            source,
            unheard,
        }
    }

    /// What it has learned about who listens.
    pub(crate) fn unheard(&self) -> &Unheard {
        &self.unheard
    }

    /// Publishes events of different subjects: one fate for each, in order. An error says that producer-service is not
    /// there for some of them, which are [`Fate::Untried`].
    pub(crate) async fn publish(&self, events: &[Pending]) -> (Vec<Fate>, Option<Status>) {
        let away = OnceLock::new();
        let fates = bisect(events.len(), 1, |group| self.settle(&events[group], &away)).await;
        (fates, away.into_inner())
    }

    async fn settle(&self, group: &[Pending], away: &OnceLock<Status>) -> Verdict<Fate> {
        if away.get().is_some() {
            return Verdict::Settled(vec![Fate::Untried; group.len()]);
        }
        if group.len() > 1 && group.iter().map(weight).sum::<usize>() > MAX_CALL_BYTES {
            return Verdict::Divide;
        }
        match self.call(group).await {
            Ok(results) => {
                self.note_unheard(group, &results);
                Verdict::Settled(results.into_iter().map(fate).collect())
            }
            Err(status) if status.code() == Code::Unavailable || !self.answers().await => {
                away.get_or_init(|| status);
                Verdict::Settled(vec![Fate::Untried; group.len()])
            }
            // producer-service is well, so it is one of these that it can't take.
            Err(status) => {
                if let [alone] = group {
                    return Verdict::Settled(vec![self.publish_without_trace(alone, status).await]);
                }
                tracing::warn!(events = group.len(), %status, "a call was refused; trying in halves");
                Verdict::Divide
            }
        }
    }

    fn note_unheard(&self, group: &[Pending], results: &[PublishResult]) {
        let now = Instant::now();
        for (pending, result) in group.iter().zip(results) {
            match &result.outcome {
                Some(publish_result::Outcome::Published(published)) if published.unheard => {
                    self.unheard.note(&pending.event.kind, now);
                }
                Some(publish_result::Outcome::Published(_)) => {
                    self.unheard.note_heard(&pending.event.kind, now);
                }
                _ => {}
            }
        }
    }

    async fn call(&self, group: &[Pending]) -> Result<Vec<PublishResult>, Status> {
        let span = tracing::info_span!(
            parent: None, "relay events", otel.kind = "internal", shop.batch.size = group.len()
        );
        trace::set_batch_parent(&span, group.iter().map(|pending| &pending.event.trace));
        let events: Vec<_> = group.iter().map(|pending| self.message(&pending.event)).collect();
        self.send(events).instrument(span).await
    }

    /// An event matters more than its trace, which is the only part of it that a stranger had a hand in.
    async fn publish_without_trace(&self, alone: &Pending, refusal: Status) -> Fate {
        let mut message = self.message(&alone.event);
        message.trace = None;
        match self.send(vec![message]).await {
            Ok(results) => {
                tracing::warn!(event = %alone.event.id, %refusal, "an event was published without its trace");
                results
                    .into_iter()
                    .next()
                    .map_or_else(|| Fate::Refused("no result".to_owned()), fate)
            }
            Err(status) if status.code() == Code::Unavailable => Fate::Untried,
            Err(status) => Fate::Refused(format!("{:?}: {}", status.code(), status.message())),
        }
    }

    async fn send(&self, events: Vec<producer::Event>) -> Result<Vec<PublishResult>, Status> {
        let expected = events.len();
        let answer = self
            .client
            .clone()
            .publish_events(PublishEventsRequest { events })
            .await?;
        let results = answer.into_inner().results;
        if results.len() == expected {
            Ok(results)
        } else {
            Err(Status::internal(format!(
                "{} results of {expected} events",
                results.len()
            )))
        }
    }

    /// Whether producer-service answers a call that has nothing in it.
    async fn answers(&self) -> bool {
        self.send(Vec::new()).await.is_ok()
    }

    fn message(&self, event: &Event) -> producer::Event {
        producer::Event {
            id: event.id.to_string(),
            r#type: event.kind.clone(),
            source: self.source.to_owned(),
            subject: event.subject.to_string(),
            time: Some(timestamp(event.occurred_at)),
            data: event.data.clone().into_bytes(),
            trace: Some(event.trace.clone()),
        }
    }
}

/// About how many bytes of a call an event takes.
fn weight(pending: &Pending) -> usize {
    pending.event.data.len() + pending.event.trace.encoded_len() + 256
}

fn fate(result: PublishResult) -> Fate {
    match result.outcome {
        Some(publish_result::Outcome::Published(_)) => Fate::Published,
        Some(publish_result::Outcome::Failed(failed)) => {
            let failed = status::from_pb(&failed);
            let reason = format!("{:?}: {}", failed.code(), failed.message());
            match failed.code() {
                // There is an event type for whatever is appended: who doesn't know it is of an older version than whoever
                // appended it, and a newer one will take its place.
                Code::InvalidArgument if status::is_about_field(&failed, "type") => Fate::Later(reason),
                Code::InvalidArgument => Fate::Refused(reason),
                _ => Fate::Later(reason),
            }
        }
        None => Fate::Later("no outcome".to_owned()),
    }
}
