//! What somebody has changed behind the operator's back comes back.

use chassis::amqp::topology::{DEAD_LETTER_QUEUE, EXCHANGE, QUEUE};
use reqwest::Method;
use serde_json::{Value, json};
use shop_operator::provision::rabbitmq::{RabbitmqError, UserRole};

use crate::{
    permissions::publish,
    support::{Shop, call, connect, delete, get, is_there, put},
};

/// Repairs, and finds nothing more to repair.
async fn repaired(shop: &Shop, changes: &[&str]) {
    let made = shop.ensure().await.unwrap();
    assert_eq!(made.iter().collect::<Vec<_>>(), changes);
    assert!(shop.ensure().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_deleted_exchange_with_its_bindings() {
    let shop = Shop::made().await;
    delete(&shop.path("exchanges", EXCHANGE)).await;
    let changes = [
        r#"created the exchange "shop.events""#,
        r#"bound the queue "consumer-service.orders" to "shop.events" with "order.created""#,
        r#"bound the queue "consumer-service.orders" to "shop.events" with "order.cancelled""#,
    ];
    repaired(&shop, &changes).await;
    let (_connection, channel) = shop.open(shop.producer()).await;
    assert!(publish(&channel, EXCHANGE, "order.cancelled").await);
    shop.remove().await.unwrap();
}

#[tokio::test]
async fn a_deleted_queue_with_its_bindings() {
    let shop = Shop::made().await;
    delete(&shop.path("queues", DEAD_LETTER_QUEUE)).await;
    let changes = [
        r#"created the queue "consumer-service.orders.dead-letters""#,
        r##"bound the queue "consumer-service.orders.dead-letters" to "shop.dead-letters" with "#""##,
    ];
    repaired(&shop, &changes).await;
    shop.remove().await.unwrap();
}

#[tokio::test]
async fn a_deleted_binding_and_others_are_left_alone() {
    let shop = Shop::made().await;
    put(&shop.path("queues", "others"), json!({ "durable": true })).await;
    let vhost = shop.vhost_in_path();
    for queue in ["others", QUEUE] {
        let path = format!("/api/bindings/{vhost}/e/{EXCHANGE}/q/{queue}");
        let (status, _) = call(Method::POST, &path, json!({ "routing_key": "of.another" })).await;
        assert!(status.is_success());
    }
    delete(&format!(
        "/api/bindings/{vhost}/e/{EXCHANGE}/q/{QUEUE}/order.created"
    ))
    .await;
    let change = r#"bound the queue "consumer-service.orders" to "shop.events" with "order.created""#;
    repaired(&shop, &[change]).await;
    for queue in ["others", QUEUE] {
        assert!(
            is_there(&format!(
                "/api/bindings/{vhost}/e/{EXCHANGE}/q/{queue}/of.another"
            ))
            .await
        );
    }
    shop.remove().await.unwrap();
}

#[tokio::test]
async fn a_deleted_user() {
    let shop = Shop::made().await;
    let name = &shop.producer().name;
    delete(&format!("/api/users/{name}")).await;
    let changes = [
        format!("created the user {name:?}"),
        format!("set the permissions of the user {name:?}"),
    ];
    repaired(&shop, &changes.each_ref().map(String::as_str)).await;
    connect(&shop.amqp_url(shop.producer())).await.unwrap();
    shop.remove().await.unwrap();
}

#[tokio::test]
async fn a_password_changed_there_or_here() {
    let mut shop = Shop::made().await;
    let tag = format!("shop-operator-{}", shop.uid);
    let name = shop.producer().name.clone();
    let changed = format!("set the password of the user {name:?}");
    put(
        &format!("/api/users/{name}"),
        json!({ "password": "another", "tags": tag }),
    )
    .await;
    assert!(connect(&shop.amqp_url(shop.producer())).await.is_err());
    repaired(&shop, &[&changed]).await;
    connect(&shop.amqp_url(shop.producer())).await.unwrap();

    let old = shop.amqp_url(shop.producer());
    shop.users[0].password = "the next one".into();
    repaired(&shop, &[&changed]).await;
    assert!(connect(&old).await.is_err());
    connect(&shop.amqp_url(shop.producer())).await.unwrap();
    shop.remove().await.unwrap();
}

#[tokio::test]
async fn widened_rights() {
    let shop = Shop::made().await;
    let other = Shop::made().await;
    let name = &shop.producer().name;
    let all = json!({ "configure": ".*", "write": ".*", "read": ".*" });
    put(&shop.path("permissions", name), all.clone()).await;
    put(&other.path("permissions", name), all).await;
    let user = format!("/api/users/{name}");
    let mut tags = get(&user).await;
    tags["tags"] = json!(format!("administrator,shop-operator-{}", shop.uid));
    put(&user, tags).await;
    let changes = [
        format!("set the tags of the user {name:?}"),
        format!("set the permissions of the user {name:?}"),
        format!("shut the user {name:?} out of the virtual host {:?}", other.vhost),
    ];
    repaired(&shop, &changes.each_ref().map(String::as_str)).await;
    let permissions = get(&format!("{user}/permissions")).await;
    let only = json!([{ "user": name, "vhost": shop.vhost, "configure": "", "write": "^(shop\\.events)$", "read": "" }]);
    assert_eq!(permissions, only);
    shop.remove().await.unwrap();
    other.remove().await.unwrap();
}

#[tokio::test]
async fn another_role_and_a_user_that_is_no_longer_wanted() {
    let mut shop = Shop::made().await;
    let old = shop.users.remove(0).name;
    shop.users[0].role = UserRole::Producer;
    let changes = [
        format!("set the permissions of the user {:?}", shop.users[0].name),
        format!("deleted the user {old:?}"),
    ];
    repaired(&shop, &changes.each_ref().map(String::as_str)).await;
    shop.remove().await.unwrap();
}

#[tokio::test]
async fn the_operators_own_permission() {
    let shop = Shop::made().await;
    delete(&shop.path("permissions", &shop.server.user)).await;
    let changed = format!(
        "let {:?} into the virtual host {:?}",
        shop.server.user, shop.vhost
    );
    repaired(&shop, &[&changed]).await;
    shop.remove().await.unwrap();
}

#[tokio::test]
async fn a_queue_with_other_arguments_is_left_with_its_messages() {
    let shop = Shop::made().await;
    let path = shop.path("queues", DEAD_LETTER_QUEUE);
    delete(&path).await;
    delete(&shop.path("exchanges", EXCHANGE)).await;
    let other = json!({ "durable": true, "arguments": { "x-queue-type": "quorum", "x-max-length": 7 } });
    put(&path, other.clone()).await;
    let different = shop.ensure().await.unwrap_err();
    assert!(
        matches!(different, RabbitmqError::DifferentQueue { .. }),
        "{different:?}"
    );
    assert_eq!(different.reason(), "RabbitmqQueueDiffers");
    let told = different.to_string();
    for part in [
        DEAD_LETTER_QUEUE,
        "x-max-length is 7",
        "x-delivery-limit is not set",
        "delete the queue",
    ] {
        assert!(told.contains(part), "{told}");
    }
    assert_eq!(get(&path).await["arguments"], other["arguments"]);
    assert!(
        !is_there(&shop.path("exchanges", EXCHANGE)).await,
        "nothing is written"
    );

    delete(&path).await;
    put(&path, json!({ "durable": true })).await;
    let told = shop.ensure().await.unwrap_err().to_string();
    assert!(told.contains("its type is classic, not quorum"), "{told}");
    delete(&path).await;
    shop.ensure().await.unwrap();
    shop.remove().await.unwrap();
}

#[tokio::test]
async fn an_exchange_of_another_type_is_left() {
    let shop = Shop::made().await;
    let path = shop.path("exchanges", EXCHANGE);
    delete(&path).await;
    put(&path, json!({ "type": "fanout", "durable": true })).await;
    let told = shop.ensure().await.unwrap_err();
    assert_eq!(told.reason(), "RabbitmqFailed");
    assert!(told.to_string().contains("no durable topic exchange"), "{told}");
    assert_eq!(get(&path).await["type"], Value::from("fanout"));
    delete(&path).await;
    shop.ensure().await.unwrap();
    shop.remove().await.unwrap();
}
