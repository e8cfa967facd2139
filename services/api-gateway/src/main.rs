//! `api-gateway`: see the library.

use std::process::ExitCode;

use api_gateway::{Command, Config};
use clap::Parser as _;

#[global_allocator]
static ALLOCATOR: chassis::Allocator = chassis::Allocator;

fn main() -> ExitCode {
    let config = Config::parse();
    match config.command {
        Some(Command::Openapi) => api_gateway::print_openapi(),
        None => chassis::run_with("api-gateway", config, api_gateway::start),
    }
}
