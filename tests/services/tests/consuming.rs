//! consumer-service on a real RabbitMQ, with peers that fail on demand.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod peers;
mod queue;

use std::{
    panic::Location,
    time::{Duration, Instant},
};

use chassis::{
    Running,
    amqp::topology::{DEAD_LETTER_QUEUE, QUEUE},
    config::{AmqpArgs, ServiceArgs},
    tls::TlsArgs,
};
use consumer_service::{Config, IntakeArgs};
use lapin::types::AMQPValue;
use peers::{Peers, Refuse};
use proto::order::order_outcome;
use queue::{Queue, id_of};
use tonic::Status;
use uuid::Uuid;

/// How long anything may take here; far more than it does.
const PATIENCE: Duration = Duration::from_secs(30);

fn start_with(queue: &Queue, peers: &Peers, grace: Duration) -> impl Future<Output = Running> {
    let config = Config {
        command: None,
        service: ServiceArgs {
            shutdown_grace: grace,
            ..ServiceArgs::loopback()
        },
        tls: TlsArgs::default(),
        amqp: AmqpArgs::from_url(queue.broker.amqp_url()),
        inventory_service_url: peers.url.parse().unwrap(),
        order_service_url: peers.url.parse().unwrap(),
        intake: IntakeArgs {
            max_batch: 50,
            ..IntakeArgs::default()
        },
    };
    async { consumer_service::start(config).await.unwrap() }
}

async fn start(queue: &Queue, peers: &Peers) -> Running {
    start_with(queue, peers, Duration::from_secs(8)).await
}

