//! Each chapter is a test. They run one after the other on one shop, until one fails: the next then gets a new shop.
//!
//! `NEMESIS_SEED` (a number; printed) says what happens and when. `NEMESIS_DURATION` (as `20m`) asks for chapters by
//! chance, for about that long, instead of the fixed list; `NEMESIS_FAULT` for one fault
//! by name, or two with a plus between.

use std::{
    env,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Context as _;
use e2e::Stack;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use nemesis::{
    chapter,
    faults::{ARROWS, Arrow, Fault},
    network::Network,
    report::Report,
    schedule::{self, Chapter},
    servers::Servers,
};
use tokio::runtime::Runtime;

/// Where all chapters play.
struct Stage {
    runtime: Runtime,
    // Dropped in this order: a shop's databases end before their server.
    stack: Option<Stack>,
    servers: Servers,
    network: Option<Network>,
    report: Report,
}

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<ExitCode> {
    let seed = match env::var("NEMESIS_SEED") {
        Ok(seed) => seed.parse().context("NEMESIS_SEED is a number")?,
        Err(_) => rand::random::<u32>().into(),
    };
    println!("NEMESIS_SEED={seed}");
    let chapters = chapters(seed)?;
    let mut arguments = Arguments::from_args();
    // Each has all the machine, and the books are of one at a time.
    arguments.test_threads = Some(1);
    let stage = Arc::new(Mutex::new(None::<Stage>));
    let trials = chapters.into_iter().enumerate().map(|(number, chapter)| {
        let (stage, name) = (Arc::clone(&stage), format!("{:02}_{}", number + 1, chapter.name));
        Trial::ignorable_test(name, move || {
            let mut stage = stage.lock().unwrap_or_else(PoisonError::into_inner);
            let stage = match &mut *stage {
                Some(stage) => stage,
                none => none.insert(Stage::set().map_err(failed)?),
            };
            stage.play(&chapter)
        })
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    let stage = stage.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(Stage {
        runtime,
        stack,
        servers,
        report,
        ..
    }) = stage
    {
        println!("{report}");
        println!("NEMESIS_SEED={seed}");
        if let Some(stack) = stack {
            runtime.block_on(stack.stop()).context("after the last chapter")?;
        }
        drop(servers);
    }
    Ok(conclusion.exit_code())
}

fn chapters(seed: u64) -> anyhow::Result<Vec<Chapter>> {
    if let Ok(name) = env::var("NEMESIS_FAULT") {
        let names = || Fault::all().iter().map(Fault::name).collect::<Vec<_>>().join(" ");
        let chapter = schedule::named(seed, &name).with_context(|| format!("the faults are: {}", names()))?;
        return Ok(vec![chapter]);
    }
    match env::var("NEMESIS_DURATION") {
        Ok(duration) => {
            let duration = humantime::parse_duration(&duration).context("NEMESIS_DURATION, as 20m")?;
            Ok(schedule::random(seed, duration))
        }
        Err(_) => Ok(schedule::every_fault_once(seed)),
    }
}

impl Stage {
    fn set() -> anyhow::Result<Self> {
        Ok(Self {
            runtime: Runtime::new()?,
            stack: None,
            servers: Servers::start_new()?,
            network: Network::own(ARROWS.iter().map(|arrow| Arrow::address(arrow.from, arrow.to)))?,
            report: Report::default(),
        })
    }

    fn play(&mut self, chapter: &Chapter) -> Result<Completion, Failed> {
        let cuts = |fault: &Fault| matches!(fault, Fault::Cut(_) | Fault::Lose(_));
        if self.network.is_none() && chapter.faults.iter().any(|planned| cuts(&planned.fault)) {
            return Ok(Completion::ignored_with(
                "a network is cut by root, and with tests/nemesis/run",
            ));
        }
        let stack = match self.stack.take() {
            Some(stack) => stack,
            None => self.runtime.block_on(self.new_stack()).map_err(failed)?,
        };
        let playing = chapter::play(chapter, &stack, &self.servers, self.network.as_ref());
        let (row, result) = self.runtime.block_on(playing);
        println!("\n{}", Report(vec![row.clone()]));
        self.report.0.push(row);
        match result {
            Ok(()) => {
                self.stack = Some(stack);
                Ok(Completion::Completed)
            }
            // What is left of it prints its logs.
            Err(error) => Err(failed(error)),
        }
    }

    async fn new_stack(&self) -> anyhow::Result<Stack> {
        // A chapter that failed may have left something.
        self.servers.heal().await?;
        let mut builder = Stack::builder().on(self.servers.urls().clone());
        if let Some(network) = &self.network {
            network.mend_all()?;
            builder = builder.with_addresses(Arrow::address);
        }
        builder.start().await.context("no shop")
    }
}

#[allow(clippy::needless_pass_by_value, reason = "made for map_err")]
fn failed(error: anyhow::Error) -> Failed {
    format!("{error:#}").into()
}
