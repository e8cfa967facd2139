//! Puts demo data into a shop: `shop_client::demo_data`. `./start-services.sh --demo-data` runs it, and so does the chart
//! `charts/shop` with `demoData: true`.

use std::{process::ExitCode, time::Duration};

use anyhow::Context as _;
use clap::Parser;
use shop_client::{
    Shop,
    demo_data::{self, Filled},
};

/// Puts a catalogue, customers and a week's orders into a shop, through its API. What is there already is left as it is: it
/// may run again at any time.
///
/// `ADMIN_PASSWORD` comes from the environment alone, since it is a secret.
#[derive(Parser)]
struct Arguments {
    /// The shop's gateway.
    #[arg(long, env = "GATEWAY_URL", default_value = "http://127.0.0.1:8080")]
    gateway_url: String,
    /// An admin.
    #[arg(long, env = "ADMIN_EMAIL")]
    admin_email: String,
    /// How many seconds the shop may take to come up.
    #[arg(long, env = "START_TIMEOUT", default_value_t = 120)]
    start_timeout: u32,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = tokio::runtime::Runtime::new()
        .context("no runtime")
        .and_then(|runtime| runtime.block_on(fill(&arguments)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo-data: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn fill(arguments: &Arguments) -> anyhow::Result<()> {
    let password = std::env::var("ADMIN_PASSWORD").context("ADMIN_PASSWORD must be set")?;
    let shop = Shop::new(&arguments.gateway_url, &arguments.admin_email, &password)?;
    let start = Duration::from_secs(arguments.start_timeout.into());
    shop.ready(start).await?;
    print(&demo_data::fill(&shop).await?)
}

fn print(filled: &Filled) -> anyhow::Result<()> {
    let Filled {
        categories,
        products,
        customers,
        orders,
        locked_out,
    } = filled;
    println!(
        "Demo data: {} products in {categories} categories ({} new), {} customers ({} new), {} orders ({} new).",
        products.all, products.added, customers.all, customers.added, orders.all, orders.added
    );
    println!("The customers all have the password \"{}\":", demo_data::PASSWORD);
    for customer in demo_data::customers()? {
        let changed = if locked_out.contains(&customer.email) {
            "  (has another password by now)"
        } else {
            ""
        };
        println!("  {:20} {}{changed}", customer.email, customer.name);
    }
    Ok(())
}
