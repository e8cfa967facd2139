//! Many tests of one file on one stack.
//!
//! Rust's own test harness starts no shop before the first test and stops none after the last, so these files bring
//! their own `main`; names, filters and output are as always.

use std::{
    future::Future,
    pin::Pin,
    process::ExitCode,
    sync::{Arc, OnceLock},
};

use anyhow::Context as _;
use libtest_mimic::{Arguments, Trial};

use crate::{Builder, Shop, Stack};

/// A test that runs.
pub type Running = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

/// A test's name and body: see [`scenarios!`](crate::scenarios).
pub struct Scenario {
    /// The function's name.
    pub name: &'static str,
    /// The function.
    pub body: fn(Shop) -> Running,
}

/// Lists functions `async fn(Shop) -> anyhow::Result<()>` as tests.
#[macro_export]
macro_rules! scenarios {
    ($($test:ident),+ $(,)?) => {
        vec![$($crate::Scenario { name: stringify!($test), body: |shop| Box::pin($test(shop)) }),+]
    };
}

/// The `main` of a test file: runs the tests that the command line chooses on one stack, which the first of them
/// starts. They run side by side and must not mind each other.
pub fn suite(builder: &Builder, scenarios: Vec<Scenario>) -> ExitCode {
    match run(builder, scenarios) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(builder: &Builder, scenarios: Vec<Scenario>) -> anyhow::Result<ExitCode> {
    let runtime = Arc::new(tokio::runtime::Runtime::new()?);
    let stack = Arc::new(OnceLock::<Result<Stack, String>>::new());
    let trials = scenarios.into_iter().map(|Scenario { name, body }| {
        let (runtime, stack, builder) = (Arc::clone(&runtime), Arc::clone(&stack), builder.clone());
        Trial::test(name, move || {
            let start = || {
                runtime
                    .block_on(builder.start())
                    .map_err(|error| format!("no shop: {error:#}"))
            };
            let shop = stack.get_or_init(start).as_ref()?.shop().clone();
            runtime
                .block_on(body(shop))
                .map_err(|error| format!("{error:#}").into())
        })
    });
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials.collect());
    // Where no test ran there is no stack; where one failed, dropping the stack prints its logs.
    let stack = Arc::into_inner(stack).and_then(OnceLock::into_inner);
    if let (Some(Ok(stack)), false) = (stack, conclusion.has_failed()) {
        runtime.block_on(stack.stop()).context("after the last test")?;
    }
    Ok(conclusion.exit_code())
}
