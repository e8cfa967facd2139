//! Batches from the queue: taken, worked off, settled.
//!
//! A batch is whatever is there already when its first message comes, up to a limit: a lone message waits for nobody,
//! and while a batch is at work the next one gathers. One batch is at work at a time, which is enough, since a batch
//! costs three calls whatever its size.
//!
//! A batch that is done is acknowledged a moment later, with those that follow ([`Done`]): nobody waits for it, and to the
//! broker an acknowledgement is a command in the queue's log, which it writes to disk. What is handed over once more since
//! the process died meanwhile is found done, and acknowledged.
//!
//! What uses up deliveries: a crash, or a connection that is lost, costs each message that was handed over and not yet
//! acknowledged one of the deliveries it has, which are `topology::DELIVERY_LIMIT`. The prefetch bounds how many
//! messages that concerns, and the limit is far above the crashes of a bad day, so that healthy messages never go to
//! the dead letters in the company of one that makes the process crash. A back end that is down costs nothing: its
//! batch is held here. Only RabbitMQ's acknowledgement timeout, 30 minutes by default, ends that, by closing the
//! channel: one delivery for each half hour, so an outage may last a day.

use std::{
    pin::pin,
    time::{Duration, Instant},
};

use chassis::{
    amqp::{self, AmqpError, topology},
    config::AmqpArgs,
    health::ReadinessFlag,
    telemetry::trace,
};
use futures::{FutureExt as _, StreamExt as _};
use lapin::{
    Channel, Connection,
    message::Delivery,
    options::{
        BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions,
        BasicRejectOptions,
    },
    types::FieldTable,
};
use proto::trace::TraceContext;
use tokio::time::{timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::Span;

use crate::{
    IntakeArgs,
    backends::Backends,
    delivery::{message_id, trace_context},
    depth::Depth,
    message::{self, Work},
    processing::{Plan, Verdict},
    telemetry::{self, Metrics},
};

/// For a step of AMQP that the broker answers.
const STEP_TIMEOUT: Duration = Duration::from_secs(5);
/// What is kept of the grace period for settling and closing.
const CLOSING: Duration = Duration::from_secs(2);
/// So long what is done waits for more before it is acknowledged.
const GATHER: Duration = Duration::from_millis(50);
/// One in so many of the messages that may be handed over before some are acknowledged is enough not to wait.
const ENOUGH_OF_PREFETCH: usize = 8;

/// Works off the queue.
#[derive(Clone, Debug)]
pub struct Consumer {
    backends: Backends,
    intake: IntakeArgs,
    /// How long the batch in hand may take at shutdown.
    patience: Duration,
    depth: Depth,
    metrics: Metrics,
}

impl Consumer {
    /// `grace`: the time between being told to stop and the end. `depth` is told how much waits.
    pub fn new(backends: Backends, intake: IntakeArgs, grace: Duration, depth: Depth) -> Self {
        Self {
            backends,
            intake,
            patience: grace.saturating_sub(CLOSING),
            depth,
            metrics: Metrics::default(),
        }
    }

    /// Consumes, and connects again whenever the connection is lost, until shutdown. The deliveries of a lost
    /// connection are forgotten; the broker hands them over again.
    pub async fn run(self, args: AmqpArgs, broker: ReadinessFlag, shutdown: CancellationToken) {
        let declare = args.amqp_declare_topology;
        let mut connections =
            amqp::Connections::new(args, "consumer-service", broker.clone(), shutdown.clone());
        while let Some(connection) = connections.next().await {
            let outcome = tokio::select! {
                outcome = self.session(&connection, declare, &broker, &shutdown) => outcome,
                error = amqp::lost(&connection) => Err(error),
                never = self.depth.watch(&connection) => match never {},
            };
            // Most often it is lost already, which is no news.
            if let Err(error) = amqp::close(&connection).await {
                tracing::debug!(%error, "the connection was not closed cleanly");
            }
            connections.ended(outcome);
        }
    }

    async fn session(
        &self,
        connection: &Connection,
        declare: bool,
        broker: &ReadinessFlag,
        shutdown: &CancellationToken,
    ) -> Result<(), AmqpError> {
        let (channel, mut deliveries) = step(self.subscribe(connection, declare)).await?;
        broker.ready();
        let mut done = Done::new(channel.clone(), self.intake.prefetch);
        loop {
            // The first of a batch alone: nothing is in hand that would be lost where something else comes first.
            let first = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                () = done.due() => {
                    done.acknowledge().await?;
                    continue;
                }
                first = deliveries.next() => received(first)?,
            };
            let Some(batch) = shutdown
                .run_until_cancelled(self.batch_of(first, &mut deliveries))
                .await
            else {
                break;
            };
            let batch = batch?;
            let Some(verdicts) = self.work_off_until(shutdown, &batch, &mut done).await? else {
                tracing::warn!(
                    messages = batch.len(),
                    "a batch was still at work at shutdown; it will come back"
                );
                break;
            };
            self.settle(&mut done, &batch, verdicts).await?;
        }
        done.acknowledge().await?;
        step(hand_back(&channel, deliveries)).await
    }

    /// Works the batch off, and meanwhile acknowledges what is due. None where the process must end before it is done.
    async fn work_off_until(
        &self,
        shutdown: &CancellationToken,
        batch: &[Delivery],
        done: &mut Done,
    ) -> Result<Option<Vec<(Verdict, Span)>>, AmqpError> {
        let mut work = pin!(self.work_off(batch));
        let mut out_of_patience = pin!(out_of_patience(shutdown, self.patience));
        loop {
            tokio::select! {
                biased;
                verdicts = &mut work => return Ok(Some(verdicts)),
                () = &mut out_of_patience => return Ok(None),
                () = done.due() => done.acknowledge().await?,
            }
        }
    }

    async fn subscribe(
        &self,
        connection: &Connection,
        declare: bool,
    ) -> lapin::Result<(Channel, lapin::Consumer)> {
        let channel = connection.create_channel().await?;
        if declare {
            topology::declare(&channel).await?;
        }
        channel
            .basic_qos(self.intake.prefetch, BasicQosOptions::default())
            .await?;
        let options = BasicConsumeOptions::default();
        // The broker makes up the tag.
        let deliveries = channel
            .basic_consume(topology::QUEUE.into(), "".into(), options, FieldTable::default())
            .await?;
        Ok((channel, deliveries))
    }

    /// Takes with a message what is there already.
    async fn batch_of(
        &self,
        first: Delivery,
        deliveries: &mut lapin::Consumer,
    ) -> Result<Vec<Delivery>, AmqpError> {
        let max = usize::from(self.intake.max_batch);
        let mut batch = vec![first];
        let deadline = tokio::time::Instant::now() + self.intake.linger;
        while batch.len() < max {
            let next = match deliveries.next().now_or_never() {
                Some(next) => next,
                None if self.intake.linger.is_zero() => break,
                None => match timeout_at(deadline, deliveries.next()).await {
                    Ok(next) => next,
                    Err(_) => break,
                },
            };
            batch.push(received(next)?);
        }
        Ok(batch)
    }

    /// Has everything done that the batch asks for. Ends when it is done, however long that takes.
    async fn work_off(&self, batch: &[Delivery]) -> Vec<(Verdict, Span)> {
        let begin = Instant::now();
        let mut spans = Vec::with_capacity(batch.len());
        let mut plan = Plan::new(batch.iter().map(|delivery| {
            let id = message_id(&delivery.properties);
            let event = message::read(id, &delivery.data);
            if let Ok(message::Event {
                work: Work::Unknown { kind },
                ..
            }) = &event
            {
                tracing::info!(
                    message.id = id,
                    kind,
                    "an event of an unknown type is left to who knows it"
                );
                self.metrics.unknown();
            }
            let context = match trace_context(&delivery.properties) {
                TraceContext { traceparent, .. } if traceparent.is_empty() => event
                    .as_ref()
                    .map(|event| event.trace.clone())
                    .unwrap_or_default(),
                context => context,
            };
            let span = telemetry::span(delivery, &context);
            let of_span = trace::of(&span);
            spans.push(span);
            (
                event.map(|event| event.work),
                if of_span.traceparent.is_empty() {
                    context
                } else {
                    of_span
                },
            )
        }));
        plan.allocated(self.backends.allocate(&plan.allocations).await);
        let (released, recorded) = tokio::join!(
            self.backends.release(&plan.releases),
            self.backends.record(&plan.outcomes)
        );
        plan.released(released);
        plan.recorded(recorded);
        self.metrics.batch(batch.len(), begin.elapsed());
        plan.verdicts().into_iter().zip(spans).collect()
    }

    /// Rejects what is hopeless, each alone, and notes the rest of the batch as done.
    async fn settle(
        &self,
        done: &mut Done,
        batch: &[Delivery],
        verdicts: Vec<(Verdict, Span)>,
    ) -> Result<(), AmqpError> {
        for (delivery, (verdict, span)) in batch.iter().zip(verdicts) {
            match verdict {
                Verdict::Acknowledge => done.add(delivery.delivery_tag),
                Verdict::Reject(why) => {
                    let id = message_id(&delivery.properties);
                    span.in_scope(
                        || tracing::warn!(message.id = id, %why, "a message goes to the dead letters"),
                    );
                    telemetry::rejected(&span, &why);
                    self.metrics.dead_lettered(&why);
                    let options = BasicRejectOptions { requeue: false };
                    step(done.channel.basic_reject(delivery.delivery_tag, options)).await?;
                }
            }
        }
        if done.is_enough() {
            done.acknowledge().await?;
        }
        Ok(())
    }
}

