//! What the operator costs: how soon a Shop is ready, and what a thousand of them ask of it.
//!
//! [`start`] has the operator run in the cluster, as helm installs it, and [`scale`] on this machine, where its memory and
//! its counters can be read. Both work on the cluster that `KUBECONFIG` names, which is theirs alone.

mod changes;
mod chart;
mod cluster;
mod counts;
mod fleet;
mod floor;
mod host;
mod nodes;
mod scale;
mod settled;
mod start;
mod timeline;

use std::{path::PathBuf, time::Duration};

use clap::Args;
use serde_json::{Map, Value};
use shop_operator::names::Program;

/// How many services a Shop has, each in a Deployment of its own.
const SERVICES: usize = Program::ALL.len();

/// How much to measure.
#[derive(Args)]
pub(crate) struct OperatorArgs {
    /// How many times a Shop is started, and the floor beside it; 0 leaves this figure out.
    #[arg(long, default_value_t = 3)]
    runs: u16,
    /// How many Shops there are on the simulated nodes; 0 leaves this figure out. They need PostgreSQL and RabbitMQ
    /// (`tests/backends`), and a kwok that plays the nodes.
    #[arg(long, default_value_t = 1000)]
    shops: u16,
    /// Among how many namespaces they are spread.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..))]
    namespaces: u16,
    /// How long is watched what it costs that nothing changes.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "2m")]
    window: Duration,
    /// How many Shops' specs are changed, one after the other.
    #[arg(long, default_value_t = 200)]
    changes: u16,
    /// The time from one change to the next.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "500ms")]
    pace: Duration,
    /// The operator's --resync-interval meanwhile: so long that none falls into the window.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "1h")]
    resync: Duration,
    /// The folder for the operator's log.
    #[arg(long, env = "BENCH_LOG_DIR", default_value = "/tmp")]
    log_dir: PathBuf,
    /// Folders with pid files of processes whose CPU time is to be told.
    #[arg(long, env = "BENCH_RUN_DIRS", value_delimiter = ':')]
    run_dirs: Vec<PathBuf>,
}

pub(crate) async fn measure(arguments: &OperatorArgs) -> anyhow::Result<Value> {
    let client = cluster::connect().await?;
    let mut figures = Map::new();
    if arguments.runs > 0 {
        figures.insert("start".to_owned(), start::measure(&client, arguments.runs).await?);
    }
    if arguments.shops > 0 {
        figures.insert("scale".to_owned(), scale::measure(&client, arguments).await?);
    }
    Ok(Value::Object(figures))
}
