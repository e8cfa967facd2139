//! A look at RabbitMQ from the side, and a hand in it.

use std::time::Duration;

use anyhow::Context as _;
use chassis::amqp::topology::{DEAD_LETTER_QUEUE, EXCHANGE, QUEUE};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties,
    message::BasicGetMessage,
    options::{
        BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueBindOptions, QueueDeclareOptions,
    },
    types::FieldTable,
};
use proto::event::UNHEARD_FOR;

use crate::wait_until;

/// A connection of the test's own to the stack's virtual host.
#[derive(Debug)]
pub struct RabbitMq {
    channel: Channel,
    // Closes when dropped.
    _connection: Connection,
}

impl RabbitMq {
    /// Connects.
    pub async fn connect(url: &str) -> anyhow::Result<Self> {
        let connection = Connection::connect(url, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(Self {
            channel,
            _connection: connection,
        })
    }

    /// Makes a queue of the test's own that gets what is published under a routing key from now on. Waits until services
    /// that had noticed that nobody listens look again.
    pub async fn tap(&self, routing_key: &str) -> anyhow::Result<String> {
        let options = QueueDeclareOptions {
            exclusive: true,
            ..Default::default()
        };
        let queue = self
            .channel
            .queue_declare("".into(), options, FieldTable::default())
            .await?;
        let (name, none) = (queue.name().clone(), FieldTable::default());
        let options = QueueBindOptions::default();
        self.channel
            .queue_bind(name.clone(), EXCHANGE.into(), routing_key.into(), options, none)
            .await?;
        tokio::time::sleep(UNHEARD_FOR + Duration::from_millis(100)).await;
        Ok(name.to_string())
    }

    /// The next message of a queue, acknowledged; waits for one.
    pub async fn next(&self, queue: &str) -> anyhow::Result<BasicGetMessage> {
        let options = BasicGetOptions { no_ack: true };
        let get = || async { Ok(self.channel.basic_get(queue.into(), options).await?) };
        wait_until("a message arrives", get, Option::is_some)
            .await?
            .context("waited for")
    }

    /// Publishes to the events' exchange and waits for the confirm.
    pub async fn publish(
        &self,
        routing_key: &str,
        body: &[u8],
        properties: BasicProperties,
    ) -> anyhow::Result<()> {
        let options = BasicPublishOptions {
            mandatory: true,
            ..Default::default()
        };
        let confirm = self
            .channel
            .basic_publish(EXCHANGE.into(), routing_key.into(), options, body, properties)
            .await?
            .await?;
        anyhow::ensure!(
            matches!(confirm, Confirmation::Ack(None)),
            "the broker did not take it: {confirm:?}"
        );
        Ok(())
    }

    /// Messages of the orders' queue that no consumer holds.
    pub async fn orders_waiting(&self) -> anyhow::Result<u32> {
        self.messages(QUEUE).await
    }

    /// Messages among the dead letters.
    pub async fn dead_letters(&self) -> anyhow::Result<u32> {
        self.messages(DEAD_LETTER_QUEUE).await
    }

    /// Waits until there are that many dead letters.
    pub async fn wait_for_dead_letters(&self, count: u32) -> anyhow::Result<()> {
        let what = format!("there are {count} dead letters");
        wait_until(&what, || self.dead_letters(), |now| *now == count)
            .await
            .map(drop)
    }

    async fn messages(&self, queue: &str) -> anyhow::Result<u32> {
        let options = QueueDeclareOptions {
            passive: true,
            ..Default::default()
        };
        Ok(self
            .channel
            .queue_declare(queue.into(), options, FieldTable::default())
            .await?
            .message_count())
    }
}
