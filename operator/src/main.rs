//! The operator's program.

use std::process::ExitCode;

use clap::Parser as _;
use shop_operator::config::{Command, Config};

fn main() -> ExitCode {
    match Config::parse().command {
        Command::Run(args) => chassis::run_with("shop-operator", *args, shop_operator::process::start),
        Command::Crd => match shop_operator::crd::manifest() {
            Ok(manifest) => {
                print!("{manifest}");
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("shop-operator: {error}");
                ExitCode::FAILURE
            }
        },
    }
}
