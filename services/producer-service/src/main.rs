//! The process `producer-service`; everything is in the library.

use producer_service::Config;

fn main() -> std::process::ExitCode {
    chassis::run::<Config, _, _>("producer-service", producer_service::start)
}
