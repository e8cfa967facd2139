//! `api-gateway`: see the library.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: chassis::Allocator = chassis::Allocator;

fn main() -> ExitCode {
    chassis::run::<api_gateway::Config, _, _>("api-gateway", api_gateway::start)
}
