//! The order-service process; everything is in the library.

use std::process::ExitCode;

use clap::Parser as _;
use order_service::Config;

#[global_allocator]
static ALLOCATOR: chassis::Allocator = chassis::Allocator;

fn main() -> ExitCode {
    let config = Config::parse();
    match &config.command {
        Some(command) => outbox::command::run("order-service", &config.postgres, command),
        None => chassis::run_with("order-service", config, order_service::start),
    }
}
