//! From the outbox to producer-service.
//!
//! One loop takes committed events from memory and publishes them in batches: whatever has come while the last batch was
//! away goes together. Their rows are deleted a moment later, those of several batches at a time: where nobody waits for
//! it ([`unheard`](crate::unheard)) it is one commit less for an order alone. A second loop sweeps the table for rows
//! whose lease has ended, which nobody has published from memory: it locks them, publishes, and deletes them in the same
//! transaction, so that a process that dies leaves them as they were.
//!
//! **Many replicas** may work at once: a fresh row is left to whoever wrote it, and a sweep skips rows that another one
//! holds (`FOR UPDATE SKIP LOCKED`). In doubt an event is published twice, with the same id.
//!
//! **Failures.** While producer-service is not there, events stay in the table and are tried again with pauses of at most
//! two seconds. An event that no queue takes, or whose type an older producer-service doesn't know, waits, longer each
//! time, up to a minute, and holds up only the later events of its subject. One that is refused for what it is is tried a
//! few times, and then set aside.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chassis::{postgres::Database, telemetry::meter};
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram},
};
use rand::RngExt as _;
use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    fresh::{Fresh, Pending},
    publish::{Fate, Publisher},
    store::{self, Outcome},
};

const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_RETRY: Duration = Duration::from_mins(1);
/// So often may an event be refused for what it is, with pauses that come to about eight seconds, before it is set aside.
const MAX_REFUSALS: i32 = 5;
/// The most batches whose rows wait to be deleted.
const MAX_FINISHED: usize = 64;
/// So long rows that are to be deleted wait for others, where there are not enough of them. Far less than
/// [`LEASE`](crate::fresh::LEASE), after which a sweep would publish them again; so would it what a process that dies
/// meanwhile leaves behind.
const GATHER: Duration = Duration::from_millis(50);
/// So many rows are enough.
const ENOUGH: usize = 100;

/// How the relay works.
#[derive(clap::Args, Clone, Debug)]
pub struct RelayArgs {
    /// The most events handed to producer-service in one call.
    #[arg(long, env = "OUTBOX_BATCH", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub outbox_batch: u32,
    /// How often to look for events that were not published from memory: those of a replica that died, say.
    #[arg(long, env = "OUTBOX_POLL_INTERVAL", default_value = "500ms", value_parser = humantime::parse_duration)]
    pub outbox_poll_interval: Duration,
}

impl Default for RelayArgs {
    fn default() -> Self {
        Self {
            outbox_batch: 500,
            outbox_poll_interval: Duration::from_millis(500),
        }
    }
}

/// Publishes until it is told to stop.
pub(crate) struct Relay {
    database: Database,
    publisher: Publisher,
    batch: u32,
    poll_interval: Duration,
    metrics: Arc<Metrics>,
}

struct Metrics {
    batch_sizes: Histogram<u64>,
    published: Counter<u64>,
    set_aside: Counter<u64>,
}

impl Relay {
    pub(crate) fn new(database: Database, publisher: Publisher, args: &RelayArgs) -> Self {
        let meter = meter();
        Self {
            database,
            publisher,
            batch: args.outbox_batch,
            poll_interval: args.outbox_poll_interval,
            metrics: Arc::new(Metrics {
                batch_sizes: meter
                    .u64_histogram("shop.outbox.batch.size")
                    .with_unit("{event}")
                    .with_description("Events that were handed to producer-service at once.")
                    .with_boundaries(vec![1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0])
                    .build(),
                published: meter
                    .u64_counter("shop.outbox.published")
                    .with_unit("{event}")
                    .with_description(
                        "Events that the broker has, by whether they came from memory or from a sweep.",
                    )
                    .build(),
                set_aside: meter
                    .u64_counter("shop.outbox.set_aside")
                    .with_unit("{event}")
                    .with_description("Events that can't be published.")
                    .build(),
            }),
        }
    }

    /// Runs until shutdown; a batch in hand is finished first, and what is left is for the next sweep of anybody.
    pub(crate) async fn run(self, committed: mpsc::Receiver<Vec<Pending>>, shutdown: CancellationToken) {
        let (finished, outcomes) = mpsc::channel(MAX_FINISHED);
        tokio::join!(
            self.publish_fresh(committed, finished, &shutdown),
            self.write_down(outcomes),
            self.sweep(&shutdown),
        );
    }

