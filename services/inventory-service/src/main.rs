//! The process of inventory-service; see the library.

use std::process::ExitCode;

use clap::Parser as _;
use inventory_service::Config;

#[global_allocator]
static ALLOCATOR: chassis::Allocator = chassis::Allocator;

fn main() -> ExitCode {
    let config = Config::parse();
    match &config.command {
        Some(command) => outbox::command::run("inventory-service", &config.postgres, command),
        None => chassis::run_with("inventory-service", config, inventory_service::start),
    }
}
