//! The process `producer-service`; everything is in the library.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: chassis::Allocator = chassis::Allocator;

fn main() -> ExitCode {
    chassis::run("producer-service", producer_service::start)
}
