//! Flags and environment variables.

use std::time::Duration;

use chassis::{
    config::{GrpcUrl, PostgresArgs, ServiceArgs},
    idempotency::retention,
    tls::TlsArgs,
};

/// Orders: creation, validation, management.
#[derive(clap::Parser, Clone, Debug)]
#[command(name = "order-service", version)]
pub struct Config {
    /// Something to do instead of serving.
    #[command(subcommand)]
    pub command: Option<outbox::Command>,
    /// What every service has.
    #[command(flatten)]
    pub service: ServiceArgs,
    /// Its certificates.
    #[command(flatten)]
    pub tls: TlsArgs,
    /// Its database.
    #[command(flatten)]
    pub postgres: PostgresArgs,
    /// Where products and prices are read.
    #[arg(long, env = "INVENTORY_SERVICE_URL", default_value = "http://127.0.0.1:50055")]
    pub inventory_service_url: GrpcUrl,
    /// Where events are handed to.
    #[arg(long, env = "PRODUCER_SERVICE_URL", default_value = "http://127.0.0.1:50054")]
    pub producer_service_url: GrpcUrl,
    /// How its events are published.
    #[command(flatten)]
    pub relay: outbox::RelayArgs,
    /// How long the answer to an idempotency key is kept, 24 hours at least.
    #[arg(long, env = "IDEMPOTENCY_RETENTION", default_value = "25h", value_parser = retention)]
    pub idempotency_retention: Duration,
    /// Orders of one customer that may be open at once, pending or confirmed. One more is refused until one is completed or
    /// cancelled
    #[arg(long, env = "MAX_OPEN_ORDERS", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_open_orders: u32,
}

impl AsRef<ServiceArgs> for Config {
    fn as_ref(&self) -> &ServiceArgs {
        &self.service
    }
}
