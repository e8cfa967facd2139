//! The operator's process.

use std::process::ExitCode;

use clap::Parser as _;
use shop_operator::config::{Command, Config};

fn main() -> ExitCode {
    match Config::parse().command {
        Command::Run(args) => chassis::run_with("shop-operator", *args, shop_operator::start),
        Command::Crd => {
            print!("{}", shop_operator::crd::manifest());
            ExitCode::SUCCESS
        }
    }
}
