//! How many orders a second the shop takes, how soon they are decided, and what each costs.

use std::{
    collections::BTreeMap,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use futures::future::try_join_all;
use http::StatusCode;
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use crate::{
    catalog, floor,
    http_client::Client,
    latency::{Latencies, Percentiles},
    shop::Shop,
};

/// After this long an order that is still pending is lost, as far as a customer can tell.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is asked of the shop in a step.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct Load {
    /// At once, each waiting for its answer before its next order.
    clients: usize,
    /// Of each order.
    lines: usize,
    /// All order the same product.
    hot: bool,
}

/// Orders of two lines with each number of clients, and the two that are hard in other ways, where there are clients for
/// them: one product for all, and orders of 100 lines.
pub(crate) fn loads(clients: &[usize], hot_clients: usize, large_clients: usize) -> Vec<Load> {
    let two_lines = clients.iter().map(|clients| Load::of_two_lines(*clients));
    let hot = Load {
        clients: hot_clients,
        lines: 1,
        hot: true,
    };
    let large = Load {
        clients: large_clients,
        lines: 100,
        hot: false,
    };
    two_lines
        .chain([hot, large])
        .filter(|load| load.clients > 0)
        .collect()
}

impl Load {
    /// What most customers order.
    pub(crate) fn of_two_lines(clients: usize) -> Self {
        Self {
            clients,
            lines: 2,
            hot: false,
        }
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.clients == 1 { "" } else { "s" };
        write!(f, "{} client{plural}", self.clients)?;
        match (self.hot, self.lines) {
            (true, _) => write!(f, ", one product"),
            (false, 2) => Ok(()),
            (false, lines) => write!(f, ", {lines} lines"),
        }
    }
}

/// What came of a load.
#[derive(Serialize)]
pub(crate) struct Step {
    #[serde(flatten)]
    pub(crate) load: Load,
    orders: usize,
    pub(crate) orders_per_second: f64,
    /// Transactions of two lines each.
    pub(crate) pgbench_per_second: f64,
    ratio: f64,
    /// From request to 201.
    post_ms: Percentiles,
    /// From the order's row to its decision.
    decided_ms: Percentiles,
    /// From the last 201 until no order was pending.
    drained_seconds: f64,
    /// CPU time per order in microseconds, by process.
    cpu_micros: BTreeMap<String, f64>,
    /// Resident memory in MiB, by process.
    resident_mib: BTreeMap<String, f64>,
}

pub(crate) async fn measure(
    shop: &Shop,
    loads: &[Load],
    duration: Duration,
    products: usize,
) -> anyhow::Result<Vec<Step>> {
    let products: Arc<[Uuid]> = catalog::stocked(&shop.inventory, products).await?.into();
    println!("a second without figures, so that connections and caches are warm");
    place(shop, Load::of_two_lines(16), Duration::from_secs(1), &products).await?;
    drain(shop).await?;
    let floor = floor::Floor::prepare(shop).await?;
    let mut steps = Vec::new();
    for load in loads {
        let pgbench_per_second = floor.run(load.clients, duration).await?;
        let step = step(shop, *load, duration, &products, pgbench_per_second).await?;
        print_step(&step);
        steps.push(step);
    }
    Ok(steps)
}

async fn step(
    shop: &Shop,
    load: Load,
    duration: Duration,
    products: &Arc<[Uuid]>,
    pgbench_per_second: f64,
) -> anyhow::Result<Step> {
    let since = now(shop).await?;
    let before = shop.processes.cpu();
    let began = Instant::now();
    let latencies = place(shop, load, duration, products).await?;
    let elapsed = began.elapsed();
    let drained = drain(shop).await?;
    let used = shop.processes.cpu_since(&before);
    let (orders, post_ms) = (latencies.len(), latencies.percentiles());
    #[allow(clippy::cast_precision_loss, reason = "a count of orders is far below 2^52")]
    let count = orders as f64;
    let cpu_micros = used
        .into_iter()
        .map(|(name, cpu)| (name, cpu.as_secs_f64() * 1e6 / count))
        .collect();
    let orders_per_second = count / elapsed.as_secs_f64();
    Ok(Step {
        load,
        orders,
        orders_per_second,
        pgbench_per_second,
        ratio: orders_per_second / pgbench_per_second,
        post_ms,
        decided_ms: decisions(shop, since).await?,
        drained_seconds: drained.as_secs_f64(),
        cpu_micros,
        resident_mib: shop.processes.resident(),
    })
}

