//! What the gateway makes of what the services behind it say: real ones, on databases of their own.

use std::time::{Duration, Instant};

use chassis::{
    Running,
    config::{PostgresArgs, ServiceArgs},
};
use clap::Parser as _;
use fixtures::Database;
use reqwest::Response;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Gateway, is, problem};

/// The gateway with three services behind it, and an admin's token.
pub(crate) struct Shop {
    pub(crate) gateway: Gateway,
    users: Running,
    inventory: Running,
    orders: Option<Running>,
    orders_config: order_service::Config,
    databases: [Database; 3],
    pub(crate) token: String,
    admin: Uuid,
}

impl Shop {
    async fn open() -> Self {
        Self::open_with(&[]).await
    }

    /// With further flags of the gateway.
    pub(crate) async fn open_with(flags: &[&str]) -> Self {
        let databases = [
            Database::create().await,
            Database::create().await,
            Database::create().await,
        ];
        let mut config = user_service::Config::try_parse_from(["user-service"]).unwrap();
        config.service = ServiceArgs::loopback();
        config.postgres = PostgresArgs::from_url(databases[0].url());
        let users = user_service::start(config).await.unwrap();
        let mut config = inventory_service::Config::try_parse_from(["inventory-service"]).unwrap();
        config.service = ServiceArgs::loopback();
        config.postgres = PostgresArgs::from_url(databases[1].url());
        let inventory = inventory_service::start(config).await.unwrap();
        let mut orders_config = order_service::Config::try_parse_from(["order-service"]).unwrap();
        orders_config.service = ServiceArgs::loopback();
        orders_config.postgres = PostgresArgs::from_url(databases[2].url());
        let orders = order_service::start(orders_config.clone()).await.unwrap();
        // Where it is started again.
        orders_config.service.listen_addr = Some(orders.addr());
        let services = [
            format!("--user-service-url=http://{}", users.addr()),
            format!("--inventory-service-url=http://{}", inventory.addr()),
            format!("--order-service-url=http://{}", orders.addr()),
            "--rate-limit=off".to_owned(),
        ];
        let flags = flags.iter().copied();
        let flags: Vec<&str> = services.iter().map(String::as_str).chain(flags).collect();
        let gateway = Gateway::start(&flags).await;
        while gateway.get("/readyz").send().await.unwrap().status() != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let account = json!({ "email": "ada@example.com", "password": "correct horse" });
        let registered = gateway
            .post("/auth/register")
            .json(&account)
            .send()
            .await
            .unwrap();
        assert_eq!(registered.status(), 201);
        execute(&databases[0], "UPDATE users SET role = 'admin'").await;
        let login = gateway.post("/auth/login").json(&account).send().await.unwrap();
        let login: Value = login.json().await.unwrap();
        let admin = sqlx::query_scalar("SELECT id FROM users")
            .fetch_one(databases[0].pool())
            .await
            .unwrap();
        Self {
            token: login["token"].as_str().unwrap().to_owned(),
            gateway,
            users,
            inventory,
            orders: Some(orders),
            orders_config,
            databases,
            admin,
        }
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self
            .gateway
            .get(path)
            .bearer_auth(&self.token)
            .send()
            .await
            .unwrap();
        let status = answer.status();
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    /// A pending order of the admin's.
    async fn order(&self) -> Uuid {
        sqlx::query_scalar(
            "INSERT INTO orders (id, user_id, status, currency_code, total_minor_units, created_at, updated_at)
             VALUES (gen_random_uuid(), $1, 'pending', 'EUR', 1, now(), now()) RETURNING id",
        )
        .bind(self.admin)
        .fetch_one(self.databases[2].pool())
        .await
        .unwrap()
    }

    async fn in_orders(&self, statement: &'static str) {
        execute(&self.databases[2], statement).await;
    }

    pub(crate) async fn close(self) {
        self.gateway.stop().await;
        for running in [self.users, self.inventory].into_iter().chain(self.orders) {
            running.stop().await.unwrap();
        }
        for database in self.databases {
            database.drop().await;
        }
    }
}

async fn execute(database: &Database, statement: &'static str) {
    sqlx::raw_sql(statement).execute(database.pool()).await.unwrap();
}

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

#[tokio::test]
async fn null_clears_what_may_be_missing_and_is_refused_elsewhere() {
    let shop = Shop::open().await;
    let call = async |method: &str, path: &str, body: Value| {
        let call = shop.gateway.call(method, path).bearer_auth(&shop.token);
        let answer = call.json(&body).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let cup = json!({
        "name": "Cup", "price": 1, "currency": "EUR", "category": "cups", "description": "white", "sku": null,
        "image_url": "https://images.example/cup.png",
    });
    let (status, product) = call("POST", "/products", cup).await;
    assert_eq!(status, 201, "{product}");
    let path = format!("/products/{}", product["id"].as_str().unwrap());
    let change = json!({ "category": null, "description": null, "image_url": null });
    let (status, cleared) = call("PATCH", &path, change).await;
    assert_eq!(status, 200, "{cleared}");
    assert_eq!(
        (
            &cleared["category"],
            &cleared["description"],
            &cleared["image_url"]
        ),
        (&Value::Null, &json!(""), &Value::Null)
    );
    assert_eq!(cleared["name"], "Cup");
    let (status, named) = call("PUT", "/users/me", json!({ "name": "Ada" })).await;
    assert_eq!((status, &named["name"]), (200, &json!("Ada")));
    let (status, cleared) = call("PUT", "/users/me", json!({ "name": null })).await;
    assert_eq!((status, &cleared["name"]), (200, &json!("")));

    let user = format!("/users/{}", shop.admin);
    for (method, path, field) in [
        ("PATCH", path.as_str(), "name"),
        ("PATCH", &path, "price"),
        ("PATCH", &path, "currency"),
        ("PATCH", &path, "sku"),
        ("POST", "/products", "stock"),
        ("PATCH", &user, "role"),
        ("PATCH", &user, "disabled"),
        ("PUT", "/users/me", "new_password"),
    ] {
        let (status, refused) = call(method, path, json!({ field: null })).await;
        assert_eq!(status, 422, "{method} {path} {field}: {refused}");
        let errors = refused["errors"].as_array().unwrap();
        let told = errors.iter().find(|error| error["field"] == field).unwrap();
        assert!(told["detail"].as_str().unwrap().contains("not"), "{told}");
    }
    shop.close().await;
}

/// The rules of `requests.rs`, on what only an admin may ask for.
#[tokio::test]
async fn every_operation_for_admins_refuses_what_it_does_not_know() {
    let shop = Shop::open().await;
    let document = shop.get("/openapi.json").await;
    let mut operations = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let at = path.replace("{id}", &Uuid::now_v7().to_string());
        for (method, operation) in item.as_object().unwrap() {
            if !operation["security"].is_array() {
                continue;
            }
            operations += 1;
            let call = |at: &str, media_type: &str, body: &'static str| {
                let call = shop.gateway.call(&method.to_uppercase(), at);
                let call = call.bearer_auth(&shop.token).header("content-type", media_type);
                call.body(body).send()
            };
            let fields = async |answer: Response| {
                let answer: Value = answer.json().await.unwrap();
                assert_eq!(answer["status"], 422, "{method} {path}: {answer}");
                answer["errors"].to_string()
            };
            let unknown = call(&format!("{at}?colour=red&size=1"), "application/json", "{}");
            let unknown = fields(unknown.await.unwrap()).await;
            assert!(
                unknown.contains("colour") && unknown.contains("size"),
                "{method} {path}: {unknown}"
            );
            let garbled = call(&format!("{at}?%ff=1"), "application/json", "{}")
                .await
                .unwrap();
            assert_eq!(
                problem(garbled).await,
                is(400, "malformed-query"),
                "{method} {path}"
            );
            if operation["requestBody"]["required"] == true {
                let other = call(&at, "text/plain", "{}").await.unwrap();
                assert_eq!(
                    problem(other).await,
                    is(415, "unsupported-media-type"),
                    "{method} {path}"
                );
                let unknown = call(&at, "application/json", r#"{"colour": 1, "size": [{}]}"#);
                let unknown = fields(unknown.await.unwrap()).await;
                assert!(
                    unknown.contains("colour") && unknown.contains("size"),
                    "{method} {path}: {unknown}"
                );
            }
        }
    }
    assert!(operations >= 12, "{operations}");
    shop.close().await;
}

impl Shop {
    async fn post_with_key(&self, path: &str, key: &str, body: &Value) -> Response {
        let request = self.gateway.post(path).bearer_auth(&self.token);
        request
            .header("idempotency-key", key)
            .json(body)
            .send()
            .await
            .unwrap()
    }
}

#[tokio::test]
async fn products_and_movements_are_made_once_by_their_key() {
    let shop = Shop::open().await;
    let product = json!({ "name": "Cup", "price": 5, "stock": 3 });
    let first = shop.post_with_key("/products", "k", &product).await;
    assert_eq!(first.status(), 201);
    assert!(!first.headers().contains_key("idempotency-replayed"));
    let first: Value = first.json().await.unwrap();
    // The same, however it is written.
    let written = json!({ "stock": 3.0, "price": 5.00, "currency": "USD", "name": "Cup" });
    let again = shop.post_with_key("/products", "k", &written).await;
    assert_eq!(
        (
            again.status().as_u16(),
            &again.headers()["idempotency-replayed"] == "true"
        ),
        (201, true)
    );
    assert_eq!(again.json::<Value>().await.unwrap(), first);
    let other = json!({ "name": "Mug", "price": 5, "stock": 3 });
    let other = shop.post_with_key("/products", "k", &other).await;
    assert_eq!(problem(other).await, is(422, "idempotency-key-reused"));
    assert_eq!(shop.get("/products").await["total"], 1);

    let stock = format!("/products/{}/stock", first["id"].as_str().unwrap());
    let movement = json!({ "delta": -2, "reason": "broken" });
    for _ in 0..3 {
        let moved = shop.post_with_key(&stock, "m", &movement).await;
        assert_eq!(moved.status(), 200);
        assert_eq!(moved.json::<Value>().await.unwrap()["stock"], 1);
    }
    let another_path = shop.post_with_key(&stock, "k", &movement).await;
    assert_eq!(problem(another_path).await, is(422, "idempotency-key-reused"));
    shop.close().await;
}

#[tokio::test]
async fn lists_are_followed_by_their_cursor_over_http() {
    let shop = Shop::open().await;
    for _ in 0..5 {
        shop.order().await;
    }
    for name in ["Cup", "Mug", "Pot"] {
        shop.post_with_key("/products", name, &json!({ "name": name, "price": 5 }))
            .await;
    }
    for (list, count) in [
        ("/orders?page_size=2", 5),
        ("/products?page_size=2&sort=-name", 3),
        ("/users?page_size=2", 1),
    ] {
        let mut page = shop.get(list).await;
        let mut ids = Vec::new();
        loop {
            ids.extend(
                page["items"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|item| item["id"].clone()),
            );
            assert_eq!(page["total"], count);
            let Some(next) = page["next"].as_str() else { break };
            page = shop.get(&format!("{list}&cursor={next}")).await;
        }
        ids.dedup();
        assert_eq!(ids.len(), count, "{list}");
    }
    let next = shop.get("/products?page_size=2").await["next"]
        .as_str()
        .unwrap()
        .to_owned();
    let refused = async |path: String| {
        let answer = shop
            .gateway
            .get(&path)
            .bearer_auth(&shop.token)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 422, "{path}");
        let problem: Value = answer.json().await.unwrap();
        problem["errors"][0].clone()
    };
    assert_eq!(
        refused(format!("/products?page=2&cursor={next}")).await["field"],
        "page"
    );
    let other = refused(format!("/products?sort=price&cursor={next}")).await;
    assert!(
        other["field"] == "cursor" && other["detail"].as_str().unwrap().contains("another sort"),
        "{other}"
    );
    assert_eq!(refused("/orders?cursor=none".to_owned()).await["field"], "cursor");
    assert_eq!(
        refused("/orders?created_from=yesterday".to_owned()).await["field"],
        "created_from"
    );
    assert_eq!(
        shop.get("/orders?created_from=1970-01-01T00:00:00%2B02:00").await["total"],
        5
    );
    assert_eq!(
        shop.get("/orders?created_to=2020-01-01T00:00:00Z").await["total"],
        0
    );
    shop.close().await;
}
