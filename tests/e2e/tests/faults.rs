//! What goes wrong in production: messages that come twice, a broker that is down, processes that die, messages that
//! nobody can use. No order is lost, and no stock moves twice.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use anyhow::Context as _;
use e2e::{Api, Ledger, RabbitMq, Service, Stack, order_of, stock_ledger_and_orders_agree, wait_until};
use futures::{StreamExt as _, TryStreamExt as _, future::try_join_all, stream};
use lapin::BasicProperties;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_delivered_three_times_moves_stock_once() -> anyhow::Result<()> {
    let stack = Stack::builder().start().await?;
    let (admin, customer) = (stack.shop().admin().await?, stack.shop().customer().await?);
    let rabbitmq = stack.rabbitmq().await?;
    let product = admin.new_product("4.20", 10).await?;
    let (created, cancelled) = (
        rabbitmq.tap("order.created").await?,
        rabbitmq.tap("order.cancelled").await?,
    );

    let order = customer
        .decided(&customer.place_order(&[(&product, 3)]).await?)
        .await?;
    assert_eq!(order["status"], "confirmed");
    let event = rabbitmq.next(&created).await?.delivery;
    redeliver_twice(&stack, "order.created", &event).await?;
    assert_eq!(admin.stock_of(&product).await?, 7);

    customer.set_status(&order, "cancelled").await?.is(200)?;
    wait_until(
        "the stock is back",
        || admin.stock_of(&product),
        |stock| *stock == 10,
    )
    .await?;
    let cancellation = rabbitmq.next(&cancelled).await?.delivery;
    redeliver_twice(&stack, "order.cancelled", &cancellation).await?;
    // The first event once more, after the cancellation: too late to take anything.
    redeliver_twice(&stack, "order.created", &event).await?;

    let ledger = Ledger::read(&admin, &product).await?;
    assert_eq!(
        (ledger.sum, ledger.allocated.len(), ledger.released.len()),
        (10, 1, 1),
        "{ledger:?}"
    );
    assert_eq!(admin.stock_of(&product).await?, 10);
    let path = format!("/orders/{}", order["id"].as_str().unwrap());
    assert_eq!(customer.get(path).await?.is(200)?["status"], "cancelled");
    assert_eq!(rabbitmq.dead_letters().await?, 0);
    stack.stop().await
}

