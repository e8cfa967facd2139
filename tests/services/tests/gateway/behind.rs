//! What the gateway makes of what the services behind it say.

use std::time::{Duration, Instant};

use chassis::config::{PostgresArgs, ServiceArgs};
use clap::Parser as _;
use fixtures::Database;
use reqwest::Response;
use serde_json::{Value, json};

use crate::{
    shop::{Shop, execute},
    support::{Gateway, is, problem},
};

/// Server-sent events as they come.
struct Events {
    answer: Response,
    read: String,
}

impl Events {
    /// The status in the next event; none at the end of the stream.
    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some((event, rest)) = self.read.split_once("\n\n") {
                let data = event.lines().find_map(|line| line.strip_prefix("data: "));
                let order: Option<Value> = data.map(|data| serde_json::from_str(data).unwrap());
                let rest = rest.to_owned();
                self.read = rest;
                match order {
                    Some(order) => return Some(order["status"].as_str().unwrap().to_owned()),
                    None => continue,
                }
            }
            let more = tokio::time::timeout(Duration::from_secs(20), self.answer.chunk());
            let more = more.await.expect("something comes in time").unwrap()?;
            self.read += std::str::from_utf8(&more).unwrap();
        }
    }
}

#[tokio::test]
async fn an_event_stream_outlives_the_replica_that_it_is_read_from() {
    let mut shop = Shop::open().await;
    let order = shop.order().await;
    let answer = shop.gateway.get(&format!("/orders/{order}/events"));
    let answer = answer.bearer_auth(&shop.token).send().await.unwrap();
    assert_eq!(
        answer.headers()["x-accel-buffering"],
        "no",
        "proxies pass on each event"
    );
    let mut events = Events {
        answer,
        read: String::new(),
    };
    assert_eq!(events.next().await.as_deref(), Some("pending"));

    for restarted in ["confirmed", "packed"] {
        let began = Instant::now();
        shop.orders.take().unwrap().stop().await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        tokio::time::sleep(Duration::from_millis(300)).await;
        shop.orders = Some(order_service::start(shop.orders_config.clone()).await.unwrap());
        // Time to ask again, and to be told what is known already.
        tokio::time::sleep(Duration::from_secs(3)).await;
        if restarted == "confirmed" {
            shop.in_orders("UPDATE orders SET status = 'confirmed'").await;
        } else {
            shop.in_orders("ALTER TABLE orders DROP CONSTRAINT orders_status_check")
                .await;
            shop.in_orders("UPDATE orders SET status = 'packed'").await;
        }
        assert_eq!(
            events.next().await.as_deref(),
            Some(restarted),
            "and nothing again"
        );
    }
    shop.in_orders("UPDATE orders SET status = 'completed'").await;
    assert_eq!(events.next().await.as_deref(), Some("completed"));
    assert_eq!(events.next().await, None);
    shop.close().await;
}

