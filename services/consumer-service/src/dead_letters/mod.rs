//! The messages that could not be worked off: looking at them, putting them back, deleting them. Over AMQP alone.
//!
//! Nothing is lost on the way: a dead letter that is put back is deleted only after the broker has confirmed its copy,
//! so that an accident between the two duplicates it (which the ledger of inventory-service makes harmless); one that
//! is only looked at goes back to its place.

pub mod command;

use std::{collections::BTreeMap, time::Duration};

use chassis::{
    amqp::{self, AmqpError, topology},
    config::AmqpArgs,
};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection,
    message::Delivery,
    options::{
        BasicAckOptions, BasicGetOptions, BasicNackOptions, BasicPublishOptions, ConfirmSelectOptions,
        QueueDeclareOptions, QueuePurgeOptions,
    },
    types::{AMQPValue, FieldTable},
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio::time::timeout;

use crate::delivery::message_id;

/// For each step that the broker answers.
const STEP_TIMEOUT: Duration = Duration::from_secs(10);

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
pub enum DeadLetterError {
    /// The broker can't be reached or refuses.
    #[error(transparent)]
    Amqp(#[from] AmqpError),
    /// The copy of a dead letter was returned or refused; the dead letter itself is where it was.
    #[error("the broker does not take message {0:?} back: is the queue {queue} there, and not full?", queue = topology::QUEUE)]
    NotTaken(String),
}

impl From<lapin::Error> for DeadLetterError {
    fn from(error: lapin::Error) -> Self {
        AmqpError::Broker(error).into()
    }
}

/// What a person needs to know of a dead letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeadLetter {
    /// The message's id, which is the event's.
    pub message_id: Option<String>,
    /// The event's type.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The order, as far as the body tells.
    pub subject: Option<String>,
    /// Why it was dead-lettered, in RabbitMQ's words: `rejected` by this service, or `delivery_limit`.
    pub reason: Option<String>,
    /// How often it was dead-lettered.
    pub count: Option<u64>,
    /// When it was dead-lettered last.
    #[serde(with = "time::serde::rfc3339::option")]
    pub time: Option<OffsetDateTime>,
}

/// Dead letters, and how many there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The oldest.
    pub letters: Vec<DeadLetter>,
    /// All of them.
    pub total: u32,
}

/// The oldest dead letters, `limit` at most. They keep their places.
pub async fn list(args: &AmqpArgs, limit: u32) -> Result<Listed, DeadLetterError> {
    let session = Session::open(args).await?;
    let total = session.waiting().await?;
    let mut letters = Vec::new();
    while letters.len() < limit as usize
        && let Some(letter) = session.get().await?
    {
        letters.push(DeadLetter::read(&letter));
    }
    session.give_back_and_close().await?;
    Ok(Listed { letters, total })
}

/// How far [`redrive`] came.
#[derive(Debug)]
pub struct Redriven {
    /// So many dead letters were put back.
    pub count: u32,
    /// So many were there at the start.
    pub waiting: u32,
    /// Why it did not go on, where it did not.
    pub outcome: Result<(), DeadLetterError>,
}

/// Puts dead letters back into the queue they came from, the oldest first and `limit` at most; with `wanted` only
/// those of that id. Looks at no more than there are at the start, so that a letter which dies again is not taken twice.
pub async fn redrive(args: &AmqpArgs, wanted: Option<&str>, limit: u32) -> Result<Redriven, DeadLetterError> {
    let session = Session::open(args).await?;
    step(session.channel.confirm_select(ConfirmSelectOptions::default())).await?;
    let waiting = session.waiting().await?;
    let mut count = 0;
    let outcome = session.redrive(wanted, limit, waiting, &mut count).await;
    let closed = session.give_back_and_close().await;
    Ok(Redriven {
        count,
        waiting,
        outcome: outcome.and(closed),
    })
}

/// How many dead letters there are.
pub async fn count(args: &AmqpArgs) -> Result<u32, DeadLetterError> {
    let session = Session::open(args).await?;
    let waiting = session.waiting().await?;
    session.give_back_and_close().await?;
    Ok(waiting)
}

/// Deletes every dead letter, for good. Answers how many there were.
pub async fn purge(args: &AmqpArgs) -> Result<u32, DeadLetterError> {
    let session = Session::open(args).await?;
    let queue = topology::DEAD_LETTER_QUEUE.into();
    let purged = step(session.channel.queue_purge(queue, QueuePurgeOptions::default())).await?;
    session.give_back_and_close().await?;
    Ok(purged)
}

struct Session {
    connection: Connection,
    channel: Channel,
}

impl Session {
    async fn open(args: &AmqpArgs) -> Result<Self, DeadLetterError> {
        let connection = amqp::connect(args, "consumer-service dead-letters").await?;
        let channel = step(connection.create_channel()).await?;
        Ok(Self { connection, channel })
    }

