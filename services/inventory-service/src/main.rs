//! The process of inventory-service; see the library.

use std::process::ExitCode;

use inventory_service::Config;

#[global_allocator]
static ALLOCATOR: chassis::Allocator = chassis::Allocator;

fn main() -> ExitCode {
    chassis::run::<Config, _, _>("inventory-service", inventory_service::start)
}
