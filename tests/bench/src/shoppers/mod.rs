//! A load that behaves as people do: they come in by the front page, a search or a link, look around, put something into the
//! cart, leave it there or buy it, wait for the decision, and some cancel. In between they think, so that a slow shop has no
//! fewer shoppers, but fewer requests: the rates are what so many people ask for, not what the shop can do at most.

mod journey;
mod report;
mod shopper;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use clap::Args;
use futures::{StreamExt as _, TryStreamExt as _, future::join_all, stream};
use rand::{SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};
use tokio::time::Instant;
use url::form_urlencoded;
use uuid::Uuid;

use self::{
    journey::{Catalogue, Journey, Product},
    report::Tally,
    shopper::{Account, Shopper, Times},
};
use crate::{
    http_client::Client,
    orders,
    processes::Processes,
    shop::{self, Shop},
};

/// As many products as shoppers know of, at most.
const KNOWN_PRODUCTS: usize = 1_000;
/// As much of each there is at least when they come, so that nothing sells out.
const ENOUGH: i64 = 1_000_000;
/// So many accounts are opened at once: each costs the hash of a password.
const REGISTERED_AT_ONCE: usize = 4;

/// Who comes, and for how long.
#[derive(Args)]
pub(crate) struct ShoppersArgs {
    /// How many people are in the shop at once, each with an account and a connection.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=4_096))]
    shoppers: u16,
    /// How long is measured.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "60s")]
    duration: Duration,
    /// How long they are in the shop before that, without figures.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "5s")]
    warm_up: Duration,
    /// How long they think after each page, on average.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "1s")]
    think: Duration,
    /// What they do follows from it; when they do it also from the shop.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub(crate) async fn measure(shop: &Shop, args: &ShoppersArgs) -> anyhow::Result<Value> {
    let catalogue = Arc::new(read_and_restock(shop).await?);
    println!(
        "{} products; {} accounts are opened",
        catalogue.products.len(),
        args.shoppers
    );
    let accounts: Vec<Account> = stream::iter(0..args.shoppers)
        .map(|_| register(shop))
        .buffer_unordered(REGISTERED_AT_ONCE)
        .try_collect()
        .await?;

    let began = Instant::now();
    let times = Times {
        counted_from: began + args.warm_up,
        until: began + args.warm_up + args.duration,
    };
    let shoppers: Vec<_> = (args.seed..)
        .zip(accounts)
        .map(|(seed, account)| {
            let (gateway, catalogue, think) = (shop.gateway.clone(), Arc::clone(&catalogue), args.think);
            tokio::spawn(async move {
                let journey = Journey::new(StdRng::seed_from_u64(seed), &catalogue, think);
                Shopper::new(gateway, account, journey, times).shop().await
            })
        })
        .collect();
    tokio::time::sleep_until(times.counted_from).await;
    let (since, load) = (orders::now(shop).await?, Processes::this());
    let (before, load_before) = (shop.processes.cpu(), load.cpu());
    let mut tally = Tally::default();
    for shopper in join_all(shoppers).await {
        tally.extend(shopper.context("a shopper panicked")?);
    }
    let mut used = shop.processes.cpu_since(&before);
    used.extend(load.cpu_since(&load_before));
    orders::drain(shop).await?;
    report(shop, args, tally, &used, since).await
}

async fn report(
    shop: &Shop,
    args: &ShoppersArgs,
    mut tally: Tally,
    used: &BTreeMap<String, Duration>,
    since: f64,
) -> anyhow::Result<Value> {
    let (outcomes, abandoned) = (std::mem::take(&mut tally.decided), tally.abandoned);
    let rows = tally.rows(args.duration);
    report::print(&rows);
    println!("\norders as their customers saw them: {outcomes:?}; carts left behind: {abandoned}");
    let decided_ms = if outcomes.is_empty() {
        None
    } else {
        Some(orders::decisions(shop, since).await?)
    };
    if let Some(percentiles) = decided_ms {
        percentiles.print("created to decided, ms");
    }
    let cpu: BTreeMap<_, _> = used
        .iter()
        .map(|(name, cpu)| (name, 100.0 * cpu.as_secs_f64() / args.duration.as_secs_f64()))
        .collect();
    println!("  {:<26} {:>10}", "process", "% of a CPU");
    for (name, percent) in &cpu {
        println!("  {name:<26} {percent:>10.1}");
    }
    Ok(json!({
        "shoppers": args.shoppers,
        "seconds": args.duration.as_secs_f64(),
        "think_seconds": args.think.as_secs_f64(),
        "seed": args.seed,
        "requests": rows,
        "orders": outcomes,
        "abandoned": abandoned,
        "decided_ms": decided_ms,
        "cpu_percent": cpu,
    }))
}

/// The products that there are, each with enough units.
async fn read_and_restock(shop: &Shop) -> anyhow::Result<Catalogue> {
    let mut client = Client::connect(&shop.gateway).await?;
    let mut products = Vec::new();
    let mut cursor = Some(String::new());
    while let Some(at) = cursor.filter(|_| products.len() < KNOWN_PRODUCTS) {
        let at: String = form_urlencoded::byte_serialize(at.as_bytes()).collect();
        let path = format!("/products?page_size=100&cursor={at}");
        let answer = client.send("GET", &path, Some(&shop.admin), Bytes::new()).await?;
        ensure!(answer.status() == 200, "{path}: {}", answer.status());
        let list: Value = serde_json::from_slice(answer.body())?;
        for item in list["items"].as_array().context("a list has items")? {
            let product = known(item)?;
            let missing = ENOUGH - item["stock"].as_i64().unwrap_or_default();
            if missing > 0 {
                let delivery = json!({ "delta": missing, "reason": "enough for many shoppers" });
                let path = format!("/products/{}/stock", product.id);
                let (status, answer) = client.post(&path, Some(&shop.admin), &delivery).await?;
                ensure!(status == 200, "{path}: {status} {answer}");
            }
            products.push(product);
        }
        cursor = list["next"].as_str().map(str::to_owned);
    }
    ensure!(
        !products.is_empty(),
        "the shop has no products: start-services.sh --demo-data"
    );
    Ok(Catalogue { products })
}

fn known(item: &Value) -> anyhow::Result<Product> {
    let text = |member: &str| item[member].as_str().unwrap_or_default();
    let words = text("name").split(|character: char| !character.is_alphabetic());
    Ok(Product {
        id: Uuid::try_parse(text("id")).context("a product has an id")?,
        category: text("category").to_owned(),
        words: words
            .filter(|word| word.chars().count() > 2)
            .map(str::to_owned)
            .collect(),
    })
}

async fn register(shop: &Shop) -> anyhow::Result<Account> {
    let mut client = Client::connect(&shop.gateway).await?;
    let email = format!("shopper-{}@shop.example", Uuid::now_v7());
    let password = Uuid::now_v7().to_string();
    let account = json!({ "email": email, "password": password });
    let (status, answer) = client.post("/auth/register", None, &account).await?;
    ensure!(status == 201, "a shopper can't register: {status} {answer}");
    let token = Some(shop::token(&answer)?);
    Ok(Account {
        email,
        password,
        token,
    })
}
