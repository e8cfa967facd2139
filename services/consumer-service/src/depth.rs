//! How many messages wait, in the queue and as dead letters: asked of the broker from time to time, for the metrics.

use std::{convert::Infallible, time::Duration};

use chassis::{amqp::topology, telemetry::meter};
use lapin::{Channel, Connection, options::QueueDeclareOptions, types::FieldTable};
use opentelemetry::{KeyValue, metrics::Gauge};
use tokio::time::sleep;

use crate::consumer::step;

const INTERVAL: Duration = Duration::from_secs(2);
const QUEUES: [&str; 2] = [topology::QUEUE, topology::DEAD_LETTER_QUEUE];

/// The gauge. While there is no connection it stays at what was seen last.
#[derive(Clone, Debug)]
pub struct Depth(Gauge<u64>);

impl Default for Depth {
    fn default() -> Self {
        let gauge = meter()
            .u64_gauge("shop.queue.messages")
            .with_unit("{message}")
            .with_description("Messages that wait in a queue, without those that a consumer has in hand.")
            .build();
        Self(gauge)
    }
}

impl Depth {
    /// Looks every two seconds, on a channel of its own, until it is dropped: a queue that is not there ends the channel
    /// that asked, and nothing else.
    pub async fn watch(&self, connection: &Connection) -> Infallible {
        loop {
            match step(connection.create_channel()).await {
                Ok(channel) => self.look(&channel).await,
                Err(error) => tracing::debug!(%error, "no channel to look at the queues by"),
            }
            sleep(INTERVAL).await;
        }
    }

    /// Ends when the channel does.
    async fn look(&self, channel: &Channel) {
        loop {
            for queue in QUEUES {
                // It only looks, which needs no permission to declare.
                let passive = QueueDeclareOptions {
                    passive: true,
                    ..QueueDeclareOptions::default()
                };
                let looked = channel.queue_declare(queue.into(), passive, FieldTable::default());
                match step(looked).await {
                    Ok(found) => self.0.record(
                        found.message_count().into(),
                        &[
                            KeyValue::new("messaging.system", "rabbitmq"),
                            KeyValue::new("messaging.destination.name", queue),
                        ],
                    ),
                    Err(error) => return tracing::debug!(%error, queue, "the queue can't be looked at"),
                }
            }
            sleep(INTERVAL).await;
        }
    }
}
