//! The process `producer-service`; everything is in the library.

use producer_service::Config;

#[global_allocator]
static ALLOCATOR: chassis::Allocator = chassis::Allocator;

fn main() -> std::process::ExitCode {
    chassis::run::<Config, _, _>("producer-service", producer_service::start)
}