/// Waits until it is so.
#[track_caller]
fn until(condition: impl Fn() -> bool) -> impl Future<Output = ()> {
    let caller = Location::caller();
    async move {
        let deadline = Instant::now() + PATIENCE;
        while !condition() {
            assert!(Instant::now() < deadline, "waited in vain at {caller}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn until_waiting(queue: &Queue, name: &str, count: u32) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let waiting = queue.waiting(name).await;
        if waiting == count {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{waiting} messages in {name}, not {count}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// After the service has ended, every delivery that it did not settle is back in the queue, which takes the broker a
/// moment.
async fn stop_and_expect(running: Running, queue: Queue, left: u32, dead: u32) {
    running.stop().await.unwrap();
    until_waiting(&queue, QUEUE, left).await;
    assert_eq!(queue.waiting(DEAD_LETTER_QUEUE).await, dead, "dead letters");
    queue.broker.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_worked_off_in_batches_and_each_outcome_is_recorded() {
    let (queue, peers) = (Queue::new().await, Peers::start(100).await);
    let orders: Vec<_> = (0..120).map(|_| Uuid::now_v7()).collect();
    for order in &orders {
        queue.created(*order, 1).await;
    }
    let running = start(&queue, &peers).await;
    until(|| peers.state().recorded.len() == orders.len()).await;
    {
        let state = peers.state();
        let confirmed = state
            .recorded
            .values()
            .filter(|outcome| matches!(outcome, order_outcome::Outcome::Confirmed(_)));
        assert_eq!(confirmed.count(), 100, "one for each unit there was");
        assert_eq!(state.stock, 0);
        assert!(
            state.allocation_calls.len() < orders.len() / 2,
            "{} calls",
            state.allocation_calls.len()
        );
        assert!(state.allocation_calls.iter().all(|call| call.len() <= 50));
    }
    stop_and_expect(running, queue, 0, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_order_is_released_whether_or_not_it_was_allocated() {
    let (queue, peers) = (Queue::new().await, Peers::start(100).await);
    let [together, alone] = [Uuid::now_v7(), Uuid::now_v7()];
    queue.created(together, 1).await;
    queue.cancelled(together).await;
    queue.cancelled(alone).await;
    let running = start(&queue, &peers).await;
    until(|| peers.state().released.len() == 2).await;
    queue.created(alone, 1).await;
    until(|| peers.state().allocated.contains_key(&alone.to_string())).await;
    running.stop().await.unwrap();
    assert!(
        peers.state().allocated.contains_key(&together.to_string()),
        "allocations go first"
    );
    assert!(
        !peers.state().recorded.contains_key(&alone.to_string()),
        "there is nothing to record"
    );
    assert_eq!(queue.waiting(QUEUE).await, 0);
    queue.broker.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_goes_to_the_dead_letters_alone() {
    let (queue, peers) = (Queue::new().await, Peers::start(1000).await);
    let mut poison = Vec::new();
    for round in 0..10 {
        queue.created(Uuid::now_v7(), 1).await;
        match round {
            2 => poison.push(queue.publish("order.created", "not-json", b"{").await),
            4 => poison.push(queue.publish("order.created", "not-an-event", b"{}").await),
            6 => poison.push(queue.created(Uuid::now_v7(), 0).await),
            _ => {}
        }
    }
    let running = start(&queue, &peers).await;
    until_waiting(&queue, DEAD_LETTER_QUEUE, 3).await;
    until(|| peers.state().recorded.len() == 10).await;
    let mut dead = Vec::new();
    while let Some(letter) = queue.take(DEAD_LETTER_QUEUE).await {
        dead.push(id_of(&letter));
    }
    assert_eq!(dead, poison);
    stop_and_expect(running, queue, 0, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_back_end_that_is_down_holds_the_batch_and_uses_up_no_delivery() {
    let (queue, peers) = (Queue::new().await, Peers::start(1000).await);
    peers.state().inventory_refuses = Some(Box::new(|_| Some(Status::unavailable("down"))));
    peers.state().unwell = true;
    let id = queue.created(Uuid::now_v7(), 1).await;
    let running = start_with(&queue, &peers, Duration::from_secs(3)).await;
    until(|| peers.state().health_checks >= 5).await;
    assert_eq!(queue.waiting(QUEUE).await, 0, "it is held, not given back");
    running.stop().await.unwrap();
    until_waiting(&queue, QUEUE, 1).await;
    let message = queue.take(QUEUE).await.expect("it came back at the end");
    assert_eq!(id_of(&message), id);
    let count = message
        .properties
        .headers()
        .as_ref()
        .and_then(|headers| headers.inner().get("x-delivery-count").cloned());
    assert_eq!(
        count,
        Some(AMQPValue::LongLongInt(1)),
        "one delivery, however often the back end was asked"
    );
    assert_eq!(queue.waiting(DEAD_LETTER_QUEUE).await, 0);
    queue.broker.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn work_goes_on_when_the_back_ends_are_back() {
    let (queue, peers) = (Queue::new().await, Peers::start(1000).await);
    peers.state().inventory_refuses = Some(Box::new(|_| Some(Status::deadline_exceeded("slow"))));
    peers.state().orders_refuse = Some(Box::new(|_| Some(Status::unavailable("down"))));
    for _ in 0..20 {
        queue.created(Uuid::now_v7(), 1).await;
    }
    let running = start(&queue, &peers).await;
    until(|| peers.state().allocation_calls.len() >= 3).await;
    peers.state().inventory_refuses = None;
    until(|| !peers.state().allocated.is_empty()).await;
    assert!(peers.state().recorded.is_empty());
    peers.state().orders_refuse = None;
    until(|| peers.state().recorded.len() == 20).await;
    stop_and_expect(running, queue, 0, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_the_whole_call_is_refused_for_is_found_and_put_aside() {
    let (queue, peers) = (Queue::new().await, Peers::start(1000).await);
    let bad = Uuid::now_v7().to_string();
    let refused = bad.clone();
    peers.state().inventory_refuses = Some(Box::new(move |ids| {
        ids.contains(&refused).then(|| Status::out_of_range("too large"))
    }));
    for round in 0..30 {
        queue
            .created(
                if round == 17 {
                    bad.parse().unwrap()
                } else {
                    Uuid::now_v7()
                },
                1,
            )
            .await;
    }
    let running = start(&queue, &peers).await;
    until(|| peers.state().recorded.len() == 29).await;
    until_waiting(&queue, DEAD_LETTER_QUEUE, 1).await;
    stop_and_expect(running, queue, 0, 1).await;
}

/// Refuses every call that is about one of these orders, each with a status of its own.
fn refuse(poison: Vec<(String, Status)>) -> Refuse {
    Box::new(move |ids| {
        let culprit = poison.iter().find(|(id, _)| ids.contains(id));
        culprit.map(|(_, status)| status.clone())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_call_fails_of_the_order_at_fault_is_found_while_the_others_flow() {
    let (queue, peers) = (Queue::new().await, Peers::start(1000).await);
    // What one order in a batch can do to the call as a whole.
    let statuses = [
        Status::unknown("grpc-status header missing, mapped from HTTP status code 431"),
        Status::resource_exhausted("h2 protocol error: enhance your calm"),
        Status::internal("a bug"),
        Status::unavailable("the connection was reset"),
        Status::cancelled("the stream was reset"),
        Status::data_loss("cut off"),
    ];
    // The first is healthy: it may come alone, and a poison before which nothing was ever answered takes longer to judge.
    let orders: Vec<_> = (0..50).map(|_| Uuid::now_v7()).collect();
    let poison: Vec<_> = orders
        .iter()
        .skip(1)
        .step_by(8)
        .map(ToString::to_string)
        .collect();
    // The seventh is not refused: it takes forever.
    peers.state().never_answered.insert(poison[6].clone());
    peers.state().inventory_refuses = Some(refuse(poison.iter().cloned().zip(statuses).collect()));
    let mut ids = Vec::new();
    for order in &orders {
        ids.push(queue.created(*order, 1).await);
    }
    let began = Instant::now();
    let running = start(&queue, &peers).await;
    until_waiting(&queue, DEAD_LETTER_QUEUE, 7).await;
    until(|| peers.state().recorded.len() == 43).await;
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());

    // Who comes later is no longer held up.
    let later = Uuid::now_v7();
    queue.created(later, 1).await;
    until(|| peers.state().recorded.contains_key(&later.to_string())).await;
    let mut dead = Vec::new();
    while let Some(letter) = queue.take(DEAD_LETTER_QUEUE).await {
        dead.push(id_of(&letter));
    }
    dead.sort_unstable();
    assert_eq!(dead, ids.iter().skip(1).step_by(8).cloned().collect::<Vec<_>>());
    stop_and_expect(running, queue, 0, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_that_comes_alone_is_put_aside_in_time_for_who_waits_behind_it() {
    let (queue, peers) = (Queue::new().await, Peers::start(1000).await);
    let [poison, behind] = [Uuid::now_v7(), Uuid::now_v7()];
    peers.state().inventory_refuses = Some(refuse(vec![(poison.to_string(), Status::unknown("431"))]));
    let id = queue.created(poison, 1).await;
    let running = start(&queue, &peers).await;
    until(|| peers.state().allocation_calls.len() >= 2).await;
    let began = Instant::now();
    queue.created(behind, 1).await;
    until(|| peers.state().recorded.contains_key(&behind.to_string())).await;
    until_waiting(&queue, DEAD_LETTER_QUEUE, 1).await;
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    assert_eq!(
        queue.take(DEAD_LETTER_QUEUE).await.map(|letter| id_of(&letter)),
        Some(id)
    );
    stop_and_expect(running, queue, 0, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_back_end_that_fails_for_everybody_puts_nothing_aside() {
    let (queue, peers) = (Queue::new().await, Peers::start(1000).await);
    let running = start(&queue, &peers).await;
    queue.created(Uuid::now_v7(), 1).await;
    until(|| peers.state().recorded.len() == 1).await;
    // It says all the while that it is well.
    peers.state().inventory_refuses = Some(Box::new(|_| Some(Status::internal("read-only"))));
    for _ in 0..20 {
        queue.created(Uuid::now_v7(), 1).await;
    }
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(queue.waiting(DEAD_LETTER_QUEUE).await, 0);
    peers.state().inventory_refuses = None;
    until(|| peers.state().recorded.len() == 21).await;
    stop_and_expect(running, queue, 0, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_a_newer_version_is_left_to_who_knows_it() {
    let (queue, peers) = (Queue::new().await, Peers::start(1000).await);
    queue.bind("order.gift-wrapped").await;
    let (order, id) = (Uuid::now_v7(), Uuid::now_v7().to_string());
    let body = serde_json::json!({
        "specversion": "1.0", "id": id, "source": "/order-service", "type": "order.gift-wrapped",
        "subject": order, "time": "2026-01-01T00:00:00Z", "datacontenttype": "application/json",
        "dataschema": "urn:shop:event:order.gift-wrapped:7", "data": { "paper": "red" },
    });
    queue
        .publish("order.gift-wrapped", &id, body.to_string().as_bytes())
        .await;
    queue.created(order, 1).await;
    let running = start(&queue, &peers).await;
    until(|| peers.state().recorded.len() == 1).await;
    stop_and_expect(running, queue, 0, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redelivered_event_changes_nothing() {
    let (queue, peers) = (Queue::new().await, Peers::start(1000).await);
    let running = start(&queue, &peers).await;
    let order = Uuid::now_v7();
    for round in 1..=3 {
        queue.created(order, 5).await;
        until(|| peers.state().allocation_calls.len() == round).await;
    }
    until(|| peers.state().recorded.len() == 1).await;
    assert_eq!(peers.state().stock, 995);
    stop_and_expect(running, queue, 0, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_batch_in_hand_is_finished_at_shutdown() {
    let (queue, peers) = (Queue::new().await, Peers::start(1000).await);
    peers.gate(false);
    for _ in 0..10 {
        queue.created(Uuid::now_v7(), 1).await;
    }
    let running = start(&queue, &peers).await;
    until(|| !peers.state().allocation_calls.is_empty()).await;
    let in_hand = peers.state().allocation_calls[0].len();
    let stopping = tokio::spawn(running.stop());
    tokio::time::sleep(Duration::from_millis(200)).await;
    peers.gate(true);
    stopping.await.unwrap().unwrap();
    assert_eq!(peers.state().recorded.len(), in_hand);
    // The rest was given back.
    until_waiting(&queue, QUEUE, 10 - u32::try_from(in_hand).unwrap()).await;
    queue.broker.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_loses_no_message() {
    let (queue, peers) = (Queue::new().await, Peers::start(1000).await);
    peers.gate(false);
    for _ in 0..10 {
        queue.created(Uuid::now_v7(), 1).await;
    }
    let running = start(&queue, &peers).await;
    until(|| !peers.state().allocation_calls.is_empty()).await;
    let connections = format!("/api/vhosts/{}/connections", queue.broker.vhost());
    let name = loop {
        let listed = queue
            .broker
            .manage(reqwest::Method::GET, &connections, serde_json::Value::Null)
            .await;
        let ours = listed
            .as_array()
            .into_iter()
            .flatten()
            .find(|connection| connection["client_properties"]["connection_name"] == "consumer-service");
        if let Some(name) = ours.and_then(|connection| connection["name"].as_str()) {
            break name.replace(' ', "%20").replace('>', "%3E");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let path = format!("/api/connections/{name}");
    queue
        .broker
        .manage(reqwest::Method::DELETE, &path, serde_json::Value::Null)
        .await;
    peers.gate(true);
    until(|| peers.state().recorded.len() == 10).await;
    until_waiting(&queue, QUEUE, 0).await;
    stop_and_expect(running, queue, 0, 0).await;
}
