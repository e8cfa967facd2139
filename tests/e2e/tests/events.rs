//! While a shop does everything that it can do, every message that it really publishes is as `docs/asyncapi.yaml` has
//! it, and every type of the document is seen.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};

use e2e::{Api, AsyncApi, RabbitMq, Service, Session, Shop, Stack, unique_email};
use lapin::types::ShortString;
use proto::event::{CONTENT_TYPE, EventType};
use serde_json::{Value, json};

const PASSWORD: &str = "correct horse";
const NEW_PASSWORD: &str = "battery staple";

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_is_published_is_documented_and_everything_documented_is_published()
-> anyhow::Result<()> {
    let stack = Stack::builder()
        .with_env(Service::Inventory, "EMIT_STOCK_CHANGED", "true")
        .start()
        .await?;
    let rabbitmq = stack.rabbitmq().await?;
    let queue = rabbitmq.tap("#").await?;
    let shop = stack.shop();
    let admin = shop.admin().await?;

    let email = unique_email();
    let mut expected = an_account_changes(shop, &admin, &email).await?;
    expected.extend(a_product_changes(&admin).await?);
    let (kettle, orders) = orders_are_decided(shop, &admin).await?;
    expected.extend(orders);
    let kinds: BTreeSet<&str> = expected.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(
        kinds,
        BTreeSet::from(EventType::ALL.map(EventType::as_str)),
        "the test does everything"
    );

    let published = read_until(&rabbitmq, &queue, expected).await?;
    for event in &published {
        let text = event.to_string();
        for secret in [PASSWORD, NEW_PASSWORD, &email, "Ada"] {
            assert!(!text.contains(secret), "{event} tells of {secret:?}");
        }
    }
    the_stock_is_the_sum_of_its_changes(&published, &kettle, admin.stock_of(&kettle).await?);
    stack.stop().await
}

/// What is to be seen: the type and the subject.
type Expected = BTreeSet<(&'static str, String)>;

async fn an_account_changes(shop: &Shop, admin: &Api, email: &str) -> anyhow::Result<Expected> {
    let Session { api, user, .. } = shop.register(email, PASSWORD).await?;
    let change = json!({ "name": "Ada", "new_password": NEW_PASSWORD, "current_password": PASSWORD });
    api.put("/users/me").json(change).await?.is(200)?;
    for change in [
        json!({ "role": "admin" }),
        json!({ "role": "user", "disabled": true }),
    ] {
        let path = format!("/users/{}", id(&user));
        admin.patch(path).json(change).await?.is(200)?;
    }
    let kinds = ["user.registered", "user.updated", "user.password_changed"];
    Ok(kinds.map(|kind| (kind, id(&user))).into())
}

async fn a_product_changes(admin: &Api) -> anyhow::Result<Expected> {
    let product = admin.new_product("10.99", 3).await?;
    let path = format!("/products/{}", id(&product));
    let change = json!({ "price": 12.5, "category": "sale" });
    admin.patch(&path).json(change).await?.is(200)?;
    let adjustment = json!({ "delta": -1, "reason": "broken" });
    admin
        .post(format!("{path}/stock"))
        .json(adjustment)
        .await?
        .is(200)?;
    admin.delete(&path).await?.is(200)?;
    let kinds = [
        "product.created",
        "product.updated",
        "stock.changed",
        "product.deleted",
    ];
    Ok(kinds.map(|kind| (kind, id(&product))).into())
}

/// Also the product that the orders are of.
async fn orders_are_decided(shop: &Shop, admin: &Api) -> anyhow::Result<(Value, Expected)> {
    let customer = shop.customer().await?;
    let kettle = admin.new_product("10.99", 10).await?;
    let place = async |quantity: i64| {
        let order = customer.place_order(&[(&kettle, quantity)]).await?;
        customer.decided(&order).await
    };
    let (completed, cancelled, rejected) = (place(3).await?, place(4).await?, place(100).await?);
    admin.set_status(&completed, "completed").await?.is(200)?;
    customer.set_status(&cancelled, "cancelled").await?.is(200)?;
    let mut expected = Expected::from([
        ("order.confirmed", id(&completed)),
        ("order.completed", id(&completed)),
        ("order.cancelled", id(&cancelled)),
        ("order.rejected", id(&rejected)),
    ]);
    expected.extend([&completed, &cancelled, &rejected].map(|order| ("order.created", id(order))));
    e2e::wait_until(
        "the stock is back",
        || admin.stock_of(&kettle),
        |stock| *stock == 7,
    )
    .await?;
    Ok((kettle, expected))
}

/// Reads until all have come, and the stock of whatever was cancelled is back; each is checked.
async fn read_until(rabbitmq: &RabbitMq, queue: &str, mut expected: Expected) -> anyhow::Result<Vec<Value>> {
    let api = AsyncApi::read()?;
    let mut published = Vec::new();
    let mut is_back = false;
    while !expected.is_empty() || !is_back {
        let message = rabbitmq.next(queue).await?;
        let event: Value = serde_json::from_slice(&message.data)?;
        api.check(&event)?;
        let kind = text(&event["type"]);
        assert_eq!(message.routing_key.as_str(), kind);
        let properties = &message.properties;
        let content_type = properties.content_type().as_ref().map(ShortString::as_str);
        assert_eq!(content_type, Some(CONTENT_TYPE));
        assert_eq!(*properties.delivery_mode(), Some(2), "{kind} is persistent");
        is_back |= event["data"]["kind"] == "release";
        expected.retain(|(wanted, subject)| (*wanted, subject.as_str()) != (kind, text(&event["subject"])));
        published.push(event);
    }
    Ok(published)
}

/// Of each event one: it may come again.
fn the_stock_is_the_sum_of_its_changes(published: &[Value], product: &Value, stock: i64) {
    let changes = published
        .iter()
        .filter(|event| event["type"] == "stock.changed" && event["subject"] == product["id"])
        .map(|event| (text(&event["id"]), &event["data"]));
    let changes: BTreeMap<&str, &Value> = changes.collect();
    let number = |value: &Value| value.as_i64().expect("a number");
    assert_eq!(
        changes.values().map(|data| number(&data["delta"])).sum::<i64>(),
        stock,
        "{changes:?}"
    );
    // Their ids are UUIDv7: they sort as they were made.
    let last = changes.values().next_back().expect("there are some");
    assert_eq!(number(&last["available"]), stock, "{changes:?}");
}

fn id(resource: &Value) -> String {
    text(&resource["id"]).to_owned()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}
