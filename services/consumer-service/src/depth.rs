//! How many messages wait, in the queue and as dead letters: asked of the broker from time to time, for the metrics and for
//! whoever asks.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use chassis::{amqp::topology, telemetry::meter};
use lapin::{Channel, Connection, options::QueueDeclareOptions, types::FieldTable};
use opentelemetry::{KeyValue, metrics::Gauge};
use tokio::time::sleep;

use crate::consumer::step;

const INTERVAL: Duration = Duration::from_secs(2);
const QUEUES: [&str; 2] = [topology::QUEUE, topology::DEAD_LETTER_QUEUE];

/// What was seen is known for so long.
const KNOWN_FOR: Duration = Duration::from_secs(10);

/// What was seen last. Cheap to clone. The gauge stays there while there is no connection.
#[derive(Clone, Debug)]
pub struct Depth {
    gauge: Gauge<u64>,
    seen: Arc<Mutex<Option<(Instant, Waiting)>>>,
}

/// How much waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Events in the queue, without those that a consumer has in hand.
    pub messages: u64,
    /// Messages that could not be worked off.
    pub dead_letters: u64,
}

impl Default for Depth {
    fn default() -> Self {
        let gauge = meter()
            .u64_gauge("shop.queue.messages")
            .with_unit("{message}")
            .with_description("Messages that wait in a queue, without those that a consumer has in hand.")
            .build();
        Self {
            gauge,
            seen: Arc::default(),
        }
    }
}

impl Depth {
    /// How much waits; none where nobody could look for some seconds.
    pub fn waiting(&self) -> Option<Waiting> {
        let seen = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.filter(|(at, _)| at.elapsed() < KNOWN_FOR)
            .map(|(_, waiting)| waiting)
    }

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
            let mut found_in = [0; QUEUES.len()];
            for (queue, count) in QUEUES.into_iter().zip(&mut found_in) {
                // It only looks, which needs no permission to declare.
                let passive = QueueDeclareOptions {
                    passive: true,
                    ..QueueDeclareOptions::default()
                };
                let looked = channel.queue_declare(queue.into(), passive, FieldTable::default());
                match step(looked).await {
                    Ok(found) => {
                        *count = found.message_count().into();
                        let of_queue = [
                            KeyValue::new("messaging.system", "rabbitmq"),
                            KeyValue::new("messaging.destination.name", queue),
                        ];
                        self.gauge.record(*count, &of_queue);
                    }
                    Err(error) => return tracing::debug!(%error, queue, "the queue can't be looked at"),
                }
            }
            let [messages, dead_letters] = found_in;
            let waiting = Waiting {
                messages,
                dead_letters,
            };
            *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), waiting));
            sleep(INTERVAL).await;
        }
    }
}