/// Publishes a message as it was, twice, and returns when consumer-service is done with it.
async fn redeliver_twice(
    stack: &Stack,
    routing_key: &str,
    event: &lapin::message::Delivery,
) -> anyhow::Result<()> {
    let rabbitmq = stack.rabbitmq().await?;
    for _ in 0..2 {
        rabbitmq
            .publish(routing_key, &event.data, event.properties.clone())
            .await?;
    }
    // A message that consumer-service has, but has not begun with when it is told to stop, is back in the queue then.
    loop {
        wait_until(
            "the consumer has them",
            || rabbitmq.orders_waiting(),
            |waiting| *waiting == 0,
        )
        .await?;
        stack.terminate(Service::Consumer).await?;
        let left = rabbitmq.orders_waiting().await?;
        stack.start(Service::Consumer).await?;
        if left == 0 {
            return Ok(());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_are_placed_while_rabbitmq_is_down_and_confirmed_when_it_is_back() -> anyhow::Result<()> {
    const ORDERS: i64 = 60;
    let stack = Stack::builder().with_broker_proxy().start().await?;
    let (admin, customer) = (stack.shop().admin().await?, stack.shop().customer().await?);
    let product = admin.new_product("4.20", ORDERS).await?;
    let place = || async { customer.place_order(&[(&product, 1)]).await };

    let mut orders = try_join_all((0..ORDERS / 3).map(|_| place())).await?;
    stack.broker_proxy()?.cut();
    orders.extend(try_join_all((0..ORDERS / 3).map(|_| place())).await?);
    // Long enough for the relay to have tried and failed more than once.
    tokio::time::sleep(Duration::from_secs(3)).await;
    orders.extend(try_join_all((0..ORDERS / 3).map(|_| place())).await?);
    let last = orders.last().context("orders were placed")?;
    let path = format!("/orders/{}", last["id"].as_str().unwrap());
    assert_eq!(
        customer.get(path).await?.is(200)?["status"],
        "pending",
        "nothing can have moved its stock"
    );

    stack.broker_proxy()?.mend();
    for order in try_join_all(orders.iter().map(|order| customer.decided(order))).await? {
        assert_eq!(order["status"], "confirmed", "{order}");
    }
    assert_eq!(admin.stock_of(&product).await?, 0);
    assert_eq!(
        Ledger::read(&admin, &product).await?.allocated.len(),
        orders.len()
    );
    stack.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_orders_survive_the_sudden_death_of_every_service_on_their_way() -> anyhow::Result<()> {
    const ORDERS: usize = 1_000;
    const PRODUCTS: usize = 8;
    const STOCK: i64 = 200;
    let stack = Stack::builder().start().await?;
    let (admin, customer) = (stack.shop().admin().await?, stack.shop().customer().await?);
    let products = try_join_all((0..PRODUCTS).map(|_| admin.new_product("1.10", STOCK))).await?;

    let placed = AtomicUsize::new(0);
    let placing = stream::iter(0..ORDERS)
        .map(|n| {
            let lines = [
                (&products[n % PRODUCTS], 1),
                (&products[(n * 3 + 1) % PRODUCTS], 1),
            ];
            let (customer, placed, body) = (&customer, &placed, order_of(&lines));
            async move {
                let order = place_whatever_happens(customer, &body, &format!("order-{n}")).await?;
                placed.fetch_add(1, Ordering::Relaxed);
                anyhow::Ok(order)
            }
        })
        .buffer_unordered(16)
        .try_collect::<Vec<Value>>();
    let killing = async {
        let victims = [Service::Producer, Service::Consumer, Service::Inventory];
        let mut deaths = 0;
        // Each dies at least three times, and as long as there are orders to be placed.
        for victim in victims.into_iter().cycle() {
            if deaths >= 9 && placed.load(Ordering::Relaxed) == ORDERS {
                break;
            }
            stack.kill_9(victim)?;
            tokio::time::sleep(Duration::from_millis(200)).await;
            stack.start(victim).await?;
            deaths += 1;
        }
        anyhow::Ok(deaths)
    };
    let (orders, _) = tokio::try_join!(placing, killing)?;

    let ids: std::collections::BTreeSet<&str> =
        orders.iter().map(|order| order["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), ORDERS, "each key made an order of its own");
    assert_eq!(
        customer.get("/orders").await?.is(200)?["total"],
        ORDERS,
        "and no retry made a second one"
    );
    let orders = stream::iter(&orders)
        .map(|order| customer.decided(order))
        .buffer_unordered(16);
    let orders: Vec<Value> = orders.try_collect().await?;
    stock_ledger_and_orders_agree(&admin, &products, STOCK, &orders).await?;
    assert_eq!(
        stack.rabbitmq().await?.dead_letters().await?,
        0,
        "no healthy message is given up"
    );
    stack.stop().await
}

/// Repeats a request with its idempotency key until it is answered, as a good client does.
async fn place_whatever_happens(customer: &Api, body: &Value, key: &str) -> anyhow::Result<Value> {
    let place = || async {
        customer
            .post("/orders")
            .header("idempotency-key", key)
            .json(body.clone())
            .await
    };
    let answer = wait_until("the order is placed", place, |answer| {
        let status = answer.status().as_u16();
        // Down, too slow, or the first try of this very key is still in flight.
        !matches!(status, 503 | 504 | 409)
    });
    answer.await?.is(201)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poison_message_goes_to_the_dead_letters_alone() -> anyhow::Result<()> {
    let stack = Stack::builder().start().await?;
    let (admin, customer) = (stack.shop().admin().await?, stack.shop().customer().await?);
    let rabbitmq = stack.rabbitmq().await?;
    let product = admin.new_product("2", 40).await?;
    let place = || async {
        customer
            .decided(&customer.place_order(&[(&product, 1)]).await?)
            .await
    };
    let poison = |id: &str| BasicProperties::default().with_message_id(id.into());

    let healthy = async { try_join_all((0..40).map(|_| place())).await };
    let poisoned = async {
        rabbitmq
            .publish("order.created", b"this is no event", poison("poison-1"))
            .await?;
        rabbitmq
            .publish("order.created", br#"{"specversion":"1.0"}"#, poison("poison-2"))
            .await
    };
    let (orders, ()) = tokio::try_join!(healthy, poisoned)?;
    assert!(
        orders.iter().all(|order| order["status"] == "confirmed"),
        "{orders:?}"
    );
    assert_eq!(admin.stock_of(&product).await?, 0);
    rabbitmq.wait_for_dead_letters(2).await?;

    let listed = dead_letters(&stack, &["list"]).await?;
    assert!(
        listed.contains("poison-1") && listed.contains("poison-2"),
        "{listed}"
    );
    assert_eq!(rabbitmq.dead_letters().await?, 2, "a look takes nothing away");
    an_admin_sees_them_and_puts_them_back(&admin, &rabbitmq).await?;

    stack.terminate(Service::Consumer).await?;
    let flow = admin.get("/flow").await?.is(200)?;
    assert_eq!(flow["unavailable"], json!(["consumer-service"]), "{flow}");
    assert!(flow["queue"].is_null() && flow["orders"].is_object(), "{flow}");
    assert_eq!(flow["outboxes"].as_array().map(Vec::len), Some(3), "{flow}");
    dead_letters(&stack, &["redrive"]).await?;
    assert_eq!(
        (rabbitmq.dead_letters().await?, rabbitmq.orders_waiting().await?),
        (0, 2)
    );
    stack.start(Service::Consumer).await?;
    rabbitmq.wait_for_dead_letters(2).await?;

    assert!(
        dead_letters(&stack, &["purge"]).await.is_err(),
        "nothing is deleted by a slip of the hand"
    );
    assert_eq!(rabbitmq.dead_letters().await?, 2);
    dead_letters(&stack, &["purge", "--yes"]).await?;
    assert_eq!(
        (rabbitmq.dead_letters().await?, rabbitmq.orders_waiting().await?),
        (0, 0)
    );
    stack.stop().await
}

async fn an_admin_sees_them_and_puts_them_back(admin: &Api, rabbitmq: &RabbitMq) -> anyhow::Result<()> {
    let flow = || async { admin.get("/flow").await?.is(200) };
    let flow = wait_until("the two are seen", flow, |flow| {
        flow["queue"]["dead_letters"] == 2
    })
    .await?;
    assert_eq!(flow["unavailable"], json!([]), "{flow}");
    assert_eq!(flow["orders"]["pending"], 0, "{flow}");

    let listed = || async { admin.get("/dead-letters?limit=1").await?.is(200) };
    let list = listed().await?;
    assert_eq!(list["total"], 2, "{list}");
    let [letter] = list["items"].as_array().map(Vec::as_slice).unwrap_or_default() else {
        anyhow::bail!("one is asked for: {list}");
    };
    assert_eq!(
        (&letter["reason"], &letter["count"]),
        (&json!("rejected"), &json!(1)),
        "{letter}"
    );
    let id = letter["message_id"].clone();

    let redrive = |body: Value| admin.post("/dead-letters/redrive").json(body);
    redrive(json!({ "message_id": "none-of-ours" })).await?.is(404)?;
    redrive(json!({ "message_id": "" })).await?.is(422)?;
    let redriven = redrive(json!({ "message_id": id })).await?.is(200)?;
    assert_eq!(redriven, json!({ "redriven": 1, "remaining": 1 }));
    // It is refused once more, and is the last of them now.
    rabbitmq.wait_for_dead_letters(2).await?;
    let list = listed().await?;
    assert_ne!(list["items"][0]["message_id"], id, "{list}");
    let redriven = redrive(json!({})).await?.is(200)?;
    assert_eq!(redriven, json!({ "redriven": 2, "remaining": 0 }));
    rabbitmq.wait_for_dead_letters(2).await
}

async fn dead_letters(stack: &Stack, arguments: &[&str]) -> anyhow::Result<String> {
    let arguments = [&["dead-letters"], arguments].concat();
    let mut command = stack.command(Service::Consumer, &arguments);
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let errors = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(
        output.status.success(),
        "{arguments:?}: {}: {errors}",
        output.status
    );
    Ok(String::from_utf8(output.stdout)?)
}
