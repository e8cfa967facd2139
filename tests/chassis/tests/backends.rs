//! The chassis on a real PostgreSQL and a real RabbitMQ.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::{path::PathBuf, time::Duration};

use chassis::{
    DefaultAddrs, Service, StartError,
    amqp::{self, topology},
    config::{AmqpArgs, PostgresArgs, ServiceArgs},
};
use clap::Parser;
use fixtures::{Broker, Database};
use sqlx::migrate::Migrator;

fn migrator() -> Migrator {
    chassis::migrations!["0001_notes"]
}
const PORTS: DefaultAddrs = DefaultAddrs { listen: 0, admin: 0 };

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    postgres: PostgresArgs,
}

fn from_file(path: &std::path::Path) -> PostgresArgs {
    Arguments::parse_from(["test", "--database-url-file", path.to_str().unwrap()]).postgres
}

fn scratch_file(text: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("shop-{}", uuid::Uuid::now_v7()));
    std::fs::write(&path, text).unwrap();
    path
}

async fn ready(service: &str) -> (u16, String) {
    let response = fixtures::get(format!("http://{service}/readyz")).await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test]
async fn of_replicas_that_start_together_one_migrates() {
    let database = Database::create().await;
    let start = || async {
        let mut service = Service::bind("replica", &ServiceArgs::loopback(), PORTS)
            .await
            .unwrap();
        service
            .postgres(&PostgresArgs::from_url(database.url()), [migrator()])
            .await
            .unwrap();
        service.serve_admin_only()
    };
    let (one, two, three) = tokio::join!(start(), start(), start());
    let notes: Vec<(String,)> = sqlx::query_as("SELECT note FROM notes")
        .fetch_all(database.pool())
        .await
        .unwrap();
    assert_eq!(notes, [("migrated".to_owned(),)]);
    for replica in [one, two, three] {
        replica.stop().await.unwrap();
    }
    database.drop().await;
}

#[tokio::test]
async fn a_service_waits_for_its_database_and_says_so() {
    let database = Database::create().await;
    // Nothing listens there until the file is corrected.
    let file = scratch_file("postgres://postgres@127.0.0.1:1/nowhere\n");
    let mut service = Service::bind("waiting", &ServiceArgs::loopback(), PORTS)
        .await
        .unwrap();
    let health = service.health().clone();
    let args = from_file(&file);
    let starting = tokio::spawn(async move {
        service.postgres(&args, [migrator()]).await?;
        Ok::<_, StartError>(service.serve_admin_only())
    });
    while !health
        .problems()
        .await
        .get("postgres")
        .is_some_and(|problem| problem.contains("refused"))
    {
        assert!(!starting.is_finished());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    std::fs::write(&file, database.url()).unwrap();
    let running = starting.await.unwrap().unwrap();
    assert_eq!(ready(&running.admin_addr().to_string()).await.0, 200);
    running.stop().await.unwrap();
    std::fs::remove_file(file).unwrap();
    database.drop().await;
}

#[tokio::test]
async fn readiness_follows_the_database_and_liveness_does_not() {
    let database = Database::create().await;
    let mut service = Service::bind("ready", &ServiceArgs::loopback(), PORTS)
        .await
        .unwrap();
    service
        .postgres(&PostgresArgs::from_url(database.url()), [migrator()])
        .await
        .unwrap();
    let running = service.serve_admin_only();
    let admin = running.admin_addr().to_string();
    assert_eq!(ready(&admin).await.0, 200);
    database.drop().await;
    let (status, body) = ready(&admin).await;
    assert_eq!(status, 503, "{body}");
    assert!(body.contains("postgres"), "{body}");
    assert_eq!(
        fixtures::get(format!("http://{admin}/healthz"))
            .await
            .unwrap()
            .status(),
        200
    );
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_missing_or_malformed_url_is_an_error_without_the_url() {
    let mut service = Service::bind("wrong", &ServiceArgs::loopback(), PORTS)
        .await
        .unwrap();
    let wrong = PostgresArgs::from_url("no url with hunter2");
    let error = service
        .postgres(&wrong, [migrator()])
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("DATABASE_URL is not valid") && !error.contains("hunter2"),
        "{error}"
    );
    let gone = from_file(std::path::Path::new("/nonexistent/url"));
    let error = service
        .postgres(&gone, [migrator()])
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("/nonexistent/url"), "{error}");
}

#[tokio::test]
async fn the_topology_can_be_declared_again_and_again() {
    let broker = Broker::create().await;
    let connection = amqp::connect(&AmqpArgs::from_url(broker.amqp_url()), "test")
        .await
        .unwrap();
    for _ in 0..2 {
        topology::declare(&connection.create_channel().await.unwrap())
            .await
            .unwrap();
    }
    let path = format!("/api/queues/{}/{}", broker.vhost(), topology::QUEUE);
    let queue = broker
        .manage(reqwest::Method::GET, &path, serde_json::Value::Null)
        .await;
    assert_eq!(queue["arguments"]["x-queue-type"], "quorum");
    assert_eq!(queue["arguments"]["x-dead-letter-strategy"], "at-least-once");
    assert_eq!(queue["arguments"]["x-delivery-limit"], topology::DELIVERY_LIMIT);
    let path = format!("/api/bindings/{}", broker.vhost());
    let bindings = broker
        .manage(reqwest::Method::GET, &path, serde_json::Value::Null)
        .await;
    let mut keys: Vec<_> = bindings
        .as_array()
        .unwrap()
        .iter()
        .filter(|binding| binding["source"] != "")
        .map(|binding| {
            (
                binding["routing_key"].as_str().unwrap(),
                binding["destination"].as_str().unwrap(),
            )
        })
        .collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        [
            ("#", topology::DEAD_LETTER_QUEUE),
            ("order.cancelled", topology::QUEUE),
            ("order.created", topology::QUEUE),
        ]
    );
    connection.close(200, "OK".into()).await.unwrap();
    broker.drop().await;
}