    /// Publishes from memory.
    async fn publish_fresh(
        &self,
        mut committed: mpsc::Receiver<Vec<Pending>>,
        finished: mpsc::Sender<Outcome>,
        shutdown: &CancellationToken,
    ) {
        let mut fresh = Fresh::default();
        let most = usize::try_from(self.batch).unwrap_or(usize::MAX);
        loop {
            // What is about to commit goes along.
            tokio::task::yield_now().await;
            while let Ok(appended) = committed.try_recv() {
                fresh.extend(appended);
            }
            let batch = fresh.take(most, Instant::now());
            if batch.is_empty() {
                match shutdown.run_until_cancelled(committed.recv()).await {
                    Some(Some(appended)) => fresh.extend(appended),
                    // Told to stop, or nobody is left who could append.
                    Some(None) | None => return,
                }
                continue;
            }
            let (fates, problem) = self.publisher.publish(&batch).await;
            for (pending, fate) in batch.iter().zip(&fates) {
                if *fate == Fate::Published {
                    fresh.published(pending.seq, pending.event.subject);
                } else {
                    fresh.forget(pending.event.subject);
                }
            }
            if let Some(status) = problem {
                tracing::warn!(%status, "producer-service is not there; events wait in the outbox");
            }
            // Waits where deleting does not keep up. An error is the end of the other side, at shutdown.
            if finished
                .send(self.outcome("memory", &batch, fates))
                .await
                .is_err()
            {
                return;
            }
        }
    }

    /// Writes down how the batches from memory went, several at a time.
    async fn write_down(&self, mut outcomes: mpsc::Receiver<Outcome>) {
        while let Some(mut all) = outcomes.recv().await {
            while let Ok(outcome) = outcomes.try_recv() {
                all.extend(outcome);
            }
            // Where somebody hears what follows, it may have to wait until these rows are gone.
            if self.publisher.unheard().nothing_follows(Instant::now()) {
                let more = async {
                    while all.published.len() < ENOUGH
                        && let Some(outcome) = outcomes.recv().await
                    {
                        all.extend(outcome);
                    }
                };
                // Time is up, or there are enough, or it is shutdown and there won't be more.
                let _ = timeout(GATHER, more).await;
            }
            if let Err(error) = store::finish(&self.database, &all).await {
                // The sweep finds the rows, and the events are published once more.
                tracing::warn!(%error, "published events can't be deleted from the outbox now");
            }
        }
    }

    async fn sweep(&self, shutdown: &CancellationToken) {
        let mut pause = SHORTEST_PAUSE;
        while !shutdown.is_cancelled() {
            let wait = match self.sweep_once().await {
                // There may be more where these came from, and a subject's next event where its first did.
                Ok(Swept::Some) => {
                    pause = SHORTEST_PAUSE;
                    continue;
                }
                Ok(Swept::Nothing) => {
                    pause = SHORTEST_PAUSE;
                    self.poll_interval
                }
                Ok(Swept::ProducerIsAway) => grow(&mut pause),
                Err(error) => {
                    tracing::warn!(%error, "the outbox can't be swept now");
                    grow(&mut pause)
                }
            };
            // None is shutdown, which the loop looks at.
            let _slept = shutdown.run_until_cancelled(tokio::time::sleep(wait)).await;
        }
    }

    async fn sweep_once(&self) -> sqlx::Result<Swept> {
        let Some(mut sweep) = store::sweep(&self.database, self.batch).await? else {
            return Ok(Swept::Nothing);
        };
        let events = std::mem::take(&mut sweep.events);
        let (fates, problem) = self.publisher.publish(&events).await;
        let outcome = self.outcome("sweep", &events, fates);
        sweep.finish(&outcome).await?;
        Ok(match problem {
            None => Swept::Some,
            Some(status) => {
                tracing::warn!(%status, events = events.len(), "producer-service is not there; events wait in the outbox");
                Swept::ProducerIsAway
            }
        })
    }

    /// What is to be written down of a batch.
    fn outcome(&self, from: &'static str, batch: &[Pending], fates: Vec<Fate>) -> Outcome {
        let mut outcome = Outcome::default();
        for (pending, fate) in batch.iter().zip(fates) {
            match fate {
                Fate::Published => outcome.published.push(pending.seq),
                Fate::Untried => {}
                Fate::Refused(reason) if pending.attempts + 1 >= MAX_REFUSALS => {
                    tracing::error!(
                        event = %pending.event.id, kind = pending.event.kind, reason, "an event can't be published and is set aside"
                    );
                    outcome.poison.push((pending.seq, reason));
                }
                Fate::Later(reason) | Fate::Refused(reason) => {
                    let attempts = pending.attempts + 1;
                    tracing::warn!(event = %pending.event.id, attempts, reason, "an event was not published");
                    outcome.failed.push((pending.seq, retry_pause(pending.attempts)));
                }
            }
        }
        self.metrics.batch_sizes.record(batch.len() as u64, &[]);
        let published = KeyValue::new("shop.outbox.from", from);
        self.metrics
            .published
            .add(outcome.published.len() as u64, &[published]);
        self.metrics.set_aside.add(outcome.poison.len() as u64, &[]);
        outcome
    }
}

enum Swept {
    Some,
    Nothing,
    ProducerIsAway,
}

/// The pause, spread at random; the next one is twice as long.
fn grow(pause: &mut Duration) -> Duration {
    let wait = pause.mul_f64(rand::rng().random_range(0.5..1.0));
    *pause = (*pause * 2).min(LONGEST_PAUSE);
    wait
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
