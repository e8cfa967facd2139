//! Measures a running shop through its gateway, and prints what it found as tables and as JSON.
//!
//! `tests/bench/run` starts a shop and calls this program. Nothing here passes or fails: these are figures to compare
//! within one run on one machine. The yardstick is pgbench on the same PostgreSQL in the same run, writing the same
//! rows into the same schema.

mod catalog;
mod floor;
mod http_client;
mod latency;
mod orders;
mod processes;
mod products;
mod shop;

use std::{path::PathBuf, time::Duration};

use clap::{Parser, Subcommand};

#[derive(Parser)]
struct Arguments {
    /// The gateway of the shop to measure.
    #[arg(long, env = "GATEWAY_URL", default_value = "http://127.0.0.1:8080")]
    gateway_url: url::Url,
    /// The first admin.
    #[arg(long, env = "ADMIN_EMAIL")]
    admin_email: String,
    /// Where the shop's pid files are.
    #[arg(long, env = "SHOP_RUN_DIR", default_value = ".shop/run")]
    run_dir: PathBuf,
    /// Where to write the figures as JSON, besides printing them.
    #[arg(long)]
    json: Option<PathBuf>,
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(Subcommand)]
enum Scenario {
    /// Orders per second beside pgbench's, latencies, and CPU time per order of each process.
    Orders {
        /// How many clients at once, each waiting for its answer before its next order.
        #[arg(long, value_delimiter = ',', default_value = "1,16,64")]
        clients: Vec<usize>,
        /// How long each step lasts.
        #[arg(long, value_parser = humantime::parse_duration, default_value = "10s")]
        duration: Duration,
        /// Among how many products the orders choose; 1 is the hottest of shops.
        #[arg(long, default_value_t = 1000)]
        products: usize,
    },
    /// The products list with many products.
    Products {
        /// How many products there are to be.
        #[arg(long, default_value_t = 1_000_000)]
        products: usize,
        /// How many times each kind of list is asked for.
        #[arg(long, default_value_t = 300)]
        requests: usize,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let shop = shop::Shop::connect(&arguments).await?;
    let figures = match arguments.scenario {
        Scenario::Orders {
            clients,
            duration,
            products,
        } => orders::measure(&shop, &clients, duration, products).await?,
        Scenario::Products { products, requests } => products::measure(&shop, products, requests).await?,
    };
    let figures = serde_json::to_string_pretty(&figures)?;
    println!("\n{figures}");
    if let Some(path) = arguments.json {
        tokio::fs::write(path, figures).await?;
    }
    Ok(())
}
