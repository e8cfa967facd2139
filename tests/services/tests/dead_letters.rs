//! The subcommand `dead-letters`, as a process of its own, on a real RabbitMQ.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod queue;

use chassis::amqp::topology::{DEAD_LETTER_QUEUE, QUEUE};
use lapin::{
    Connection, ConnectionProperties,
    options::{BasicGetOptions, BasicRejectOptions, QueueDeleteOptions},
};
use queue::{Queue, id_of};
use serde_json::Value;
use tokio::process::Command;
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
