//! Measures a running shop through its gateway, or the operator in a cluster, and prints what it found as tables and as
//! JSON.
//!
//! `tests/bench/run` starts what is measured and calls this program. Nothing here passes or fails: these are figures to
//! compare within one run on one machine. Each has a yardstick of the same run: for orders it is pgbench on the same
//! PostgreSQL, writing the same rows into the same schema; for the operator it is helm, with the same objects.

mod catalog;
mod floor;
mod http_client;
mod latency;
mod operator;
mod orders;
mod overload;
mod plot;
mod processes;
mod products;
mod shop;
mod shoppers;

use std::{path::PathBuf, time::Duration};

use clap::{Parser, Subcommand};
use serde_json::json;

use self::{
    operator::OperatorArgs,
    overload::OverloadArgs,
    shop::{Shop, ShopArgs},
    shoppers::ShoppersArgs,
};

#[derive(Parser)]
struct Arguments {
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
        #[command(flatten)]
        shop: ShopArgs,
        /// How many clients at once, each waiting for its answer before its next order.
        #[arg(long, value_delimiter = ',', default_value = "1,16,64,256")]
        clients: Vec<usize>,
        /// How many clients order one product, all the same, in a further step; 0 for no such step.
        #[arg(long, default_value_t = 64)]
        hot_clients: usize,
        /// How many clients place orders of 100 lines in a further step; 0 for no such step.
        #[arg(long, default_value_t = 16)]
        large_clients: usize,
        /// How long each step lasts.
        #[arg(long, value_parser = humantime::parse_duration, default_value = "10s")]
        duration: Duration,
        /// Among how many products the orders choose.
        #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u16).range(100..))]
        products: u16,
        /// Where to write a picture of the steps (SVG).
        #[arg(long)]
        svg: Option<PathBuf>,
    },
    /// What it does with more orders than it can take.
    Overload {
        #[command(flatten)]
        shop: ShopArgs,
        #[command(flatten)]
        overload: OverloadArgs,
    },
    /// People who browse, search, fill carts, log in, order and cancel, and think in between.
    Shoppers {
        #[command(flatten)]
        shop: ShopArgs,
        #[command(flatten)]
        shoppers: ShoppersArgs,
    },
    /// The products list with many products.
    Products {
        #[command(flatten)]
        shop: ShopArgs,
        /// How many products there are to be.
        #[arg(long, default_value_t = 1_000_000)]
        products: usize,
        /// How many times each kind of list is asked for.
        #[arg(long, default_value_t = 300)]
        requests: usize,
    },
    /// How soon a Shop is ready beside what helm needs for the same objects, and what many Shops cost the operator. The
    /// cluster is the one that KUBECONFIG names.
    Operator(OperatorArgs),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let figures = match arguments.scenario {
        Scenario::Orders {
            shop,
            clients,
            hot_clients,
            large_clients,
            duration,
            products,
            svg,
        } => {
            let loads = orders::loads(&clients, hot_clients, large_clients);
            let shop = Shop::connect(&shop).await?;
            let steps = orders::measure(&shop, &loads, duration, products.into()).await?;
            if let Some(path) = svg {
                plot::write(&path, &steps)?;
            }
            json!({ "seconds": duration.as_secs_f64(), "products": products, "steps": steps })
        }
        Scenario::Overload { shop, overload } => {
            overload::measure(&Shop::connect(&shop).await?, &overload).await?
        }
        Scenario::Shoppers { shop, shoppers } => {
            shoppers::measure(&Shop::connect(&shop).await?, &shoppers).await?
        }
        Scenario::Products {
            shop,
            products,
            requests,
        } => products::measure(&Shop::connect(&shop).await?, products, requests).await?,
        Scenario::Operator(arguments) => operator::measure(&arguments).await?,
    };
    let figures = serde_json::to_string_pretty(&figures)?;
    println!("\n{figures}");
    if let Some(path) = arguments.json {
        tokio::fs::write(path, figures).await?;
    }
    Ok(())
}
