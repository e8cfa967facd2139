//! The process of user-service; see the library.

use std::process::ExitCode;

use user_service::Config;

#[global_allocator]
static ALLOCATOR: chassis::Allocator = chassis::Allocator;

fn main() -> ExitCode {
    chassis::run::<Config, _, _>("user-service", user_service::start)
}