/// Messages that are done and not acknowledged yet. One acknowledgement covers every delivery before it that is not settled
/// yet; batches are worked off in the order in which they come, so these are done too.
struct Done {
    channel: Channel,
    enough: usize,
    messages: usize,
    /// The last of them, and until when the first may wait.
    last: Option<(u64, tokio::time::Instant)>,
}

impl Done {
    fn new(channel: Channel, prefetch: u16) -> Self {
        Self {
            channel,
            enough: usize::from(prefetch) / ENOUGH_OF_PREFETCH,
            messages: 0,
            last: None,
        }
    }

    fn add(&mut self, tag: u64) {
        let until = self
            .last
            .map_or_else(|| tokio::time::Instant::now() + GATHER, |(_, until)| until);
        self.last = Some((tag, until));
        self.messages += 1;
    }

    fn is_enough(&self) -> bool {
        self.messages >= self.enough
    }

    /// Ends when they have waited for long enough; never where there are none.
    async fn due(&self) {
        match self.last {
            Some((_, until)) => tokio::time::sleep_until(until).await,
            None => std::future::pending().await,
        }
    }

    async fn acknowledge(&mut self) -> Result<(), AmqpError> {
        self.messages = 0;
        match self.last.take() {
            Some((tag, _)) => step(self.channel.basic_ack(tag, BasicAckOptions { multiple: true })).await,
            None => Ok(()),
        }
    }
}

