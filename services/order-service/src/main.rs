//! The order-service process.

use std::process::ExitCode;

fn main() -> ExitCode {
    chassis::run::<order_service::Config, _, _>("order-service", order_service::start)
}
