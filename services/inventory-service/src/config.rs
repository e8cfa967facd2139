//! Flags and environment variables.

#![allow(clippy::doc_markdown, reason = "the comments of flags are what --help prints")]

use std::time::Duration;

use chassis::{
    config::{GrpcUrl, PostgresArgs, ServiceArgs},
    idempotency::retention,
    tls::TlsArgs,
};

/// Products, their stock and the ledger of its movements.
#[derive(clap::Parser, Clone, Debug)]
#[command(name = "inventory-service", version)]
pub struct Config {
    /// What every service has.
    #[command(flatten)]
    pub service: ServiceArgs,
    /// Its certificates.
    #[command(flatten)]
    pub tls: TlsArgs,
    /// Its database.
    #[command(flatten)]
    pub postgres: PostgresArgs,
    /// Where events are handed to. Nothing waits for it: they are kept until it is there.
    #[arg(long, env = "PRODUCER_SERVICE_URL", default_value = "http://127.0.0.1:50054")]
    pub producer_service_url: GrpcUrl,
    /// How its events are published.
    #[command(flatten)]
    pub relay: outbox::RelayArgs,
    /// Whether every change of stock is an event, stock.changed: one for each product that a transaction moved units of.
    /// Each is a row to write and to delete on the way of an order, so it is off until somebody binds a queue to them.
    #[arg(
        long,
        env = "EMIT_STOCK_CHANGED",
        default_value_t = false,
        num_args = 0..=1,
        default_missing_value = "true",
        action = clap::ArgAction::Set
    )]
    pub emit_stock_changed: bool,
    /// How long the answer to an idempotency key is kept, 24 hours at least.
    #[arg(long, env = "IDEMPOTENCY_RETENTION", default_value = "25h", value_parser = retention)]
    pub idempotency_retention: Duration,
    /// Something to do instead of serving.
    #[command(subcommand)]
    pub command: Option<outbox::Command>,
}

impl AsRef<ServiceArgs> for Config {
    fn as_ref(&self) -> &ServiceArgs {
        &self.service
    }
}