    async fn waiting(&self) -> Result<u32, DeadLetterError> {
        // A look, which needs no permission to declare.
        let passive = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let queue = topology::DEAD_LETTER_QUEUE.into();
        Ok(
            step(self.channel.queue_declare(queue, passive, FieldTable::default()))
                .await?
                .message_count(),
        )
    }

    async fn get(&self) -> Result<Option<Delivery>, DeadLetterError> {
        let got = step(
            self.channel
                .basic_get(topology::DEAD_LETTER_QUEUE.into(), BasicGetOptions::default()),
        )
        .await?;
        Ok(got.map(|message| message.delivery))
    }

    async fn redrive(
        &self,
        wanted: Option<&str>,
        limit: u32,
        waiting: u32,
        count: &mut u32,
    ) -> Result<(), DeadLetterError> {
        for _ in 0..waiting {
            if *count == limit {
                break;
            }
            let Some(letter) = self.get().await? else { break };
            if wanted.is_some() && wanted != message_id(&letter.properties) {
                continue;
            }
            self.put_back(&letter).await?;
            step(
                self.channel
                    .basic_ack(letter.delivery_tag, BasicAckOptions::default()),
            )
            .await?;
            *count += 1;
        }
        Ok(())
    }

    /// Publishes a copy straight into the queue: through the exchange, others that listen there would get it again.
    async fn put_back(&self, letter: &Delivery) -> Result<(), DeadLetterError> {
        let properties = letter
            .properties
            .clone()
            .with_headers(without_history(&letter.properties));
        let mandatory = BasicPublishOptions {
            mandatory: true,
            immediate: false,
        };
        let publish = async {
            let published = self.channel.basic_publish(
                "".into(),
                topology::QUEUE.into(),
                mandatory,
                &letter.data,
                properties,
            );
            published.await?.await
        };
        match step(publish).await? {
            Confirmation::Ack(None) => Ok(()),
            _ => Err(DeadLetterError::NotTaken(
                message_id(&letter.properties).unwrap_or_default().to_owned(),
            )),
        }
    }

    /// Gives back what was taken and not deleted, to its place, and ends the connection.
    async fn give_back_and_close(self) -> Result<(), DeadLetterError> {
        step(self.channel.basic_nack(
            0,
            BasicNackOptions {
                multiple: true,
                requeue: true,
            },
        ))
        .await?;
        Ok(amqp::close(&self.connection).await?)
    }
}

async fn step<T>(step: impl Future<Output = lapin::Result<T>>) -> Result<T, DeadLetterError> {
    Ok(timeout(STEP_TIMEOUT, step)
        .await
        .map_err(|_| AmqpError::Timeout(STEP_TIMEOUT))??)
}

/// The headers without those that RabbitMQ adds about deaths and deliveries.
fn without_history(properties: &BasicProperties) -> FieldTable {
    let headers = properties.headers().iter().flat_map(FieldTable::inner);
    let kept = headers.filter(|(name, _)| !name.as_str().starts_with("x-"));
    kept.map(|(name, value)| (name.clone(), value.clone()))
        .collect::<BTreeMap<_, _>>()
        .into()
}

impl DeadLetter {
    fn read(letter: &Delivery) -> Self {
        #[derive(Deserialize)]
        struct Envelope {
            subject: Option<String>,
        }
        let text = |value: &AMQPValue| match value {
            AMQPValue::LongString(text) => Some(text.to_string()),
            _ => None,
        };
        let number = |value: &AMQPValue| match value {
            AMQPValue::LongLongInt(number) => u64::try_from(*number).ok(),
            _ => None,
        };
        let time = |value: &AMQPValue| match value {
            AMQPValue::Timestamp(seconds) => i64::try_from(*seconds)
                .ok()
                .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok()),
            _ => None,
        };
        let death = last_death(&letter.properties);
        let of_death = |name: &str| death.and_then(|death| death.inner().get(name));
        Self {
            message_id: message_id(&letter.properties).map(str::to_owned),
            kind: letter
                .properties
                .kind()
                .as_ref()
                .map(|kind| kind.as_str().to_owned()),
            subject: serde_json::from_slice::<Envelope>(&letter.data)
                .ok()
                .and_then(|envelope| envelope.subject),
            reason: of_death("reason").and_then(text),
            count: of_death("count").and_then(number),
            time: of_death("time").and_then(time),
        }
    }
}

/// RabbitMQ's record of the latest death.
fn last_death(properties: &BasicProperties) -> Option<&FieldTable> {
    match properties.headers().as_ref()?.inner().get("x-death")? {
        AMQPValue::FieldArray(deaths) => match deaths.as_slice().first()? {
            AMQPValue::FieldTable(death) => Some(death),
            _ => None,
        },
        _ => None,
    }
}
