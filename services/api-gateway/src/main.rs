//! `api-gateway`: see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    chassis::run::<api_gateway::Config, _, _>("api-gateway", api_gateway::start)
}