#[tokio::test]
async fn what_only_a_later_version_knows_is_shown_as_it_came() {
    let shop = Shop::open().await;
    let order = shop.order().await;
    shop.in_orders(
        "ALTER TABLE orders DROP CONSTRAINT orders_status_check, DROP CONSTRAINT orders_rejection_check,
             DROP CONSTRAINT orders_rejection_reason_check;
         UPDATE orders SET status = 'declined', rejection_reason = 'address_unknown', rejected_product = id",
    )
    .await;
    let shown = shop.get(&format!("/orders/{order}")).await;
    assert_eq!(shown["status"], "declined");
    assert_eq!(shown["rejection"]["reason"], "address_unknown");
    let listed = shop.get("/orders").await;
    assert_eq!(listed["items"], json!([shown]));
    let change = shop.gateway.call("PATCH", &format!("/orders/{order}"));
    let change = change
        .bearer_auth(&shop.token)
        .json(&json!({ "status": "cancelled" }));
    let refused = change.send().await.unwrap();
    assert_eq!(refused.status(), 409);
    assert_eq!(shop.get(&format!("/orders/{order}")).await, shown);

    let product = shop.gateway.post("/products").bearer_auth(&shop.token);
    let product = product.json(&json!({ "name": "Cup", "price": 1, "currency": "EUR", "stock": 3 }));
    let product: Value = product.send().await.unwrap().json().await.unwrap();
    execute(
        &shop.databases[1],
        "ALTER TABLE stock_movements DROP CONSTRAINT stock_movements_kind_check;
         UPDATE stock_movements SET kind = 'returned'",
    )
    .await;
    let path = format!("/products/{}/stock/movements", product["id"].as_str().unwrap());
    let movements = shop.get(&path).await;
    assert_eq!(
        (&movements["items"][0]["kind"], &movements["items"][0]["delta"]),
        (&json!("returned"), &json!(3))
    );

    execute(
        &shop.databases[0],
        "ALTER TABLE users DROP CONSTRAINT users_role_check;
         INSERT INTO users (id, email, role, password_hash)
         SELECT gen_random_uuid(), 'grace@example.com', 'auditor', password_hash FROM users",
    )
    .await;
    let users = shop.get("/users").await;
    let roles: Vec<_> = users["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|user| (user["email"].as_str().unwrap(), user["role"].as_str().unwrap()))
        .collect();
    assert!(
        roles.contains(&("grace@example.com", "auditor")) && roles.contains(&("ada@example.com", "admin")),
        "{roles:?}"
    );
    shop.close().await;
}

#[tokio::test]
async fn a_service_that_is_full_is_a_503_that_says_when_to_come_back() {
    let database = Database::create().await;
    let mut config = inventory_service::Config::try_parse_from(["inventory-service"]).unwrap();
    config.service = ServiceArgs {
        max_concurrent_calls: 1,
        ..ServiceArgs::loopback()
    };
    config.postgres = PostgresArgs::from_url(database.url());
    let inventory = inventory_service::start(config).await.unwrap();
    let url = format!("--inventory-service-url=http://{}", inventory.addr());
    let gateway = Gateway::start(&[&url]).await;

    let mut locked = database.pool().begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE products")
        .execute(&mut *locked)
        .await
        .unwrap();
    let waiting = tokio::spawn(gateway.get("/products").send());
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while sqlx::query_scalar::<_, i64>(waits)
        .fetch_one(database.pool())
        .await
        .unwrap()
        == 0
    {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let refused = gateway.get("/products").send().await.unwrap();
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(problem(refused).await, is(503, "overloaded"));
    locked.rollback().await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().status(), 200);
    assert_eq!(gateway.get("/products").send().await.unwrap().status(), 200);
    gateway.stop().await;
    inventory.stop().await.unwrap();
    database.drop().await;
}

#[tokio::test]
async fn the_largest_pages_are_answered() {
    let shop = Shop::open().await;
    shop.in_orders(
        "INSERT INTO orders (id, user_id, status, currency_code, total_minor_units, created_at, updated_at)
         SELECT gen_random_uuid(), gen_random_uuid(), 'pending', 'EUR', 1, now(), now() FROM generate_series(1, 100);
         INSERT INTO order_lines (order_id, line_no, product_id, product_name, quantity, unit_price_minor_units)
         SELECT id, line_no, gen_random_uuid(), repeat('😀', 200), 1, 1 FROM orders, generate_series(1, 100) AS line_no",
    )
    .await;
    execute(
        &shop.databases[1],
        "INSERT INTO products (id, sku, name, description, price_minor_units, currency_code, category, image_url)
         SELECT gen_random_uuid(), n::text, repeat('😀', 200), repeat('😀', 10000), 1, 'EUR', repeat('😀', 100),
                'https://example.com/' || repeat('😀', 1980)
         FROM generate_series(1, 100) AS n;
         INSERT INTO stock (product_id, available) SELECT id, 1 FROM products",
    )
    .await;
    for path in ["/orders?page_size=100", "/products?page_size=100"] {
        let page = shop.get(path).await;
        assert_eq!(page["items"].as_array().unwrap().len(), 100, "{path}");
    }
    shop.close().await;
}
