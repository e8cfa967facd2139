//! The process of user-service; see the library.

use std::process::ExitCode;

use clap::Parser as _;
use user_service::Config;

#[global_allocator]
static ALLOCATOR: chassis::Allocator = chassis::Allocator;

fn main() -> ExitCode {
    let config = Config::parse();
    match &config.command {
        Some(command) => outbox::command::run("user-service", &config.postgres, command),
        None => chassis::run_with("user-service", config, user_service::start),
    }
}
