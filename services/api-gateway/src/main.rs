//! `api-gateway`: see the library.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: chassis::Allocator = chassis::Allocator;

fn main() -> ExitCode {
    chassis::run("api-gateway", api_gateway::start)
}
