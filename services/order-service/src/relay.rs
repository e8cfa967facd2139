//! From the outbox to producer-service.
//!
//! The relay takes the first rows of the outbox under lock, hands them over in one call, and deletes in the same
//! transaction those that the broker has. If the process dies in between, the locks are gone with it and the rows are
//! sent again, with the same ids: an event is published at least once, and never lost.
//!
//! **Many replicas** may relay at once: each skips the rows that another holds (`FOR UPDATE SKIP LOCKED`). **The order
//! of one order's events** is kept all the same, because a row is taken only when no earlier row of its order exists,
//! and a row exists until the transaction that published it has committed: the snapshot that no longer sees it is
//! younger than its publication.
//!
//! **Failures.** An event that is refused by itself waits, longer each time, and holds up only the later events of its
//! order. When the call as a whole fails, the rows are untouched and the relay waits.

use std::{sync::Arc, time::Duration};

use chassis::{
    grpc::{ClientChannel, status, timestamp},
    telemetry::trace,
};
use opentelemetry::metrics::Histogram;
use proto::{
    event::ORDER_SOURCE,
    producer::{self, PublishEventsRequest, producer_service_client::ProducerServiceClient, publish_result},
};
use rand::RngExt as _;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tracing::Instrument as _;

use crate::store::{Attempt, PendingEvent, Store};

/// The largest call: a batch of the largest orders.
pub const MAX_REQUEST_SIZE: usize = 16 * 1024 * 1024;

const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_RETRY: Duration = Duration::from_mins(1);

/// How the relay works.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The most events of a call.
    pub batch: u32,
    /// How often to look for rows without having been told of any.
    pub poll_interval: Duration,
}

/// Why a batch was not handed over.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The outbox can't be read or written.
    #[error("the outbox: {0}")]
    Store(#[from] sqlx::Error),
    /// producer-service did not take the batch.
    #[error("producer-service: {}", .0.message())]
    Producer(#[from] Box<Status>),
}

/// Hands events over until it is told to stop.
#[derive(Debug)]
pub struct Relay {
    store: Store,
    producer: ProducerServiceClient<ClientChannel>,
    options: Options,
    committed: Arc<Notify>,
    batch_sizes: Histogram<u64>,
}

impl Relay {
    /// `committed` is notified whenever this process has committed events.
    pub fn new(
        store: Store,
        producer: ProducerServiceClient<ClientChannel>,
        options: Options,
        committed: Arc<Notify>,
    ) -> Self {
        let batch_sizes = chassis::telemetry::meter()
            .u64_histogram("shop.outbox.batch.size")
            .with_unit("{event}")
            .with_boundaries(vec![1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0])
            .build();
        Self {
            store,
            producer,
            options,
            committed,
            batch_sizes,
        }
    }

    /// Runs until shutdown; a batch in hand is finished first, and never cancelled half way.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut pause = SHORTEST_PAUSE;
        while !shutdown.is_cancelled() {
            let wait = match self.hand_over().await {
                // There may be more where a full batch came from, and an order's next event where its first did.
                Ok(handed) if handed > 0 => {
                    pause = SHORTEST_PAUSE;
                    continue;
                }
                Ok(_) => {
                    pause = SHORTEST_PAUSE;
                    self.options.poll_interval
                }
                Err(error) => {
                    tracing::warn!(%error, "events wait in the outbox");
                    let wait = pause.mul_f64(rand::rng().random_range(0.5..1.5));
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        () = shutdown.cancelled() => {}
                    }
                    continue;
                }
            };
            tokio::select! {
                () = self.committed.notified() => {}
                () = tokio::time::sleep(wait) => {}
                () = shutdown.cancelled() => {}
            }
        }
    }

    /// Hands over one batch; says how many events were taken from the outbox, published or not.
    async fn hand_over(&self) -> Result<usize, RelayError> {
        let Some(mut batch) = self.store.take_events(self.options.batch).await? else {
            return Ok(0);
        };
        let events = std::mem::take(&mut batch.events);
        let taken = events.len();
        self.batch_sizes.record(taken as u64, &[]);
        let attempts = self.publish(events).await?;
        batch.finish(&attempts).await?;
        Ok(taken)
    }

    async fn publish(&self, events: Vec<PendingEvent>) -> Result<Vec<Attempt>, RelayError> {
        let span = tracing::info_span!(parent: None, "relay events", otel.kind = "internal", shop.batch.size = events.len());
        trace::set_batch_parent(&span, events.iter().map(|event| &event.event.trace));
        let rows: Vec<(i64, i32)> = events.iter().map(|event| (event.seq, event.attempts)).collect();
        let request = PublishEventsRequest {
            events: events.into_iter().map(message).collect(),
        };
        let answer = self
            .producer
            .clone()
            .publish_events(request)
            .instrument(span)
            .await;
        let results = answer.map_err(Box::new)?.into_inner().results;
        if results.len() != rows.len() {
            return Err(Box::new(Status::internal("another number of results than of events")).into());
        }
        let attempt = |((seq, attempts), result): (_, producer::PublishResult)| match result.outcome {
            Some(publish_result::Outcome::Published(_)) => Attempt::Published { seq },
            Some(publish_result::Outcome::Failed(failed)) => {
                let failed = status::from_pb(&failed);
                let reason = failed.message();
                tracing::warn!(
                    event = result.event_id,
                    attempts = attempts + 1,
                    reason,
                    "an event was not published"
                );
                Attempt::Failed {
                    seq,
                    retry_in: retry_pause(attempts),
                }
            }
            None => Attempt::Failed {
                seq,
                retry_in: retry_pause(attempts),
            },
        };
        Ok(rows.into_iter().zip(results).map(attempt).collect())
    }
}

fn message(pending: PendingEvent) -> producer::Event {
    let event = pending.event;
    producer::Event {
        id: event.id.to_string(),
        r#type: event.kind.as_str().to_owned(),
        source: ORDER_SOURCE.to_owned(),
        subject: event.order_id.to_string(),
        time: Some(timestamp(event.occurred_at)),
        data: event.data.into_bytes(),
        trace: Some(event.trace),
    }
}

/// Twice as long each time, a minute at most, spread at random.
fn retry_pause(attempts: i32) -> Duration {
    let doublings = u32::try_from(attempts).unwrap_or(0).min(16);
    let pause = (Duration::from_millis(250) * 2_u32.pow(doublings)).min(LONGEST_RETRY);
    pause.mul_f64(rand::rng().random_range(0.5..1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_wait_longer_up_to_a_minute() {
        assert!(retry_pause(0) <= Duration::from_millis(250));
        assert!(retry_pause(3) >= Duration::from_secs(1));
        for attempts in [8, 100, i32::MAX] {
            let pause = retry_pause(attempts);
            assert!((LONGEST_RETRY / 2..=LONGEST_RETRY).contains(&pause), "{pause:?}");
        }
    }
}
