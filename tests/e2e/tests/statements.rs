//! What a statement reads does not grow with what is in the tables, also where its plan was made while they were empty and
//! nobody has analyzed them since: a shop that grew fast.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use e2e::{Api, Service, Shop, Stack, wait_until};
use fixtures::Database;
use serde_json::Value;
use sqlx::Executor as _;

/// Of 8 KiB. An order's row, lines, event and all their index entries are some forty; the smallest index of what is added
/// below has twice as many as this.
const MOST_PAGES: i64 = 150;
const ROWS: i32 = 50_000;
const LATER: &str = "2100-01-01T00:00:00Z";

#[tokio::test(flavor = "multi_thread")]
async fn no_statement_of_an_orders_way_reads_more_when_the_tables_are_full() -> anyhow::Result<()> {
    let stack = Stack::builder().start().await?;
    let (admin, customer) = (stack.shop().admin().await?, stack.shop().customer().await?);
    let inventory = stack.database(Service::Inventory).expect("it has one");
    let orders = stack.database(Service::Order).expect("it has one");
    leave_alone(inventory, ["products", "stock"]).await?;
    leave_alone(orders, ["orders", "order_lines"]).await?;
    let kettle = admin.new_product("10.99", 1_000).await?;
    everything(stack.shop(), &admin, &customer, &kettle).await?;

    fill_products(inventory).await?;
    fill_orders(orders).await?;
    orders
        .pool()
        .execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        .await?;
    let names = [inventory, orders].map(Database::name);
    sqlx::query("SELECT pg_stat_statements_reset(0, oid, 0) FROM pg_database WHERE datname = ANY($1)")
        .bind(names.as_slice())
        .execute(orders.pool())
        .await?;
    everything(stack.shop(), &admin, &customer, &kettle).await?;

    let statements: Vec<(String, i64, i64)> = sqlx::query_as(
        "SELECT query, calls, (shared_blks_hit + shared_blks_read) / calls
         FROM pg_stat_statements JOIN pg_database ON pg_database.oid = dbid
         WHERE datname = ANY($1) AND calls > 0",
    )
    .bind(names.as_slice())
    .fetch_all(orders.pool())
    .await?;
    for part in [
        "INSERT INTO orders",
        "FROM unnest($1::uuid[]) WITH ORDINALITY AS asked",
        "UPDATE orders",
        "INSERT INTO idempotency_keys",
        "DELETE FROM outbox_events",
        "FROM products",
        "FROM order_lines",
        "INSERT INTO allocations",
        "UPDATE stock",
        "INSERT INTO audit_records",
    ] {
        assert!(
            statements
                .iter()
                .any(|(query, calls, _)| query.contains(part) && *calls >= 5),
            "{part} was seen"
        );
    }
    let costly: Vec<_> = statements
        .iter()
        .filter(|(.., pages)| *pages > MOST_PAGES)
        .collect();
    assert!(costly.is_empty(), "{costly:#?}");
    stack.stop().await
}

/// More often than a session plans a statement anew.
async fn everything(shop: &Shop, admin: &Api, customer: &Api, kettle: &Value) -> anyhow::Result<()> {
    for turn in 0..8 {
        let order = customer.place_order(&[(kettle, 1)]).await?;
        // Of one who is not known, what is open is read.
        shop.customer().await?.place_order(&[(kettle, 1)]).await?;
        let keyed = customer
            .post("/orders")
            .header(
                "Idempotency-Key",
                format!("{}-{turn}", order["id"].as_str().expect("an id")),
            )
            .json(e2e::order_of(&[(kettle, 1)]))
            .await?
            .is(201)?;
        customer.decided(&order).await?;
        let keyed = customer.decided(&keyed).await?;
        customer.set_status(&keyed, "cancelled").await?.is(200)?;
        let first = customer.get("/orders?page_size=1").await?.is(200)?;
        let next = first["next"].as_str().expect("there are two");
        for list in [
            "/orders".to_owned(),
            format!("/orders?cursor={next}"),
            format!("/orders?status=confirmed&created_from=2020-01-01T00:00:00Z&created_to={LATER}"),
        ] {
            customer.get(list).await?.is(200)?;
        }
        let id = kettle["id"].as_str().expect("an id");
        admin
            .get(format!("/products/{id}/stock/movements?cursor="))
            .await?
            .is(200)?;
        customer
            .get(format!("/products/{}", kettle["id"].as_str().expect("an id")))
            .await?
            .is(200)?;
        let stock = admin.stock_of(kettle).await?;
        wait_until(
            "its stock is back",
            || admin.stock_of(kettle),
            |now| *now >= stock,
        )
        .await?;
    }
    Ok(())
}

/// Nobody is to analyze what is added: that would have all plans made anew, as this has.
async fn leave_alone(database: &Database, tables: [&str; 2]) -> anyhow::Result<()> {
    for table in tables {
        let alter = format!("ALTER TABLE {table} SET (autovacuum_enabled = off)");
        sqlx::query(sqlx::AssertSqlSafe(alter))
            .execute(database.pool())
            .await?;
    }
    Ok(())
}

async fn fill_products(inventory: &Database) -> anyhow::Result<()> {
    sqlx::query(
        "WITH added AS (
             INSERT INTO products (id, sku, name, description, price_minor_units, currency_code, category, image_url)
             SELECT gen_random_uuid(), 'B-' || n, 'Bulk ' || n, '', 100, 'EUR', '', '' FROM generate_series(1, $1) AS n
             RETURNING id
         )
         INSERT INTO stock (product_id, available) SELECT id, 10 FROM added",
    )
    .bind(ROWS)
    .execute(inventory.pool())
    .await?;
    Ok(())
}

/// Each was pending, which the index by status remembers for a while.
async fn fill_orders(orders: &Database) -> anyhow::Result<()> {
    sqlx::query(
        "INSERT INTO orders (id, user_id, status, currency_code, total_minor_units, created_at, updated_at)
         SELECT gen_random_uuid(), gen_random_uuid(), 'pending', 'EUR', 100, now(), now() FROM generate_series(1, $1)",
    )
    .bind(ROWS)
    .execute(orders.pool())
    .await?;
    orders
        .pool()
        .execute("UPDATE orders SET status = 'confirmed', decided_at = now() WHERE status = 'pending'")
        .await?;
    Ok(())
}
