//! Handing events to producer-service, and finding the one that is at fault when a call is refused.

use chassis::{
    grpc::{ClientChannel, status, timestamp},
    telemetry::trace,
};
use prost::Message as _;
use proto::producer::{
    self, PublishEventsRequest, PublishResult, producer_service_client::ProducerServiceClient, publish_result,
};
use tonic::{Code, Status};
use tracing::Instrument as _;

use crate::{Event, fresh::Pending};

/// The largest call in bytes, unless a single event is larger. producer-service takes four times as much.
const MAX_CALL_BYTES: usize = 4 * 1024 * 1024;

/// What became of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The broker has it.
    Published,
    /// Not now: no queue takes it, or the broker refused it for a moment. It is as good as any.
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
}

impl Publisher {
    pub(crate) fn new(producer: ClientChannel, source: &'static str) -> Self {
        Self {
            client: ProducerServiceClient::new(producer),
            source,
        }
    }

    /// Publishes events of different subjects: one fate for each, in order. An error says that producer-service is not
    /// there for some of them, which are [`Fate::Untried`].
    pub(crate) async fn publish(&self, events: &[Pending]) -> (Vec<Fate>, Option<Status>) {
        let mut fates = Vec::with_capacity(events.len());
        // A stack of what is still to be sent, with the first events on top.
        let mut groups: Vec<&[Pending]> = chunks(events, MAX_CALL_BYTES);
        groups.reverse();
        while let Some(group) = groups.pop() {
            match self.call(group).await {
                Ok(results) => fates.extend(results.into_iter().map(fate)),
                Err(status) if status.code() == Code::Unavailable || !self.answers().await => {
                    fates.resize(events.len(), Fate::Untried);
                    return (fates, Some(status));
                }
                Err(status) => {
                    // producer-service is well, so it is one of these that it can't take.
                    if let [alone] = group {
                        fates.push(self.publish_without_trace(alone, status).await);
                    } else {
                        tracing::warn!(events = group.len(), %status, "a call was refused; trying in halves");
                        let (first, second) = group.split_at(group.len() / 2);
                        groups.extend([second, first]);
                    }
                }
            }
        }
        (fates, None)
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

/// Cuts the events into calls of at most so many bytes, each with one event at least.
fn chunks(events: &[Pending], most: usize) -> Vec<&[Pending]> {
    let mut chunks = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (place, pending) in events.iter().enumerate() {
        let weight = pending.event.data.len() + pending.event.trace.encoded_len() + 256;
        if place > start && bytes + weight > most {
            chunks.push(&events[start..place]);
            (start, bytes) = (place, 0);
        }
        bytes += weight;
    }
    if start < events.len() {
        chunks.push(&events[start..]);
    }
    chunks
}

fn fate(result: PublishResult) -> Fate {
    match result.outcome {
        Some(publish_result::Outcome::Published(_)) => Fate::Published,
        Some(publish_result::Outcome::Failed(failed)) => {
            let failed = status::from_pb(&failed);
            let reason = format!("{:?}: {}", failed.code(), failed.message());
            match failed.code() {
                Code::InvalidArgument => Fate::Refused(reason),
                _ => Fate::Later(reason),
            }
        }
        None => Fate::Later("no outcome".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Instant;

    use proto::{event::EventType, trace::TraceContext};
    use time::OffsetDateTime;
    use uuid::Uuid;

    use super::*;

    fn of_size(bytes: usize) -> Pending {
        let mut event = Event::new(
            EventType::OrderCreated,
            Uuid::now_v7(),
            &(),
            &TraceContext::default(),
            OffsetDateTime::UNIX_EPOCH,
        )
        .unwrap();
        event.data = " ".repeat(bytes);
        Pending {
            seq: 0,
            attempts: 0,
            event,
            follows: None,
            appended: Instant::now(),
        }
    }

    #[test]
    fn calls_are_cut_by_their_bytes_and_leave_nothing_out() {
        let events: Vec<Pending> = [10, 10, 5_000, 10, 900, 900].map(of_size).into();
        let sizes: Vec<usize> = chunks(&events, 2_000).iter().map(|chunk| chunk.len()).collect();
        assert_eq!(sizes, [2, 1, 2, 1]);
        assert!(chunks(&[], 2_000).is_empty());
    }
}
