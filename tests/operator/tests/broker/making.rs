//! Making a shop's part of the broker, finding it made, and removing it.

use std::time::{Duration, Instant};

use chassis::amqp::topology::{DEAD_LETTER_QUEUE, DELIVERY_LIMIT, EXCHANGES, QUEUE};
use secrecy::ExposeSecret as _;
use serde_json::json;
use shop_operator::provision::rabbitmq;

use crate::{
    permissions::{publish, reject_one},
    support::{Recorder, Shop, get, is_there, put},
};

#[tokio::test]
async fn makes_what_is_missing_and_then_only_asks() {
    let mut shop = Shop::new();
    let recorder = Recorder::start().await;
    shop.server.management_url = recorder.url.clone();
    let changes = shop.ensure().await.unwrap();
    // Its own permission the broker gives to who creates the virtual host.
    assert_eq!(changes.iter().count(), 1 + 2 + 2 + 3 + 2 * 2, "{changes}");
    assert!(!recorder.writes().is_empty());
    for user in &shop.users {
        let sent = recorder.sent();
        assert!(sent.contains(&user.name));
        assert!(
            !sent.contains(user.password.expose_secret()),
            "only a hash is sent"
        );
    }

    let vhost = get(&format!("/api/vhosts/{}", shop.vhost_in_path())).await;
    assert_eq!(vhost["description"], format!("shop-operator: {}", shop.uid));
    for exchange in EXCHANGES {
        let exchange = get(&shop.path("exchanges", exchange)).await;
        assert_eq!(
            (&exchange["type"], &exchange["durable"]),
            (&json!("topic"), &json!(true))
        );
    }
    let queue = get(&shop.path("queues", QUEUE)).await;
    assert_eq!(queue["type"], "quorum");
    assert_eq!(queue["arguments"]["x-delivery-limit"], DELIVERY_LIMIT);
    assert_eq!(queue["arguments"]["x-dead-letter-strategy"], "at-least-once");
    assert_eq!(
        get(&shop.path("queues", DEAD_LETTER_QUEUE)).await["type"],
        "quorum"
    );
    for user in &shop.users {
        let user = get(&format!("/api/users/{}", user.name)).await;
        assert_eq!(user["tags"], json!([format!("shop-operator-{}", shop.uid)]));
    }

    let recorder = Recorder::start().await;
    shop.server.management_url = recorder.url.clone();
    let changes = shop.ensure().await.unwrap();
    assert!(changes.is_empty(), "{changes}");
    assert!(recorder.sent().contains("GET /api/vhosts/"));
    assert_eq!(recorder.writes(), Vec::<String>::new());
    shop.remove().await.unwrap();
}

/// The services declare the same locally: neither finds the other's queues different.
#[tokio::test]
async fn agrees_with_what_the_services_declare() {
    let shop = Shop::made().await;
    let operator = rabbitmq::User {
        name: shop.server.user.clone(),
        password: shop.server.password.clone(),
        role: rabbitmq::UserRole::Producer,
    };
    let (_connection, channel) = shop.open(&operator).await;
    chassis::amqp::topology::declare(&channel).await.unwrap();
    assert!(shop.ensure().await.unwrap().is_empty());
    shop.remove().await.unwrap();
}

#[tokio::test]
async fn removes_all_and_what_is_gone_is_no_error() {
    let shop = Shop::made().await;
    put(&shop.path("queues", "others"), json!({ "durable": true })).await;
    shop.remove().await.unwrap();
    assert!(!is_there(&format!("/api/vhosts/{}", shop.vhost_in_path())).await);
    for user in &shop.users {
        assert!(!is_there(&format!("/api/users/{}", user.name)).await);
    }
    shop.remove().await.unwrap();
    Shop::new().remove().await.unwrap();
}

#[tokio::test]
async fn counts_the_dead_letters() {
    let shop = Shop::made().await;
    assert_eq!(
        rabbitmq::dead_letters(&shop.server, &shop.vhost).await.unwrap(),
        0
    );
    let (_producer, events) = shop.open(shop.producer()).await;
    let (_consumer, queue) = shop.open(shop.consumer()).await;
    for _ in 0..3 {
        assert!(publish(&events, "shop.events", "order.created").await);
        reject_one(&queue).await;
    }
    let begin = Instant::now();
    while rabbitmq::dead_letters(&shop.server, &shop.vhost).await.unwrap() != 3 {
        assert!(
            begin.elapsed() < Duration::from_secs(30),
            "the broker counts every five seconds"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    shop.remove().await.unwrap();
    let gone = rabbitmq::dead_letters(&shop.server, &shop.vhost)
        .await
        .unwrap_err();
    assert_eq!(gone.reason(), "RabbitmqFailed", "{gone}");
}