/// Ends the subscription and gives back what was handed over and not settled.
async fn hand_back(channel: &Channel, deliveries: lapin::Consumer) -> lapin::Result<()> {
    channel
        .basic_cancel(deliveries.tag(), BasicCancelOptions::default())
        .await?;
    // Tag 0: everything that is outstanding. An explicit nack, because since RabbitMQ 4.3 it costs no delivery,
    // unlike a channel that closes.
    channel
        .basic_nack(
            0,
            BasicNackOptions {
                multiple: true,
                requeue: true,
            },
        )
        .await
}

async fn out_of_patience(shutdown: &CancellationToken, patience: Duration) {
    shutdown.cancelled().await;
    tokio::time::sleep(patience).await;
}

/// What is asked of the broker, which has so long to answer.
pub(crate) async fn step<T>(step: impl Future<Output = lapin::Result<T>>) -> Result<T, AmqpError> {
    match timeout(STEP_TIMEOUT, step).await {
        Ok(outcome) => outcome.map_err(AmqpError::Broker),
        Err(_) => Err(AmqpError::Timeout(STEP_TIMEOUT)),
    }
}

/// A delivery; the end of the subscription is an error, which means that the queue is gone or has moved.
fn received(next: Option<lapin::Result<Delivery>>) -> Result<Delivery, AmqpError> {
    match next {
        Some(delivery) => delivery.map_err(AmqpError::Broker),
        None => Err(AmqpError::Cancelled),
    }
}
