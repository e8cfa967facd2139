//! Walks through the shop as a person with curl would, and shows each request, each answer and the order's trace.
//!
//! `./start-services.sh --demo` runs it. It listens for the services' spans at `OTLP_LISTEN_ADDR` (127.0.0.1:4317)
//! from its first moment, waits for the gateway at `GATEWAY_URL` (by default <http://127.0.0.1:8080>), and keeps products as
//! `ADMIN_EMAIL` with `ADMIN_PASSWORD`. It exits with 0 only if every step did what it should and no hop is missing
//! from the trace.

mod hops;
mod terminal;

use std::{env, net::SocketAddr, process::ExitCode, time::Duration};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use shop_client::{Api, Call, Session, Shop, otlp::Receiver, unique_email};

use terminal::Terminal;

/// How long the services may take to come up.
const START: Duration = Duration::from_mins(2);
const STOCK: i64 = 10;
const BOUGHT: i64 = 2;

fn main() -> ExitCode {
    let outcome = tokio::runtime::Runtime::new()
        .context("no runtime")
        .and_then(|runtime| runtime.block_on(walk()));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn setting(name: &str, default: &str) -> String {
    env::var(name)
        .ok()
        .filter(|value| !value.is_empty())
        .unwrap_or_else(|| default.to_owned())
}

async fn walk() -> anyhow::Result<()> {
    let listen: SocketAddr = setting("OTLP_LISTEN_ADDR", "127.0.0.1:4317")
        .parse()
        .context("OTLP_LISTEN_ADDR")?;
    let receiver = Receiver::listen(listen).await?;
    let url = setting("GATEWAY_URL", "http://127.0.0.1:8080");
    let admin_email = env::var("ADMIN_EMAIL").context("ADMIN_EMAIL is the first admin's address")?;
    let admin_password =
        env::var("ADMIN_PASSWORD").context("ADMIN_PASSWORD is the first admin's password")?;
    let shop = Shop::new(&url, &admin_email, &admin_password)?;
    shop.ready(START).await?;

    let terminal = Terminal::new();
    let customer = become_customer(&terminal, &shop).await?;
    let admin = become_admin(&terminal, &shop, &admin_email, &admin_password).await?;
    let product = add_product(&terminal, &admin).await?;
    let order = place_order(&terminal, &customer, &product).await?;
    follow_order(&terminal, &customer, &order).await?;
    look_at_stock(&terminal, &shop, &product).await?;
    show_trace(&terminal, &receiver).await?;
    terminal.note("Every step did what it should.")
}

async fn become_customer(terminal: &Terminal, shop: &Shop) -> anyhow::Result<Api> {
    let (email, password) = (unique_email(), "correct horse battery staple");
    let anybody = shop.anybody();
    terminal.step("A customer registers")?;
    let account = json!({ "email": email, "password": password, "name": "Ada Lovelace" });
    let user = terminal
        .exchange(anybody.post("/auth/register").json(account), "", 201)
        .await?["user"]
        .clone();
    ensure!(user["role"] == "user", "whoever registers is a customer");

    terminal.step("… and logs in")?;
    let credentials = json!({ "email": email, "password": password });
    let answer = terminal
        .log_in(
            anybody.post("/auth/login").json(credentials),
            "CUSTOMER_TOKEN",
            None,
        )
        .await?;
    let Session { api, user: same, .. } = shop.session(&answer)?;
    ensure!(same["id"] == user["id"], "it is the same account");
    Ok(api)
}

async fn become_admin(terminal: &Terminal, shop: &Shop, email: &str, password: &str) -> anyhow::Result<Api> {
    terminal.step("The admin logs in (.shop/admin.env has the password)")?;
    let credentials = json!({ "email": email, "password": password });
    let call = shop.anybody().post("/auth/login").json(credentials);
    let answer = terminal.log_in(call, "ADMIN_TOKEN", Some(password)).await?;
    ensure!(answer["user"]["role"] == "admin", "{email} is an admin");
    Ok(shop.session(&answer)?.api)
}

async fn add_product(terminal: &Terminal, admin: &Api) -> anyhow::Result<Value> {
    terminal.step("The admin adds a product")?;
    let product = json!({ "name": "Copper kettle", "price": 49.90, "currency": "EUR", "stock": STOCK });
    terminal
        .exchange(admin.post("/products").json(product), "ADMIN_TOKEN", 201)
        .await
}

async fn place_order(terminal: &Terminal, customer: &Api, product: &Value) -> anyhow::Result<Value> {
    terminal.step("The customer places an order")?;
    let call = customer
        .post("/orders")
        .json(shop_client::order_of(&[(product, BOUGHT)]));
    let order = terminal.exchange(call, "CUSTOMER_TOKEN", 201).await?;
    ensure!(order["status"] == "pending", "an order begins as pending");
    Ok(order)
}

/// Server-sent events, until the order is decided.
async fn follow_order(terminal: &Terminal, customer: &Api, order: &Value) -> anyhow::Result<()> {
    terminal.step("… and follows it: order-service → RabbitMQ → consumer-service → inventory-service")?;
    let call: Call = customer.get(format!(
        "/orders/{}/events",
        order["id"].as_str().context("an order has an id")?
    ));
    terminal.request(&call.curl("CUSTOMER_TOKEN").replacen("curl -sS", "curl -sSN", 1))?;
    let mut events = call.events().await?;
    while let Some(event) = events.next().await? {
        let status = event["status"]
            .as_str()
            .context("an event has a status")?
            .to_owned();
        terminal.event(&status)?;
        if status != "pending" {
            ensure!(status == "confirmed", "the order became {status}: {event}");
            return Ok(());
        }
    }
    anyhow::bail!("the stream ended before the order was decided")
}

async fn look_at_stock(terminal: &Terminal, shop: &Shop, product: &Value) -> anyhow::Result<()> {
    terminal.step(&format!(
        "The stock is lower: {STOCK} − {BOUGHT} = {}",
        STOCK - BOUGHT
    ))?;
    let path = format!(
        "/products/{}",
        product["id"].as_str().context("a product has an id")?
    );
    let product = terminal.exchange(shop.anybody().get(path), "", 200).await?;
    ensure!(
        product["stock"] == STOCK - BOUGHT,
        "the stock is {}",
        product["stock"]
    );
    Ok(())
}

async fn show_trace(terminal: &Terminal, receiver: &Receiver) -> anyhow::Result<()> {
    terminal.step("The order's trace, through every hop")?;
    let begun = |receiver: &Receiver| receiver.newest_trace_id(|span| span.name == "POST /orders");
    let trace_id = receiver.wait_for("a span of POST /orders", begun).await?;
    let complete = |receiver: &Receiver| hops::check(&receiver.trace(&trace_id)).ok();
    let complete = receiver.wait_for("the whole trace", complete).await;
    let trace = receiver.trace(&trace_id);
    terminal.trace(&trace_id, &trace)?;
    // Which hop is missing says more than that one is.
    hops::check(&trace)?;
    complete
}