/// Each client places one order after the other.
pub(crate) async fn place(
    shop: &Shop,
    load: Load,
    duration: Duration,
    products: &Arc<[Uuid]>,
) -> anyhow::Result<Latencies> {
    let until = Instant::now() + duration;
    let tasks = (0..load.clients).map(|_| {
        let (gateway, token, products) = (shop.gateway.clone(), shop.customer.clone(), Arc::clone(products));
        async move {
            let client = tokio::spawn(async move {
                let mut client = Client::connect(&gateway).await?;
                let mut latencies = Latencies::default();
                while Instant::now() < until {
                    let body = order(load, &products)?;
                    let began = Instant::now();
                    let answer = client.send("POST", "/orders", Some(&token), body.into()).await?;
                    latencies.add(began.elapsed());
                    ensure!(
                        answer.status() == StatusCode::CREATED,
                        "an order was refused: {} {}",
                        answer.status(),
                        String::from_utf8_lossy(answer.body())
                    );
                }
                Ok(latencies)
            });
            client.await.context("a client panicked")?
        }
    });
    let mut all = Latencies::default();
    for latencies in try_join_all(tasks).await? {
        all.extend(latencies);
    }
    Ok(all)
}

/// Of different products, at random.
pub(crate) fn order(load: Load, products: &[Uuid]) -> anyhow::Result<Vec<u8>> {
    let among = if load.hot { 1 } else { products.len() };
    let chosen = rand::seq::index::sample(&mut rand::rng(), among, load.lines);
    let items = chosen
        .into_iter()
        .map(|index| json!({ "product_id": products.get(index), "quantity": 1 }));
    Ok(serde_json::to_vec(
        &json!({ "items": items.collect::<Vec<_>>() }),
    )?)
}

/// Waits until no order is pending.
pub(crate) async fn drain(shop: &Shop) -> anyhow::Result<Duration> {
    let began = Instant::now();
    loop {
        let (pending,): (bool,) =
            sqlx::query_as("SELECT EXISTS (SELECT FROM orders WHERE status = 'pending')")
                .fetch_one(&shop.orders)
                .await?;
        if !pending {
            return Ok(began.elapsed());
        }
        ensure!(
            began.elapsed() < PATIENCE,
            "orders are still pending after {PATIENCE:?}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// In seconds by the database's clock, since the orders' times are by it.
pub(crate) async fn now(shop: &Shop) -> anyhow::Result<f64> {
    let (now,): (f64,) = sqlx::query_as("SELECT extract(epoch FROM clock_timestamp())::float8")
        .fetch_one(&shop.orders)
        .await?;
    Ok(now)
}

/// From an order's row to its decision, of all that were placed since then.
pub(crate) async fn decisions(shop: &Shop, since: f64) -> anyhow::Result<Percentiles> {
    let (p50, p95, p99, max): (f64, f64, f64, f64) = sqlx::query_as(
        "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY ms), percentile_cont(0.95) WITHIN GROUP (ORDER BY ms),
                percentile_cont(0.99) WITHIN GROUP (ORDER BY ms), max(ms)
         FROM (SELECT (extract(epoch FROM decided_at - created_at) * 1000)::float8 AS ms
               FROM orders WHERE created_at >= to_timestamp($1)) AS decisions",
    )
    .bind(since)
    .fetch_one(&shop.orders)
    .await?;
    Ok(Percentiles { p50, p95, p99, max })
}

fn print_step(step: &Step) {
    println!(
        "\n{}: {:.0} orders/s; pgbench {:.0}/s; ratio {:.2}",
        step.load, step.orders_per_second, step.pgbench_per_second, step.ratio
    );
    step.post_ms.print("POST /orders, ms");
    step.decided_ms.print("created to decided, ms");
    println!("  none pending {:.2} s after the last", step.drained_seconds);
    println!(
        "  {:<26} {:>10} {:>14}",
        "process", "CPU µs/order", "resident MiB"
    );
    for (name, micros) in &step.cpu_micros {
        let resident = step
            .resident_mib
            .get(name)
            .map_or(String::new(), |mib| format!("{mib:.1}"));
        println!("  {name:<26} {micros:>10.1} {resident:>14}");
    }
    println!("  {:<26} {:>10.1}", "all", step.cpu_micros.values().sum::<f64>());
}
