//! Flags and environment variables.

use chassis::{
    config::{AmqpArgs, ServiceArgs},
    tls::TlsArgs,
};

/// The configuration of producer-service.
#[derive(clap::Parser, Clone, Debug)]
#[command(
    name = "producer-service",
    version,
    about = "Publishes events to RabbitMQ and says what became of each."
)]
pub struct Config {
    /// What every service takes.
    #[command(flatten)]
    pub service: ServiceArgs,
    /// Its certificates.
    #[command(flatten)]
    pub tls: TlsArgs,
    /// The broker.
    #[command(flatten)]
    pub amqp: AmqpArgs,
    /// The most calls that publish at once, each on an AMQP channel of its own. Others wait their turn, and are
    /// refused when it does not come within the deadline.
    #[arg(
        long,
        env = "PUBLISH_CONCURRENCY",
        default_value_t = 8,
        value_parser = clap::value_parser!(u16).range(1..=256)
    )]
    pub publish_concurrency: u16,
}

impl AsRef<ServiceArgs> for Config {
    fn as_ref(&self) -> &ServiceArgs {
        &self.service
    }
}
