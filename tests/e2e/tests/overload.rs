//! More orders at once than the shop takes.
#![allow(missing_docs)]

use anyhow::ensure;
use e2e::{Service, Stack, order_of, wait_until};
use futures::future::try_join_all;

/// So many may be at work at once.
const ROOM: &str = "8";
const ORDERS: i64 = 400;
const STOCK: i64 = 10_000;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_much_is_refused_whole_and_probes_are_answered() -> anyhow::Result<()> {
    let builder = Stack::builder().with_env(Service::Gateway, "MAX_CONCURRENT_REQUESTS", ROOM);
    let stack = builder.start().await?;
    let (admin, customer) = (stack.shop().admin().await?, stack.shop().customer().await?);
    let product = admin.new_product("12", STOCK).await?;
    let orders = (0..ORDERS).map(|number| {
        let place = customer.post("/orders").json(order_of(&[(&product, 1)]));
        // As a browser sends it from another site, and as others do: they are refused in two places.
        let place = if number % 2 == 0 {
            place
        } else {
            place.header("origin", "https://elsewhere.example")
        };
        async move { place.await }
    });
    let anybody = stack.shop().anybody();
    let probes = (0..40).map(|_| {
        let anybody = anybody.clone();
        async move { anybody.get("/healthz").await?.is(200) }
    });
    let (answers, _) = tokio::try_join!(try_join_all(orders), try_join_all(probes))?;
    let mut placed = 0;
    for answer in &answers {
        if answer.status() == 201 {
            placed += 1;
        } else {
            answer.is_problem(503)?.of_type("overloaded")?;
            ensure!(answer.header("retry-after").is_some(), "{}", answer.text());
            ensure!(answer.header("x-request-id").is_some(), "{}", answer.text());
            ensure!(
                answer.header("x-content-type-options") == Some("nosniff"),
                "{}",
                answer.text()
            );
        }
    }
    ensure!(placed > 0 && placed < ORDERS, "{placed} placed");

    // Nothing of what was refused was done, and there is room again.
    let last = customer.place_order(&[(&product, 1)]).await?;
    customer.decided(&last).await?;
    let known = customer.get("/orders").await?.is(200)?;
    ensure!(
        known["total"] == placed + 1,
        "{placed} placed, {} known",
        known["total"]
    );
    let left = || admin.stock_of(&product);
    wait_until("all stock is taken", left, |units| *units == STOCK - placed - 1).await?;
    stack.stop().await
}
