//! From the command line to a clean exit.

use std::{fmt::Display, future::Future, pin::Pin, process::ExitCode};

use clap::Parser;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use crate::{Running, StartError, config::ServiceArgs, telemetry};

/// A service that is being started. Boxed, so that it is compiled once, with the service's library, and not again with
/// each program and each test that starts it.
pub type Starting = Pin<Box<dyn Future<Output = Result<Running, StartError>> + Send>>;

/// The whole of a service's `main`: reads the configuration, starts the service, and on SIGTERM or SIGINT lets the
/// calls in flight finish. Exits with 0 after a clean stop, 1 after a failure (said on standard error), 2 for a
/// command line that makes no sense.
pub fn run<C: Parser + AsRef<ServiceArgs>>(name: &'static str, start: fn(C) -> Starting) -> ExitCode {
    run_with(name, C::parse(), start)
}

/// As [`run`], with a configuration that was read already.
pub fn run_with<C: AsRef<ServiceArgs>>(name: &'static str, config: C, start: fn(C) -> Starting) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(name, &error),
    };
    let telemetry = {
        let _guard = runtime.enter();
        match telemetry::init(name, config.as_ref()) {
            Ok(telemetry) => telemetry,
            Err(error) => return fail(name, &error),
        }
    };
    allow_open_files();
    let outcome = runtime.block_on(serve(start(config)));
    telemetry.shutdown();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(name, &error),
    }
}

async fn serve(start: Starting) -> Result<(), StartError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(StartError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(StartError::Signals)?;
    let mut told_to_stop = std::pin::pin!(async move {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    });
    let running = tokio::select! {
        running = start => running?,
        signal = &mut told_to_stop => {
            tracing::info!(signal, "stopped before it was ready");
            return Ok(());
        }
    };
    tokio::select! {
        signal = told_to_stop => tracing::info!(signal, "draining"),
        failure = running.failed() => tracing::error!(failure, "a part of the service ended; stopping"),
    }
    running.stop().await
}

/// Each connection is an open file, of which a process is allowed a thousand by default on most machines, fewer than
/// callers are let in. It may give itself as many as its administrator lets it; that default is for the sake of
/// programs that call select(2) (<https://0pointer.net/blog/file-descriptor-limits.html>).
fn allow_open_files() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return;
    }
    let all = Rlimit {
        current: maximum,
        maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, all) {
        tracing::warn!(%error, ?current, "the limit of open files stays as it is");
    }
}

fn fail(name: &str, error: &dyn Display) -> ExitCode {
    eprintln!("{name}: {error}");
    ExitCode::FAILURE
}
