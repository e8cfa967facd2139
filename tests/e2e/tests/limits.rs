//! What a client may not do, and what it sees when a part of the shop is down: always an answer, and soon.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use e2e::{Answer, Call, Service, Stack, unique_email, wait_until};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_asks_too_often_is_told_when_to_come_back() -> anyhow::Result<()> {
    let stack = Stack::builder().with_rate_limits().start().await?;
    let anybody = stack.shop().anybody();
    // Each for another account: what is counted here is the address.
    let log_in = || {
        anybody
            .post("/auth/login")
            .json(json!({ "email": unique_email(), "password": "too short" }))
    };
    let browse = || anybody.get("/products");

    let (granted_logins, refused) = until_refused(log_in).await?;
    refused.is_problem(429)?.of_type("too-many-requests")?;
    let seconds: u64 = refused
        .header("retry-after")
        .expect("429 has Retry-After")
        .parse()?;
    assert!((1..=3_600).contains(&seconds), "{seconds}");

    let (granted_pages, refused) = until_refused(browse).await?;
    refused.is_problem(429)?;
    assert!(
        granted_logins < granted_pages,
        "{granted_logins} logins, {granted_pages} pages: logins are limited tighter"
    );

    // The limits are the API's, not the probes'.
    for _ in 0..granted_pages {
        anybody.get("/healthz").await?.is(200)?;
    }
    stack.stop().await
}

/// Repeats a request until it is refused for its rate. Returns how many were let through, and the refusal.
async fn until_refused(request: impl Fn() -> Call) -> anyhow::Result<(usize, Answer)> {
    const FAR_TOO_MANY: usize = 20_000;
    for granted in 0..FAR_TOO_MANY {
        let answer = request().await?;
        if answer.status().as_u16() == 429 {
            return Ok((granted, answer));
        }
    }
    anyhow::bail!("{FAR_TOO_MANY} requests in a row and no limit")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_down_is_a_503_and_takes_nothing_else_with_it() -> anyhow::Result<()> {
    let stack = Stack::builder().start().await?;
    let (admin, customer) = (stack.shop().admin().await?, stack.shop().customer().await?);
    let product = admin.new_product("1", 10).await?;
    let order = || customer.post("/orders").json(e2e::order_of(&[(&product, 1)]));

    stack.kill_9(Service::Order)?;
    order().await?.is_problem(503)?;
    customer.get("/orders").await?.is_problem(503)?;
    customer.get("/products").await?.is(200)?;
    customer.get("/users/me").await?.is(200)?;
    stack.start(Service::Order).await?;

    stack.kill_9(Service::Inventory)?;
    customer.get("/products").await?.is_problem(503)?;
    order().await?.is_problem(503)?;
    customer.get("/orders").await?.is(200)?;
    stack.start(Service::Inventory).await?;

    // Tokens are checked without user-service.
    stack.kill_9(Service::User)?;
    customer.get("/users/me").await?.is_problem(503)?;
    let credentials = json!({ "email": "nobody@example.com", "password": "wrong password" });
    customer
        .post("/auth/login")
        .json(credentials.clone())
        .await?
        .is_problem(503)?;
    customer.get("/orders").await?.is(200)?;
    stack.start(Service::User).await?;

    // Each is back without the others having been started again.
    let back = || async { order().await };
    let placed = wait_until("orders can be placed", back, |answer| {
        answer.status().is_success()
    })
    .await?;
    assert_eq!(customer.decided(&placed.is(201)?).await?["status"], "confirmed");
    let log_in = || async { customer.post("/auth/login").json(credentials.clone()).await };
    wait_until("logins are answered", log_in, |answer| {
        answer.status().as_u16() == 401
    })
    .await?;
    stack.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_hangs_is_a_timeout_and_never_a_hang() -> anyhow::Result<()> {
    let stack = Stack::builder().start().await?;
    let customer = stack.shop().customer().await?;
    customer.get("/products").await?.is(200)?;

    for (service, path) in [
        (Service::Inventory, "/products"),
        (Service::Order, "/orders"),
        (Service::User, "/users/me"),
    ] {
        stack.pause(service)?;
        let answer = customer.get(path).await?;
        assert!([503, 504].contains(&answer.status().as_u16()), "{answer}");
        answer.is_problem(answer.status().as_u16())?;
        stack.resume(service)?;
        let again = || async { customer.get(path).await };
        wait_until(&format!("{path} is answered"), again, |answer| {
            answer.status().is_success()
        })
        .await?;
    }
    stack.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_limit_is_refused() -> anyhow::Result<()> {
    let stack = Stack::builder().start().await?;
    let admin = stack.shop().admin().await?;
    let megabytes = "x".repeat(8 << 20);
    let products = || admin.get("/products");
    let before = products().await?.is(200)?["total"].clone();

    let product = json!({ "name": "Kettle", "price": 1, "description": megabytes });
    admin.post("/products").json(product).await?.is_problem(413)?;
    let credentials = json!({ "email": "a@example.com", "password": megabytes });
    stack
        .shop()
        .anybody()
        .post("/auth/login")
        .json(credentials)
        .await?
        .is_problem(413)?;
    assert_eq!(products().await?.is(200)?["total"], before);
    stack.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_too_many_open_orders_is_told_so_until_one_is_over() -> anyhow::Result<()> {
    let builder = Stack::builder().with_env(Service::Order, "MAX_OPEN_ORDERS", "2");
    let stack = builder.start().await?;
    let (admin, customer) = (stack.shop().admin().await?, stack.shop().customer().await?);
    let product = admin.new_product("1", 10).await?;
    let line = [(&product, 1)];
    let keyed = |key: &str| {
        customer
            .post("/orders")
            .header("Idempotency-Key", key)
            .json(e2e::order_of(&line))
    };
    let first = keyed("first").await?.is(201)?;
    let second = customer.place_order(&line).await?;

    let refused = keyed("third")
        .await?
        .is_problem(409)?
        .of_type("too-many-open-orders")?;
    let detail = refused.document()["detail"].as_str().expect("a detail");
    assert!(detail.starts_with("2 of your orders are open"), "{detail}");
    assert_eq!(keyed("first").await?.is(201)?["id"], first["id"]);
    assert_eq!(customer.get("/orders").await?.is(200)?["total"], 2);

    let second = customer.decided(&second).await?;
    admin.set_status(&second, "completed").await?.is(200)?;
    let third = keyed("third").await?.is(201)?;
    assert_eq!(customer.decided(&third).await?["status"], "confirmed");
    keyed("fourth").await?.is_problem(409)?;
    stack.stop().await
}
