//! Paying less, getting more, and getting what is not there.

use anyhow::{Context as _, ensure};
use attack::Target;
use futures::future::try_join_all;
use serde_json::{Value, json};
use shop_client::order_of;
use uuid::Uuid;

/// Quantities and prices that are no quantities and prices.
pub(super) async fn amounts_that_are_none(target: Target) -> anyhow::Result<()> {
    let product = target.product(10).await?;
    let (_, session) = target.customer().await?;
    for quantity in [
        "0",
        "-1",
        "1.5",
        "1e9",
        "10001",
        "9223372036854775807",
        "9223372036854775808",
        "1e400",
        "\"1\"",
        "null",
        "true",
        "[1]",
    ] {
        let id = &product["id"];
        let body = format!("{{\"items\": [{{\"product_id\": {id}, \"quantity\": {quantity}}}]}}");
        let answer = session.api.post("/orders").body("application/json", body).await?;
        ensure!(
            matches!(answer.status().as_u16(), 400 | 422),
            "{quantity}: {answer}"
        );
    }
    // A price is the shop's, whatever the order says.
    let mut order = order_of(&[(&product, 1)]);
    order["items"][0]["price"] = json!(0);
    let answer = session.api.post("/orders").json(order).await?;
    answer.is_problem(422)?;
    // The same product on many lines is one line of the sum, and the sum is bounded.
    let lines: Vec<(&Value, i64)> = vec![(&product, 10_000); 2];
    session
        .api
        .post("/orders")
        .json(order_of(&lines))
        .await?
        .is_problem(422)?;
    session
        .api
        .post("/orders")
        .json(json!({ "items": [] }))
        .await?
        .is_problem(422)?;
    let too_many: Vec<Value> = (0..101)
        .map(|_| json!({ "product_id": Uuid::now_v7(), "quantity": 1 }))
        .collect();
    session
        .api
        .post("/orders")
        .json(json!({ "items": too_many }))
        .await?
        .is_problem(422)?;
    let admin = target.admin().await?;
    for price in [
        "-1",
        "0.001",
        "1e400",
        "92233720368547758.08",
        "\"\"",
        "NaN",
        "1e-400",
    ] {
        let body = format!("{{\"name\": \"Kettle\", \"currency\": \"USD\", \"price\": {price}}}");
        let answer = admin.post("/products").body("application/json", body).await?;
        ensure!(matches!(answer.status().as_u16(), 400 | 422), "{price}: {answer}");
    }
    Ok(())
}

/// One key is one order, however often and at once it comes; and one account's key is not another's.
pub(super) async fn one_order_twice(target: Target) -> anyhow::Result<()> {
    let product = target.product(100).await?;
    let ((_, one), (_, other)) = (target.customer().await?, target.customer().await?);
    let key = Uuid::now_v7().to_string();
    let place = |session: &shop_client::Session, quantity| {
        session
            .api
            .post("/orders")
            .json(order_of(&[(&product, quantity)]))
            .header("idempotency-key", key.clone())
    };
    let answers = try_join_all((0..20).map(|_| async { place(&one, 1).await })).await?;
    let mut ids: Vec<Value> = Vec::new();
    for answer in &answers {
        if answer.status().as_u16() != 409 {
            ids.push(answer.is(201)?["id"].clone());
        }
    }
    ids.dedup();
    ensure!(ids.len() == 1, "{ids:?}");
    place(&one, 2).await?.is_problem(422)?;
    let others = place(&other, 1).await?.is(201)?;
    ensure!(!ids.contains(&others["id"]), "another account's order");
    let mine = one.api.get("/orders").await?.is(200)?;
    ensure!(mine["total"] == 1, "{mine}");
    Ok(())
}

/// A delivery whose answer was lost is counted once, and a product is made once, however often they are told.
pub(super) async fn one_delivery_twice(target: Target) -> anyhow::Result<()> {
    let admin = target.admin().await?;
    let product = admin.new_product("12.50", 5).await?;
    let path = format!("/products/{}/stock", product["id"].as_str().context("an id")?);
    let key = Uuid::now_v7().to_string();
    for _ in 0..3 {
        let delivery = admin
            .post(&path)
            .json(json!({ "delta": 4, "reason": "delivery" }));
        delivery.header("idempotency-key", key.clone()).await?.is(200)?;
    }
    let stock = admin.stock_of(&product).await?;
    ensure!(stock == 9, "{stock}");
    let mut made = Vec::new();
    for _ in 0..3 {
        let new = admin
            .post("/products")
            .json(json!({ "name": "Kettle", "price": 1 }));
        let new = new.header("idempotency-key", format!("{key}-product")).await?;
        made.push(new.is(201)?["id"].clone());
    }
    made.dedup();
    ensure!(made.len() == 1, "{made:?}");
    // Where a key is not honoured it is refused rather than passed over.
    let log_in = target.from_elsewhere()?.anybody().post("/auth/login");
    let log_in = log_in.json(json!({ "email": "a@shop.example", "password": "wrong password" }));
    log_in.header("idempotency-key", key).await?.is_problem(422)?;
    Ok(())
}

/// Many who want the last one at once: one of them gets it, and stock is never less than nothing.
pub(super) async fn stock_that_is_not_there(target: Target) -> anyhow::Result<()> {
    let product = target.product(7).await?;
    let (_, session) = target.customer().await?;
    let line = [(&product, 1)];
    let orders = try_join_all((0..30).map(|_| session.api.place_order(&line))).await?;
    let mut confirmed = 0;
    for order in &orders {
        let order = session.api.decided(order).await?;
        confirmed += usize::from(order["status"] == "confirmed");
    }
    let stock = session.api.stock_of(&product).await?;
    ensure!(
        confirmed == 7 && stock == 0,
        "{confirmed} confirmed, {stock} left"
    );
    // Cancelling the same order many times at once gives its unit back once.
    let of_it = orders
        .iter()
        .find(|order| order["id"].is_string())
        .context("an order")?;
    let cancelled = try_join_all((0..10).map(|_| session.api.set_status(of_it, "cancelled"))).await?;
    ensure!(
        cancelled.iter().all(|answer| answer.status().as_u16() < 500),
        "{cancelled:?}"
    );
    let stock = shop_client::wait_until(
        "the unit is back",
        || session.api.stock_of(&product),
        |stock| *stock > 0,
    );
    let is_confirmed = session.api.decided(of_it).await?["status"] == "cancelled";
    if is_confirmed {
        ensure!(stock.await? == 1, "more than one unit came back");
    }
    Ok(())
}
