//! Flags and environment variables.

use chassis::{
    config::{PostgresArgs, ServiceArgs},
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
}

impl AsRef<ServiceArgs> for Config {
    fn as_ref(&self) -> &ServiceArgs {
        &self.service
    }
}
