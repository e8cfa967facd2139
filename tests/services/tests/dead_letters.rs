//! The dead letters on a real RabbitMQ: the subcommand `dead-letters`, as a process of its own, and the same over gRPC.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod queue;

use chassis::amqp::topology::{DEAD_LETTER_QUEUE, QUEUE};
use lapin::{
    Connection, ConnectionProperties,
    options::{BasicGetOptions, BasicRejectOptions, QueueDeleteOptions},
};
use proto::consumer::{
    GetQueueRequest, ListDeadLettersRequest, RedriveDeadLettersRequest,
    consumer_service_client::ConsumerServiceClient,
};
use queue::{Queue, id_of};
use serde_json::Value;
use tokio::process::Command;
use tonic::{Code, transport::Channel};
use uuid::Uuid;

/// A queue with that many orders among the dead letters, and their message ids.
async fn dead(count: usize) -> (Queue, Vec<String>) {
    let queue = Queue::new().await;
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(queue.created(Uuid::now_v7(), 1).await);
    }
    let connection = Connection::connect(queue.broker.amqp_url(), ConnectionProperties::default())
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    for _ in 0..count {
        let message = channel
            .basic_get(QUEUE.into(), BasicGetOptions::default())
            .await
            .unwrap()
            .unwrap();
        message
            .reject(BasicRejectOptions { requeue: false })
            .await
            .unwrap();
    }
    while queue.waiting(DEAD_LETTER_QUEUE).await as usize != count {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    (queue, ids)
}

/// Whether it succeeded, and what it said.
async fn run(queue: &Queue, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(e2e::program("consumer-service").unwrap());
    command
        .arg("dead-letters")
        .args(arguments)
        .env("AMQP_URL", queue.broker.amqp_url());
    fixtures::said(&mut command).await
}

async fn listed(queue: &Queue, arguments: &[&str]) -> Vec<Value> {
    let (success, lines) = run(queue, &[&["list", "--json"], arguments].concat()).await;
    assert!(success, "{lines}");
    fixtures::json_lines(&lines)
}

