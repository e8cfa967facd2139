//! What the users may do and what not, tried as these users.

use chassis::{
    amqp::topology::{self, DEAD_LETTER_EXCHANGE, DEAD_LETTER_QUEUE, EXCHANGE, QUEUE},
    config::AmqpArgs,
};
use consumer_service::dead_letters;
use lapin::{
    BasicProperties, Channel, Confirmation, ErrorKind, ExchangeKind,
    options::{
        BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, BasicRejectOptions, ConfirmSelectOptions,
        ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions, QueuePurgeOptions,
    },
    protocol::{AMQPErrorKind, AMQPSoftError},
    types::FieldTable,
};
use shop_operator::provision::rabbitmq::User;

use crate::support::{Shop, connect};

/// Publishes so that it has to be routed; answers whether it was. A refusal is a panic.
pub(crate) async fn publish(channel: &Channel, exchange: &str, key: &str) -> bool {
    matches!(
        try_publish(channel, exchange, key).await.unwrap(),
        Confirmation::Ack(None)
    )
}

async fn try_publish(channel: &Channel, exchange: &str, key: &str) -> lapin::Result<Confirmation> {
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let mandatory = BasicPublishOptions {
        mandatory: true,
        immediate: false,
    };
    let properties = BasicProperties::default().with_message_id("an-id".into());
    let publish = channel.basic_publish(exchange.into(), key.into(), mandatory, b"{}", properties);
    publish.await?.await
}

/// Sends the queue's oldest message to the dead letters.
pub(crate) async fn reject_one(channel: &Channel) {
    let message = channel.basic_get(QUEUE.into(), BasicGetOptions::default()).await;
    let message = message.unwrap().unwrap();
    message
        .reject(BasicRejectOptions { requeue: false })
        .await
        .unwrap();
}

fn is_refused(error: &lapin::Error) -> bool {
    let refused = AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED);
    matches!(error.kind(), ErrorKind::ProtocolError(error) if *error.kind() == refused)
}

fn refused<T>(answer: lapin::Result<T>, what: &str) {
    match answer {
        Ok(_) => panic!("{what} is allowed"),
        Err(error) => assert!(is_refused(&error), "{what}: {error}"),
    }
}

/// A refusal closes the channel, so each of these has its own.
async fn may_not_configure(shop: &Shop, user: &User) {
    let (connection, channel) = shop.open(user).await;
    refused(topology::declare(&channel).await, "declaring the topology");
    let none = FieldTable::default;
    let channel = connection.create_channel().await.unwrap();
    let declared = channel.queue_declare("new".into(), QueueDeclareOptions::default(), none());
    refused(declared.await, "declaring a queue");
    let channel = connection.create_channel().await.unwrap();
    let declared = channel.exchange_declare(
        "new".into(),
        ExchangeKind::Topic,
        ExchangeDeclareOptions::default(),
        none(),
    );
    refused(declared.await, "declaring an exchange");
    let channel = connection.create_channel().await.unwrap();
    let deleted = channel.queue_delete(QUEUE.into(), QueueDeleteOptions::default());
    refused(deleted.await, "deleting the queue");
    let channel = connection.create_channel().await.unwrap();
    let options = QueueBindOptions::default();
    let bound = channel.queue_bind(QUEUE.into(), EXCHANGE.into(), "#".into(), options, none());
    refused(bound.await, "binding the queue");
}

#[tokio::test]
async fn the_producer_publishes_events_and_nothing_else() {
    let shop = Shop::made().await;
    let (connection, channel) = shop.open(shop.producer()).await;
    for key in topology::ROUTING_KEYS {
        assert!(publish(&channel, EXCHANGE, key).await, "{key} is routed");
    }
    assert!(
        !publish(&channel, EXCHANGE, "order.unknown").await,
        "and told if not"
    );
    for (exchange, key) in [
        (DEAD_LETTER_EXCHANGE, "order.created"),
        ("", QUEUE),
        ("amq.topic", "any"),
    ] {
        let channel = connection.create_channel().await.unwrap();
        refused(try_publish(&channel, exchange, key).await, exchange);
    }
    for queue in [QUEUE, DEAD_LETTER_QUEUE] {
        let channel = connection.create_channel().await.unwrap();
        let options = BasicConsumeOptions::default();
        let consumed = channel.basic_consume(queue.into(), "".into(), options, FieldTable::default());
        refused(consumed.await, queue);
        let channel = connection.create_channel().await.unwrap();
        refused(
            channel.basic_get(queue.into(), BasicGetOptions::default()).await,
            queue,
        );
        let channel = connection.create_channel().await.unwrap();
        refused(
            channel
                .queue_purge(queue.into(), QueuePurgeOptions::default())
                .await,
            queue,
        );
    }
    may_not_configure(&shop, shop.producer()).await;
    shop.remove().await.unwrap();
}

#[tokio::test]
async fn the_consumer_consumes_and_publishes_no_events() {
    let shop = Shop::made().await;
    let (_producer, events) = shop.open(shop.producer()).await;
    assert!(publish(&events, EXCHANGE, "order.created").await);
    let (connection, channel) = shop.open(shop.consumer()).await;
    let options = BasicConsumeOptions::default();
    let consumer = channel.basic_consume(QUEUE.into(), "".into(), options, FieldTable::default());
    let mut consumer = consumer.await.unwrap();
    let message = futures::StreamExt::next(&mut consumer).await.unwrap().unwrap();
    assert_eq!(message.data, b"{}");
    message
        .ack(lapin::options::BasicAckOptions::default())
        .await
        .unwrap();
    for exchange in [EXCHANGE, DEAD_LETTER_EXCHANGE, "amq.topic"] {
        let channel = connection.create_channel().await.unwrap();
        refused(try_publish(&channel, exchange, "order.created").await, exchange);
    }
    may_not_configure(&shop, shop.consumer()).await;
    shop.remove().await.unwrap();
}

/// By the very code of `consumer-service dead-letters`.
#[tokio::test]
async fn the_consumer_deals_with_its_dead_letters() {
    let shop = Shop::made().await;
    let (_producer, events) = shop.open(shop.producer()).await;
    let (_consumer, queue) = shop.open(shop.consumer()).await;
    let args = AmqpArgs::from_url(&shop.amqp_url(shop.consumer()));
    let die = async |count: u32| {
        for _ in 0..count {
            reject_one(&queue).await;
        }
        while dead_letters::count(&args).await.unwrap() != count {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    for _ in 0..2 {
        assert!(publish(&events, EXCHANGE, "order.created").await);
    }
    die(2).await;
    let listed = dead_letters::list(&args, 10).await.unwrap();
    assert_eq!(listed.letters.len(), 2);
    let redriven = dead_letters::redrive(&args, None, 10).await.unwrap();
    redriven.outcome.unwrap();
    assert_eq!(redriven.count, 2);
    die(2).await;
    assert_eq!(dead_letters::purge(&args).await.unwrap(), 2);
    shop.remove().await.unwrap();
}

#[tokio::test]
async fn two_shops_can_not_reach_each_other() {
    let (one, two) = (Shop::made().await, Shop::made().await);
    for (shop, other) in [(&one, &two), (&two, &one)] {
        for user in &shop.users {
            connect(&shop.amqp_url(user)).await.unwrap();
            let refused = connect(&other.amqp_url(user)).await.unwrap_err().to_string();
            assert!(refused.contains("refused for user"), "{refused}");
        }
    }
    one.remove().await.unwrap();
    assert!(
        two.ensure().await.unwrap().is_empty(),
        "removing one leaves the other"
    );
    two.remove().await.unwrap();
}
