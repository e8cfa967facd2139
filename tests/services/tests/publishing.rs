//! producer-service on a real RabbitMQ.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod proxy;

use std::time::Duration;

use chassis::{
    Running,
    amqp::topology,
    config::{AmqpArgs, ServiceArgs},
    grpc::{ClientChannel, status},
    tls::TlsArgs,
};
use fixtures::Broker;
use lapin::{
    Channel, Connection, ConnectionProperties,
    message::BasicGetMessage,
    options::{BasicGetOptions, QueueBindOptions},
    types::{AMQPValue, FieldTable},
};
use producer_service::Config;
use prost_types::Timestamp;
use proto::{
    event::EventType,
    producer::{
        Event, PublishEventsRequest, PublishResult, producer_service_client::ProducerServiceClient,
        publish_result,
    },
    trace::TraceContext,
};
use proxy::Proxy;
use serde_json::json;
use tonic::{Code, Status};
use uuid::Uuid;

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

/// A producer-service, and a look at its broker.
struct Setup {
    broker: Broker,
    service: Running,
    client: ProducerServiceClient<ClientChannel>,
    channel: Channel,
    _connection: Connection,
}

impl Setup {
    async fn new() -> Self {
        let broker = Broker::create().await;
        let url = broker.amqp_url().to_owned();
        Self::with(broker, &url).await
    }

    /// The service reaches the broker at `url`; the test itself does directly.
    async fn with(broker: Broker, url: &str) -> Self {
        let config = Config {
            service: ServiceArgs::loopback(),
            tls: TlsArgs::default(),
            amqp: AmqpArgs::from_url(url),
            publish_concurrency: 4,
        };
        let service = producer_service::start(config).await.unwrap();
        let channel = ClientChannel::new(
            "producer-service",
            format!("http://{}", service.addr()).parse().unwrap(),
            None,
        )
        .unwrap();
        let connection = Connection::connect(broker.amqp_url(), ConnectionProperties::default())
            .await
            .unwrap();
        let setup = Self {
            client: ProducerServiceClient::new(channel),
            channel: connection.create_channel().await.unwrap(),
            _connection: connection,
            broker,
            service,
        };
        setup.ready().await;
        setup
    }

