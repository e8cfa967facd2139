//! The flow that the shop is there for: an order takes stock, by way of RabbitMQ, and a cancelled one gives it back.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use e2e::{Api, Ledger, Shop, Stack, wait_until};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn an_order_goes_from_the_gateway_through_rabbitmq_to_the_stock_and_back() -> anyhow::Result<()> {
    let stack = Stack::builder().start().await?;
    let shop = stack.shop();
    let (admin, customer) = (shop.admin().await?, shop.customer().await?);

    an_order_is_confirmed_and_its_stock_taken(&admin, &customer).await?;
    an_order_of_more_than_there_is_is_rejected_whole(&admin, &customer).await?;
    a_cancelled_order_gives_its_stock_back(&admin, &customer).await?;
    a_completed_order_keeps_its_stock(&admin, &customer).await?;
    nothing_is_left_over(&stack, shop, &admin).await?;
    stack.stop().await
}

async fn an_order_is_confirmed_and_its_stock_taken(admin: &Api, customer: &Api) -> anyhow::Result<()> {
    let kettle = admin.new_product("10.99", 10).await?;
    let teapot = admin.new_product("0.01", 5).await?;

    let order = customer.place_order(&[(&kettle, 3), (&teapot, 5)]).await?;
    assert_eq!(order["status"], "pending");
    assert_eq!(order["total"], json!(33.02), "{order}");

    let order = customer.decided(&order).await?;
    assert_eq!(order["status"], "confirmed", "{order}");
    assert_eq!(
        (admin.stock_of(&kettle).await?, admin.stock_of(&teapot).await?),
        (7, 0)
    );
    let ledger = Ledger::read(admin, &kettle).await?;
    assert_eq!(
        (ledger.sum, ledger.allocated.get(text(&order["id"]))),
        (7, Some(&3))
    );
    Ok(())
}

async fn an_order_of_more_than_there_is_is_rejected_whole(admin: &Api, customer: &Api) -> anyhow::Result<()> {
    let plenty = admin.new_product("5", 10).await?;
    let scarce = admin.new_product("5", 1).await?;

    let order = customer
        .decided(&customer.place_order(&[(&plenty, 4), (&scarce, 2)]).await?)
        .await?;
    assert_eq!(order["status"], "rejected", "{order}");
    assert_eq!(order["rejection"]["reason"], "insufficient_stock", "{order}");
    assert_eq!(order["rejection"]["product_id"], scarce["id"], "{order}");
    assert_eq!(
        (admin.stock_of(&plenty).await?, admin.stock_of(&scarce).await?),
        (10, 1)
    );

    let none = admin.new_product("5", 0).await?;
    let order = customer
        .place_order(&[(&none, 1), (&plenty, 4), (&scarce, 2)])
        .await?;
    let order = customer.decided(&order).await?;
    let rejection = &order["rejection"];
    assert_eq!(rejection["product_id"], none["id"], "{order}");
    let short = |product: &Value| json!({"product_id": product["id"], "reason": "insufficient_stock"});
    assert_eq!(
        rejection["items"],
        json!([short(&none), short(&scarce)]),
        "{order}"
    );
    assert_eq!(admin.stock_of(&plenty).await?, 10);

    let gone = admin.new_product("5", 10).await?;
    let order = customer.place_order(&[(&gone, 1)]).await?;
    let order = customer.decided(&order).await?;
    assert_eq!(order["status"], "confirmed", "{order}");
    Ok(())
}

async fn a_cancelled_order_gives_its_stock_back(admin: &Api, customer: &Api) -> anyhow::Result<()> {
    let product = admin.new_product("7.50", 9).await?;
    let confirmed = customer
        .decided(&customer.place_order(&[(&product, 4)]).await?)
        .await?;
    assert_eq!(admin.stock_of(&product).await?, 5);

    let cancelled = customer.set_status(&confirmed, "cancelled").await?.is(200)?;
    assert_eq!(cancelled["status"], "cancelled");
    wait_until(
        "the stock is back",
        || admin.stock_of(&product),
        |stock| *stock == 9,
    )
    .await?;
    let ledger = Ledger::read(admin, &product).await?;
    assert_eq!(
        (ledger.sum, ledger.released.get(text(&confirmed["id"]))),
        (9, Some(&4))
    );

    // One that is cancelled before it is decided ends with all of its stock back as well.
    let hasty = customer.place_order(&[(&product, 2)]).await?;
    let hasty = customer.set_status(&hasty, "cancelled").await?.is(200)?;
    assert_eq!(hasty["status"], "cancelled");
    let later = customer
        .decided(&customer.place_order(&[(&product, 1)]).await?)
        .await?;
    assert_eq!(later["status"], "confirmed");
    wait_until(
        "only the later order holds stock",
        || admin.stock_of(&product),
        |stock| *stock == 8,
    )
    .await?;
    let path = format!("/orders/{}", text(&hasty["id"]));
    assert_eq!(customer.get(path).await?.is(200)?["status"], "cancelled");
    Ok(())
}

async fn a_completed_order_keeps_its_stock(admin: &Api, customer: &Api) -> anyhow::Result<()> {
    let product = admin.new_product("7.50", 9).await?;
    let order = customer
        .decided(&customer.place_order(&[(&product, 4)]).await?)
        .await?;
    let order = admin.set_status(&order, "completed").await?.is(200)?;
    assert_eq!(order["status"], "completed");
    admin.set_status(&order, "cancelled").await?.is_problem(409)?;
    assert_eq!(admin.stock_of(&product).await?, 5);
    Ok(())
}

async fn nothing_is_left_over(stack: &Stack, shop: &Shop, admin: &Api) -> anyhow::Result<()> {
    let rabbitmq = stack.rabbitmq().await?;
    wait_until(
        "the queue is empty",
        || rabbitmq.orders_waiting(),
        |waiting| *waiting == 0,
    )
    .await?;
    assert_eq!(rabbitmq.dead_letters().await?, 0);
    assert_eq!(admin.get("/orders?status=pending").await?.is(200)?["total"], 0);
    shop.anybody().get("/readyz").await?.is(200)?;
    Ok(())
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}
