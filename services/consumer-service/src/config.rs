//! Flags, environment variables and subcommands.

use std::time::Duration;

use chassis::{
    config::{AmqpArgs, GrpcUrl, ServiceArgs},
    tls::TlsArgs,
};

use crate::dead_letters;

/// The configuration of consumer-service.
#[derive(clap::Parser, Clone, Debug)]
#[command(
    name = "consumer-service",
    version,
    about = "Works off the events of orders: moves stock, records outcomes."
)]
pub struct Config {
    /// Something to do instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// What every service takes.
    #[command(flatten)]
    pub service: ServiceArgs,
    /// Its certificates.
    #[command(flatten)]
    pub tls: TlsArgs,
    /// The broker.
    #[command(flatten)]
    pub amqp: AmqpArgs,
    /// Where the stock is.
    #[arg(long, env = "INVENTORY_SERVICE_URL", default_value = "http://127.0.0.1:50055")]
    pub inventory_service_url: GrpcUrl,
    /// Where the orders are.
    #[arg(long, env = "ORDER_SERVICE_URL", default_value = "http://127.0.0.1:50051")]
    pub order_service_url: GrpcUrl,
    /// How batches are taken from the queue.
    #[command(flatten)]
    pub intake: IntakeArgs,
}

/// How batches are taken from the queue.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct IntakeArgs {
    /// The most messages the broker hands over before some are acknowledged. A crash costs each of them one of its
    /// deliveries, of which it has `topology::DELIVERY_LIMIT`; more than two batches' worth gains nothing.
    #[arg(
        long,
        env = "CONSUMER_PREFETCH",
        default_value_t = 500,
        value_parser = clap::value_parser!(u16).range(1..)
    )]
    pub prefetch: u16,
    /// The most messages of one batch.
    #[arg(
        long,
        env = "CONSUMER_MAX_BATCH",
        default_value_t = 200,
        value_parser = clap::value_parser!(u16).range(1..=1000)
    )]
    pub max_batch: u16,
    /// How long a batch that is not full waits for more messages. Zero: a batch is what is there already, which adds
    /// no delay and makes larger batches by itself the busier it is.
    #[arg(long, env = "CONSUMER_LINGER", default_value = "0ms", value_parser = humantime::parse_duration)]
    pub linger: Duration,
}

impl Default for IntakeArgs {
    fn default() -> Self {
        Self {
            prefetch: 500,
            max_batch: 200,
            linger: Duration::ZERO,
        }
    }
}

/// Something to do instead of serving.
#[derive(clap::Subcommand, Clone, Debug)]
pub enum Command {
    /// Looks after the messages that could not be worked off. Needs the broker's settings and nothing else.
    #[command(subcommand)]
    DeadLetters(dead_letters::command::Command),
    /// Declares the exchanges and queues, and ends: with a login of the broker that may, where those of the services
    /// may not (`AMQP_DECLARE_TOPOLOGY=false`). Needs the broker's settings and nothing else.
    DeclareTopology,
}

impl AsRef<ServiceArgs> for Config {
    fn as_ref(&self) -> &ServiceArgs {
        &self.service
    }
}