    async fn ready(&self) {
        let url = format!("http://{}/readyz", self.service.admin_addr());
        while !fixtures::get(&url).await.unwrap().status().is_success() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn publish(&self, events: Vec<Event>) -> Result<Vec<PublishResult>, Status> {
        let answer = self
            .client
            .clone()
            .publish_events(PublishEventsRequest { events })
            .await?;
        Ok(answer.into_inner().results)
    }

    async fn take(&self) -> Option<BasicGetMessage> {
        self.channel
            .basic_get(topology::QUEUE.into(), BasicGetOptions { no_ack: true })
            .await
            .unwrap()
    }

    async fn unbind(&self, kind: EventType) {
        let (queue, exchange, key) = (
            topology::QUEUE.into(),
            topology::EXCHANGE.into(),
            kind.as_str().into(),
        );
        self.channel
            .queue_unbind(queue, exchange, key, FieldTable::default())
            .await
            .unwrap();
    }

    async fn stop(self) {
        self.service.stop().await.unwrap();
        self.broker.drop().await;
    }
}

fn event(kind: EventType) -> Event {
    Event {
        id: Uuid::now_v7().to_string(),
        r#type: kind.as_str().to_owned(),
        source: "/order-service".to_owned(),
        subject: Uuid::now_v7().to_string(),
        time: Some(Timestamp {
            seconds: 1_767_225_600,
            nanos: 0,
        }),
        data: br#"{"n":1}"#.to_vec(),
        trace: Some(TraceContext {
            traceparent: TRACEPARENT.to_owned(),
            tracestate: "a=b".to_owned(),
        }),
    }
}

/// Code and reason of a failure; none where the event was published.
fn failure(result: &PublishResult) -> Option<(Code, Option<String>)> {
    match result.outcome.as_ref().unwrap() {
        publish_result::Outcome::Published(_) => None,
        publish_result::Outcome::Failed(failed) => {
            let failed = status::from_pb(failed);
            Some((failed.code(), status::reason(&failed)))
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_published_event_is_in_the_queue_with_all_it_needs() {
    let setup = Setup::new().await;
    let event = event(EventType::OrderCreated);
    let results = setup.publish(vec![event.clone()]).await.unwrap();
    assert_eq!(results[0].event_id, event.id);
    assert_eq!(failure(&results[0]), None);

    let message = setup.take().await.expect("it was confirmed, so it is there");
    assert_eq!(message.exchange.as_str(), "shop.events");
    assert_eq!(message.routing_key.as_str(), "order.created");
    let properties = &message.properties;
    let text = |text: &Option<lapin::types::ShortString>| text.as_ref().unwrap().to_string();
    assert_eq!(text(properties.content_type()), "application/cloudevents+json");
    assert_eq!(*properties.delivery_mode(), Some(2));
    assert_eq!(text(properties.message_id()), event.id);
    assert_eq!(text(properties.kind()), "order.created");
    assert_eq!(*properties.timestamp(), Some(1_767_225_600));
    assert_eq!(text(properties.app_id()), "producer-service");
    let headers = properties.headers().as_ref().unwrap().inner();
    assert_eq!(
        headers.get("traceparent"),
        Some(&AMQPValue::LongString(TRACEPARENT.into()))
    );
    assert_eq!(
        headers.get("tracestate"),
        Some(&AMQPValue::LongString("a=b".into()))
    );
    assert_eq!(
        serde_json::from_slice::<serde_json::Value>(&message.data).unwrap(),
        json!({
            "specversion": "1.0",
            "id": event.id,
            "source": "/order-service",
            "type": "order.created",
            "subject": event.subject,
            "time": "2026-01-01T00:00:00Z",
            "datacontenttype": "application/json",
            "dataschema": "urn:shop:event:order.created:1",
            "traceparent": TRACEPARENT,
            "tracestate": "a=b",
            "data": { "n": 1 },
        })
    );
    setup.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_keep_their_order_also_when_many_are_published_at_once() {
    let setup = Setup::new().await;
    let batches: Vec<Vec<Event>> = (0..6)
        .map(|_| (0..300).map(|_| event(EventType::OrderCreated)).collect())
        .collect();
    let published = futures::future::join_all(batches.iter().map(|batch| setup.publish(batch.clone()))).await;
    for (batch, results) in batches.iter().zip(published) {
        let results = results.unwrap();
        assert!(results.iter().all(|result| failure(result).is_none()));
        assert!(
            batch
                .iter()
                .map(|event| &event.id)
                .eq(results.iter().map(|result| &result.event_id))
        );
    }
    let mut arrived = Vec::new();
    while let Some(message) = setup.take().await {
        arrived.push(message.properties.message_id().as_ref().unwrap().to_string());
    }
    assert_eq!(arrived.len(), 6 * 300);
    for batch in &batches {
        let ids: Vec<_> = batch.iter().map(|event| event.id.as_str()).collect();
        let in_order: Vec<_> = arrived
            .iter()
            .map(String::as_str)
            .filter(|id| ids.contains(id))
            .collect();
        assert_eq!(in_order, ids);
    }
    setup.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_queue_takes_is_an_error_only_where_somebody_must_get_it() {
    let setup = Setup::new().await;
    setup.unbind(EventType::OrderCreated).await;
    let unroutable = Some((Code::FailedPrecondition, Some("UNROUTABLE".to_owned())));
    let kinds = [
        EventType::OrderCreated,
        EventType::OrderCancelled,
        EventType::OrderConfirmed,
    ];
    let events: Vec<_> = (0..300).map(|index| event(kinds[index % kinds.len()])).collect();
    // Together, so that a return is told from its neighbours' confirms also where one answer covers many.
    let batches = futures::future::join_all((0..4).map(|_| setup.publish(events.clone()))).await;
    for results in batches {
        for (event, result) in events.iter().zip(results.unwrap()) {
            let expected = unroutable.clone().filter(|_| event.r#type == "order.created");
            assert_eq!(failure(&result), expected, "{}", event.r#type);
        }
    }
    setup.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_cannot_be_published_are_refused_alone() {
    let setup = Setup::new().await;
    let mut events: Vec<_> = (0..5).map(|_| event(EventType::OrderCreated)).collect();
    events[0].r#type = "Order unheard of".to_owned();
    events[2].id = String::new();
    events[4].data = b"{".to_vec();
    let failures: Vec<_> = setup.publish(events).await.unwrap().iter().map(failure).collect();
    let codes: Vec<_> = failures
        .into_iter()
        .map(|failure| failure.map(|(code, _)| code))
        .collect();
    let invalid = Some(Code::InvalidArgument);
    assert_eq!(codes, [invalid, None, invalid, None, invalid]);
    assert!(setup.take().await.is_some() && setup.take().await.is_some() && setup.take().await.is_none());

    let too_many = vec![event(EventType::OrderCreated); 1001];
    assert_eq!(
        setup.publish(too_many).await.unwrap_err().code(),
        Code::InvalidArgument
    );
    assert_eq!(setup.publish(Vec::new()).await.unwrap(), []);
    setup.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_a_newer_version_reaches_who_knows_it_and_is_missed_by_nobody_else() {
    let setup = Setup::new().await;
    let newer = Event {
        r#type: "order.gift-wrapped".to_owned(),
        ..event(EventType::OrderCreated)
    };
    let published = setup.publish(vec![newer.clone()]).await.unwrap();
    assert_eq!(failure(&published[0]), None, "nobody needs it yet");
    assert!(setup.take().await.is_none());

    let (queue, exchange) = (topology::QUEUE.into(), topology::EXCHANGE.into());
    let options = QueueBindOptions::default();
    setup
        .channel
        .queue_bind(
            queue,
            exchange,
            "order.gift-wrapped".into(),
            options,
            FieldTable::default(),
        )
        .await
        .unwrap();
    let published = setup.publish(vec![newer]).await.unwrap();
    assert_eq!(failure(&published[0]), None);
    let message = setup.take().await.expect("it is bound now");
    let envelope: serde_json::Value = serde_json::from_slice(&message.data).unwrap();
    assert_eq!(envelope["type"], "order.gift-wrapped");
    setup.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_context_of_any_size_harms_no_neighbour_and_is_written_bounded() {
    let setup = Setup::new().await;
    let states = [15_810, 15_812, 200_000].map(|length| format!("a={}", "x".repeat(length)));
    let mut events: Vec<_> = (0..6).map(|_| event(EventType::OrderCreated)).collect();
    for (event, tracestate) in events.iter_mut().step_by(2).zip(states) {
        event.trace = Some(TraceContext {
            traceparent: TRACEPARENT.to_owned(),
            tracestate,
        });
    }
    let results = setup.publish(events.clone()).await.unwrap();
    assert!(results.iter().all(|result| failure(result).is_none()));
    for (place, sent) in events.iter().enumerate() {
        let message = setup.take().await.expect("every one of them");
        assert_eq!(
            message.properties.message_id().as_ref().unwrap().as_str(),
            sent.id
        );
        let headers = message.properties.headers().as_ref().unwrap().inner();
        assert!(headers.contains_key("traceparent"));
        assert_eq!(headers.contains_key("tracestate"), place % 2 == 1);
        assert!(message.data.len() < 1_000, "{} bytes", message.data.len());
    }
    setup.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_said_to_be_unavailable() {
    let setup = Setup::new().await;
    let policy = json!({ "pattern": "orders$", "definition": { "max-length": 1 }, "apply-to": "queues" });
    let path = format!("/api/policies/{}/full", setup.broker.vhost());
    setup.broker.manage(reqwest::Method::PUT, &path, policy).await;
    let nacked = Some((Code::Unavailable, Some("NACKED".to_owned())));
    loop {
        let results = setup
            .publish(vec![event(EventType::OrderCreated); 10])
            .await
            .unwrap();
        if results.iter().any(|result| failure(result) == nacked) {
            break;
        }
    }
    setup.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_connection_is_replaced() {
    let setup = Setup::new().await;
    let connections = format!("/api/vhosts/{}/connections", setup.broker.vhost());
    let killed = loop {
        let listed = setup
            .broker
            .manage(reqwest::Method::GET, &connections, json!(null))
            .await;
        let ours = listed
            .as_array()
            .into_iter()
            .flatten()
            .find(|connection| connection["client_properties"]["connection_name"] == "producer-service");
        if let Some(name) = ours.and_then(|connection| connection["name"].as_str()) {
            break name.replace(' ', "%20").replace('>', "%3E");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    setup
        .broker
        .manage(
            reqwest::Method::DELETE,
            &format!("/api/connections/{killed}"),
            json!(null),
        )
        .await;
    let mut refusals = 0;
    loop {
        match setup.publish(vec![event(EventType::OrderCreated)]).await {
            Ok(results) if failure(&results[0]).is_none() && refusals > 0 => break,
            Ok(results) => {
                refusals +=
                    i32::from(failure(&results[0]).is_some_and(|(code, _)| code == Code::Unavailable));
            }
            Err(error) => {
                assert_eq!(error.code(), Code::Unavailable, "{error}");
                refusals += 1;
            }
        }
    }
    setup.ready().await;
    setup.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_says_nothing_is_given_up_and_connected_to_anew() {
    let broker = Broker::create().await;
    let proxy = Proxy::to(broker.amqp_url()).await;
    let url = proxy.url(broker.amqp_url());
    let setup = Setup::with(broker, &url).await;
    assert_eq!(
        failure(&setup.publish(vec![event(EventType::OrderCreated)]).await.unwrap()[0]),
        None
    );
    proxy.swallow(true);
    let unavailable = match setup.publish(vec![event(EventType::OrderCreated)]).await {
        Ok(results) => failure(&results[0]).unwrap().0,
        Err(error) => error.code(),
    };
    assert_eq!(unavailable, Code::Unavailable);
    proxy.swallow(false);
    while !matches!(setup.publish(vec![event(EventType::OrderCreated)]).await, Ok(results) if failure(&results[0]).is_none())
    {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    setup.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_blocks_publishers_is_unavailable_until_it_does_not() {
    let broker = Broker::create().await;
    let proxy = Proxy::to(broker.amqp_url()).await;
    let url = proxy.url(broker.amqp_url());
    let setup = Setup::with(broker, &url).await;
    proxy.inject(proxy::BLOCKED);
    let refusal = loop {
        match setup.publish(vec![event(EventType::OrderCreated)]).await {
            Ok(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(refusal) => break refusal,
        }
    };
    assert_eq!(
        (refusal.code(), status::reason(&refusal).as_deref()),
        (Code::Unavailable, Some("BROKER_BLOCKED"))
    );
    proxy.inject(proxy::UNBLOCKED);
    while setup.publish(vec![event(EventType::OrderCreated)]).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    setup.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_broker_the_service_runs_and_says_so() {
    let config = Config {
        service: ServiceArgs::loopback(),
        tls: TlsArgs::default(),
        amqp: AmqpArgs::from_url("amqp://guest:guest@127.0.0.1:1/"),
        publish_concurrency: 4,
    };
    let service = producer_service::start(config).await.unwrap();
    let ready = fixtures::get(format!("http://{}/readyz", service.admin_addr()))
        .await
        .unwrap();
    assert_eq!(ready.status(), 503);
    assert!(ready.text().await.unwrap().contains("rabbitmq"));
    let channel = ClientChannel::new(
        "producer-service",
        format!("http://{}", service.addr()).parse().unwrap(),
        None,
    )
    .unwrap();
    let request = PublishEventsRequest {
        events: vec![event(EventType::OrderCreated)],
    };
    let refusal = ProducerServiceClient::new(channel)
        .publish_events(request)
        .await
        .unwrap_err();
    assert_eq!(refusal.code(), Code::Unavailable);
    service.stop().await.unwrap();
}
