//! The process `consumer-service`; everything is in the library.

use std::process::ExitCode;

use clap::Parser as _;
use consumer_service::{Command, Config, dead_letters, topology};

#[global_allocator]
static ALLOCATOR: chassis::Allocator = chassis::Allocator;

fn main() -> ExitCode {
    let config = Config::parse();
    match &config.command {
        Some(Command::DeadLetters(command)) => dead_letters::command::run(&config.amqp, command),
        Some(Command::DeclareTopology) => topology::run(&config.amqp),
        None => chassis::run_with("consumer-service", config, consumer_service::start),
    }
}
