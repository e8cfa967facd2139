//! The process of user-service; see the library.

use std::process::ExitCode;

use user_service::Config;

fn main() -> ExitCode {
    chassis::run::<Config, _, _>("user-service", user_service::start)
}
