//! The command line.

#![allow(clippy::doc_markdown, reason = "the comments of flags are what --help prints")]

use std::time::Duration;

use chassis::config::ServiceArgs;
use clap::{Args, Parser, Subcommand};

use crate::limits::Limits;

/// Makes a cluster hold what its Shop resources ask for, and keeps it so.
#[derive(Debug, Parser)]
#[command(name = "shop-operator", version)]
pub struct Config {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Reconciles until it is told to stop.
    Run(Box<RunArgs>),
    /// Prints the CustomResourceDefinition of Shop as YAML.
    Crd,
}

/// How the operator runs.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// What every process of the shop takes.
    #[command(flatten)]
    pub service: ServiceArgs,
    /// The one namespace to look after. [default: all]
    #[arg(long, env = "WATCH_NAMESPACE")]
    pub watch_namespace: Option<String>,
    /// The most Shops that are reconciled at once.
    #[arg(long, env = "MAX_CONCURRENT_RECONCILES", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub max_concurrent_reconciles: u16,
    /// How often a Shop is reconciled with nothing to see in Kubernetes: what was changed in RabbitMQ and PostgreSQL is
    /// found by looking.
    #[arg(long, env = "RESYNC_INTERVAL", default_value = "5m", value_parser = humantime::parse_duration)]
    pub resync_interval: Duration,
    /// How long a deleted Shop is held while a server that holds its data can't be reached.
    #[arg(long, env = "DELETION_PATIENCE", default_value = "5m", value_parser = humantime::parse_duration)]
    pub deletion_patience: Duration,
    /// The namespaces from which the metrics of Shops are scraped, several with commas between; the NetworkPolicies of Shops
    /// let nobody else in, but for pods of the Shop's own namespace.
    #[arg(long, env = "SCRAPED_FROM", value_delimiter = ',')]
    pub scraped_from: Vec<String>,
    /// What Shops may ask for.
    #[command(flatten)]
    pub limits: Limits,
    /// Which replica may write is decided by this Lease.
    #[arg(long, env = "LEASE_NAME", default_value = "shop-operator")]
    pub lease_name: String,
    /// The namespace of the Lease: the operator's own. The data stores of Shops are open to the operator from there.
    #[arg(long, env = "LEASE_NAMESPACE", default_value = "default")]
    pub lease_namespace: String,
    /// What this replica is called in the Lease. [default: the host's name, which is the pod's]
    #[arg(long, env = "POD_NAME")]
    pub pod_name: Option<String>,
}

impl AsRef<ServiceArgs> for RunArgs {
    fn as_ref(&self) -> &ServiceArgs {
        &self.service
    }
}