fn ids(letters: &[Value]) -> Vec<&str> {
    letters
        .iter()
        .map(|letter| letter["message_id"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_list_shows_what_there_is_and_changes_nothing() {
    let (queue, published) = dead(4).await;
    // More often than RabbitMQ 4's own delivery limit.
    for _ in 0..25 {
        assert_eq!(ids(&listed(&queue, &["--limit", "3"]).await), published[..3]);
    }
    let letters = listed(&queue, &[]).await;
    assert_eq!(ids(&letters), published);
    assert_eq!(letters[0]["type"], "order.created");
    assert_eq!(letters[0]["reason"], "rejected");
    assert_eq!(letters[0]["count"], 1);
    assert!(letters[0]["time"].as_str().unwrap().starts_with("20"));
    Uuid::try_parse(letters[0]["subject"].as_str().unwrap()).unwrap();

    let (_, table) = run(&queue, &["list"]).await;
    assert!(table.starts_with("MESSAGE"));
    assert_eq!(table.lines().count(), 5);
    queue.broker.drop().await;
}

#[tokio::test]
async fn what_is_put_back_is_as_it_was_and_the_rest_stays() {
    let (queue, published) = dead(5).await;
    assert_eq!(
        run(&queue, &["redrive", "--message-id", &published[2]]).await,
        (true, "1 put back\n".to_owned())
    );
    assert_eq!(
        run(&queue, &["redrive", "--limit", "2"]).await,
        (true, "2 put back\n".to_owned())
    );
    assert_eq!(ids(&listed(&queue, &[]).await), published[3..]);

    let message = queue.take(QUEUE).await.unwrap();
    assert_eq!(id_of(&message), published[2]);
    assert_eq!(
        message.properties.kind().as_ref().unwrap().as_str(),
        "order.created"
    );
    let headers = message.properties.headers().clone().unwrap_or_default();
    assert!(!headers.contains_key("x-death"), "its history is gone");
    assert_eq!(id_of(&queue.take(QUEUE).await.unwrap()), published[0]);
    assert_eq!(id_of(&queue.take(QUEUE).await.unwrap()), published[1]);

    let (success, complaint) = run(&queue, &["redrive", "--message-id", &published[2]]).await;
    assert!(!success && complaint.contains("no dead letter"), "{complaint}");
    assert_eq!(run(&queue, &["redrive"]).await, (true, "2 put back\n".to_owned()));
    assert_eq!(run(&queue, &["redrive"]).await, (true, "0 put back\n".to_owned()));
    queue.broker.drop().await;
}

#[tokio::test]
async fn a_letter_that_nobody_takes_back_stays_a_dead_letter() {
    let (queue, published) = dead(2).await;
    let connection = Connection::connect(queue.broker.amqp_url(), ConnectionProperties::default())
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel
        .queue_delete(QUEUE.into(), QueueDeleteOptions::default())
        .await
        .unwrap();
    let (success, complaint) = run(&queue, &["redrive"]).await;
    assert!(
        !success && complaint.starts_with("consumer-service dead-letters: 0 put back, then:"),
        "{complaint}"
    );
    assert_eq!(ids(&listed(&queue, &[]).await), published);
    queue.broker.drop().await;
}

#[tokio::test]
async fn a_purge_wants_a_yes() {
    let (queue, _) = dead(3).await;
    let (success, complaint) = run(&queue, &["purge"]).await;
    assert!(
        !success && complaint.contains("3 dead letters") && complaint.contains("--yes"),
        "{complaint}"
    );
    assert_eq!(listed(&queue, &[]).await.len(), 3);
    assert_eq!(
        run(&queue, &["purge", "--yes"]).await,
        (true, "3 deleted\n".to_owned())
    );
    assert!(listed(&queue, &[]).await.is_empty());
    queue.broker.drop().await;
}

/// The service without peers: nothing that a healthy event would ask for can be done.
async fn served(amqp_url: &str) -> (chassis::Running, ConsumerServiceClient<Channel>) {
    let nobody: chassis::config::GrpcUrl = "http://127.0.0.1:1".parse().unwrap();
    let config = consumer_service::Config {
        command: None,
        service: chassis::config::ServiceArgs::loopback(),
        tls: chassis::tls::TlsArgs::default(),
        amqp: chassis::config::AmqpArgs::from_url(amqp_url),
        inventory_service_url: nobody.clone(),
        order_service_url: nobody,
        intake: consumer_service::IntakeArgs::default(),
    };
    let running = consumer_service::start(config).await.unwrap();
    let client = ConsumerServiceClient::connect(format!("http://{}", running.addr()))
        .await
        .unwrap();
    (running, client)
}

fn redrive(message_id: Option<&str>, limit: u32) -> RedriveDeadLettersRequest {
    RedriveDeadLettersRequest {
        message_id: message_id.map(str::to_owned),
        limit,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_sees_and_puts_back_what_a_person_at_a_terminal_does() {
    let (queue, published) = dead(3).await;
    let (running, mut client) = served(queue.broker.amqp_url()).await;
    let listed = client
        .list_dead_letters(ListDeadLettersRequest { limit: 2 })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(listed.total, 3);
    let ids: Vec<_> = listed
        .dead_letters
        .iter()
        .map(|letter| letter.message_id.as_str())
        .collect();
    assert_eq!(ids, published[..2]);
    assert_eq!(listed.dead_letters[0].r#type, "order.created");
    assert_eq!(
        (&*listed.dead_letters[0].reason, listed.dead_letters[0].count),
        ("rejected", 1)
    );

    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        match client.get_queue(GetQueueRequest {}).await {
            Ok(state) if state.get_ref().dead_letters == 3 => break,
            _ => assert!(
                std::time::Instant::now() < deadline,
                "the dead letters are not counted"
            ),
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }

    for (wrong, field) in [
        (redrive(Some(""), 1), "message_id"),
        (redrive(None, 0), "limit"),
        (redrive(None, 1_001), "limit"),
    ] {
        let refused = client.redrive_dead_letters(wrong).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{field}");
    }
    for limit in [0, 101] {
        let refused = client
            .list_dead_letters(ListDeadLettersRequest { limit })
            .await
            .unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{limit}");
    }
    let unknown = client
        .redrive_dead_letters(redrive(Some("none"), 10))
        .await
        .unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    let done = client
        .redrive_dead_letters(redrive(Some(&published[1]), 10))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((done.redriven, done.remaining), (1, 2));
    let done = client
        .redrive_dead_letters(redrive(None, 1))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((done.redriven, done.remaining), (1, 1));
    assert_eq!(queue.waiting(DEAD_LETTER_QUEUE).await, 1);
    running.stop().await.unwrap();
    queue.broker.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_broker_it_is_said_that_nobody_knows() {
    let (running, mut client) = served("amqp://shop:secret@127.0.0.1:1/").await;
    let refusals = [
        client.get_queue(GetQueueRequest {}).await.unwrap_err(),
        client
            .list_dead_letters(ListDeadLettersRequest { limit: 1 })
            .await
            .unwrap_err(),
        client.redrive_dead_letters(redrive(None, 1)).await.unwrap_err(),
    ];
    for refused in refusals {
        assert_eq!(refused.code(), Code::Unavailable);
        assert!(!refused.message().contains("secret"), "{refused}");
    }
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_broker_that_is_not_there_is_said_in_one_line_without_the_password() {
    let output = Command::new(e2e::program("consumer-service").unwrap())
        .args(["dead-letters", "list"])
        .env("AMQP_URL", "amqp://shop:secret@127.0.0.1:1/")
        .output()
        .await
        .unwrap();
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(
        complaint.contains("RabbitMQ") && !complaint.contains("secret"),
        "{complaint}"
    );
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
}
