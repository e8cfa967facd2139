//! The queue on a real RabbitMQ, seen by a test: it publishes what producer-service would, and counts what is left.

use chassis::amqp::topology;
use fixtures::Broker;
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    message::Delivery,
    options::{
        BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueBindOptions, QueueDeclareOptions,
    },
    types::FieldTable,
};
use proto::event::{
    CloudEvent, EventType, ORDER_SOURCE, OrderCancelled, OrderCreated, OrderedLine, SPEC_VERSION,
};
use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;

/// A broker with the topology declared.
pub(crate) struct Queue {
    pub(crate) broker: Broker,
    channel: Channel,
    _connection: Connection,
}

impl Queue {
    pub(crate) async fn new() -> Self {
        let broker = Broker::create().await;
        let connection = Connection::connect(broker.amqp_url(), ConnectionProperties::default())
            .await
            .unwrap();
        let channel = connection.create_channel().await.unwrap();
        topology::declare(&channel).await.unwrap();
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await
            .unwrap();
        Self {
            broker,
            channel,
            _connection: connection,
        }
    }

    /// Publishes a body as it is; answers its message id.
    pub(crate) async fn publish(&self, kind: &str, id: &str, body: &[u8]) -> String {
        let properties = BasicProperties::default()
            .with_message_id(id.into())
            .with_type(kind.into())
            .with_delivery_mode(2);
        let mandatory = BasicPublishOptions {
            mandatory: true,
            immediate: false,
        };
        let exchange = topology::EXCHANGE.into();
        let confirm = self
            .channel
            .basic_publish(exchange, kind.into(), mandatory, body, properties)
            .await
            .unwrap();
        assert!(confirm.await.unwrap().is_ack());
        id.to_owned()
    }

    /// Has the queue take events of that type too, as a newer version's topology would.
    #[allow(dead_code, reason = "not every test is of another version")]
    pub(crate) async fn bind(&self, kind: &str) {
        let (queue, exchange) = (topology::QUEUE.into(), topology::EXCHANGE.into());
        self.channel
            .queue_bind(
                queue,
                exchange,
                kind.into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            )
            .await
            .unwrap();
    }

    /// Publishes `order.created` of one line.
    pub(crate) async fn created(&self, order_id: Uuid, quantity: i64) -> String {
        let data = OrderCreated {
            order_id,
            user_id: Uuid::now_v7(),
            lines: vec![OrderedLine {
                product_id: Uuid::now_v7(),
                quantity,
            }],
            total_minor_units: 100,
            currency: "EUR".to_owned(),
        };
        self.event(EventType::OrderCreated, order_id, data).await
    }

    /// Publishes `order.cancelled`.
    #[allow(dead_code, reason = "not every test cancels")]
    pub(crate) async fn cancelled(&self, order_id: Uuid) -> String {
        let data = OrderCancelled {
            order_id,
            user_id: Uuid::now_v7(),
        };
        self.event(EventType::OrderCancelled, order_id, data).await
    }

    async fn event(&self, kind: EventType, order_id: Uuid, data: impl Serialize) -> String {
        let id = Uuid::now_v7().to_string();
        let event = CloudEvent {
            specversion: SPEC_VERSION.to_owned(),
            id: id.clone(),
            source: ORDER_SOURCE.to_owned(),
            kind: kind.as_str().to_owned(),
            subject: order_id.to_string(),
            time: OffsetDateTime::now_utc(),
            datacontenttype: "application/json".to_owned(),
            dataschema: None,
            traceparent: None,
            tracestate: None,
            data,
        };
        self.publish(kind.as_str(), &id, &serde_json::to_vec(&event).unwrap())
            .await
    }

    /// How many messages wait in that queue.
    pub(crate) async fn waiting(&self, queue: &str) -> u32 {
        let passive = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        self.channel
            .queue_declare(queue.into(), passive, FieldTable::default())
            .await
            .unwrap()
            .message_count()
    }

    /// Takes a message from that queue for good.
    pub(crate) async fn take(&self, queue: &str) -> Option<Delivery> {
        let got = self
            .channel
            .basic_get(queue.into(), BasicGetOptions { no_ack: true })
            .await
            .unwrap();
        got.map(|message| message.delivery)
    }
}

/// The id of a message.
pub(crate) fn id_of(delivery: &Delivery) -> String {
    delivery.properties.message_id().as_ref().unwrap().to_string()
}
