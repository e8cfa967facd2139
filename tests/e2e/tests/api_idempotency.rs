//! `Idempotency-Key`: a request that is sent again, because its answer was lost, is made once.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::process::ExitCode;

use e2e::{Shop, Stack, order_of, scenarios, suite};
use futures::future::try_join_all;
use serde_json::{Value, json};
use uuid::Uuid;

fn main() -> ExitCode {
    suite(
        &Stack::builder(),
        scenarios![
            an_idempotency_key_replays_the_first_answer,
            an_idempotency_key_is_one_body_s_and_one_customer_s,
            simultaneous_requests_with_one_key_make_one_order,
            stock_moves_once_by_its_key_whatever_is_sent_at_once,
        ],
    )
}

async fn an_idempotency_key_replays_the_first_answer(shop: Shop) -> anyhow::Result<()> {
    let (admin, customer) = (shop.admin().await?, shop.customer().await?);
    let product = admin.new_product("5", 5).await?;
    let key = Uuid::now_v7().to_string();
    let place = || {
        customer
            .post("/orders")
            .header("idempotency-key", &key)
            .json(order_of(&[(&product, 2)]))
    };
    let first = place().await?.is(201)?;
    assert_eq!(customer.decided(&first).await?["status"], "confirmed");
    admin
        .patch(format!("/products/{}", product["id"].as_str().unwrap()))
        .json(json!({ "price": 6 }))
        .await?
        .is(200)?;

    let again = place().await?;
    assert_eq!(
        again.is(201)?,
        first,
        "the answer of the first time, not of today"
    );
    assert_eq!(customer.get("/orders").await?.is(200)?["total"], 1);
    assert_eq!(admin.stock_of(&product).await?, 3);
    Ok(())
}

async fn an_idempotency_key_is_one_body_s_and_one_customer_s(shop: Shop) -> anyhow::Result<()> {
    let (admin, customer) = (shop.admin().await?, shop.customer().await?);
    let product = admin.new_product("5", 5).await?;
    let key = Uuid::now_v7().to_string();
    let place = |api: &e2e::Api, quantity| {
        api.post("/orders")
            .header("idempotency-key", &key)
            .json(order_of(&[(&product, quantity)]))
    };
    let first = place(&customer, 1).await?.is(201)?;
    place(&customer, 2).await?.is_problem(422)?;
    let other = place(&shop.customer().await?, 1).await?.is(201)?;
    assert_ne!(other["id"], first["id"], "keys are a customer's own");
    Ok(())
}

async fn simultaneous_requests_with_one_key_make_one_order(shop: Shop) -> anyhow::Result<()> {
    let (admin, customer) = (shop.admin().await?, shop.customer().await?);
    let product = admin.new_product("5", 50).await?;
    let key = Uuid::now_v7().to_string();
    let place = || async {
        customer
            .post("/orders")
            .header("idempotency-key", &key)
            .json(order_of(&[(&product, 1)]))
            .await
    };
    let mut placed: Option<Value> = None;
    for answer in try_join_all((0..20).map(|_| place())).await? {
        if answer.status().as_u16() == 409 {
            answer.is_problem(409)?;
            continue;
        }
        let order = answer.is(201)?;
        assert_eq!(placed.get_or_insert(order.clone()), &order);
    }
    assert!(placed.is_some(), "one of them is the first");
    assert_eq!(customer.get("/orders").await?.is(200)?["total"], 1);
    Ok(())
}

async fn stock_moves_once_by_its_key_whatever_is_sent_at_once(shop: Shop) -> anyhow::Result<()> {
    let admin = shop.admin().await?;
    let product = admin.new_product("5", 50).await?;
    let key = Uuid::now_v7().to_string();
    let path = format!("/products/{}/stock", product["id"].as_str().unwrap());
    let adjust = || async {
        let call = admin.post(path.clone()).header("idempotency-key", &key);
        call.json(json!({ "delta": -7, "reason": "broken" })).await
    };
    for answer in try_join_all((0..20).map(|_| adjust())).await? {
        if answer.status().as_u16() == 409 {
            answer.is_problem(409)?;
        } else {
            assert_eq!(answer.is(200)?["stock"], 43);
        }
    }
    assert_eq!(admin.stock_of(&product).await?, 43);
    Ok(())
}
