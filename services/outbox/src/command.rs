//! The subcommand `outbox` of every service that has one: what a person does with events that can't be published.

use std::{
    future::Future,
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use chassis::{
    config::PostgresArgs,
    postgres::{self, PostgresError},
    terminal::printable,
};
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use crate::store::poison::{self, PoisonEvent};

/// A statement's answer is waited for no longer; the server gives up a little sooner.
const ANSWER_BOUND: Duration = Duration::from_secs(5);
/// So many events are put back in one transaction.
const BATCH: u32 = 500;

/// Something to do instead of serving.
#[derive(clap::Subcommand, Clone, Debug)]
pub enum Command {
    /// Events on their way to the broker.
    #[command(subcommand)]
    Outbox(OutboxCommand),
}

/// A part of the outbox.
#[derive(clap::Subcommand, Clone, Debug)]
pub enum OutboxCommand {
    /// Events that can't be published and were set aside with the reason.
    #[command(subcommand)]
    Poison(PoisonCommand),
}

/// What to do with the events that were set aside.
#[derive(clap::Subcommand, Clone, Debug)]
pub enum PoisonCommand {
    /// Show the oldest of them; they stay where they are.
    List {
        /// How many to show at most.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        limit: u32,
        /// One JSON object a line, with the event's data, instead of a table.
        #[arg(long)]
        json: bool,
    },
    /// Put them back into the outbox, under the same id. They are published after what their subject has published
    /// meanwhile, and set aside again where they are refused again.
    Requeue {
        /// The event.
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        event_id: Option<Uuid>,
        /// All of them, the oldest first.
        #[arg(long)]
        all: bool,
    },
}

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error(transparent)]
    Connect(#[from] PostgresError),
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
    #[error("the database did not answer within {ANSWER_BOUND:?}")]
    Silent,
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
    #[error("{count} put back, then: {source}")]
    Interrupted { count: u64, source: Box<CommandError> },
    #[error("no event of id {0} was set aside")]
    NotFound(Uuid),
}

/// Runs the subcommand in a process of its own, on the service's own database: results on standard output, what went wrong
/// on standard error.
pub fn run(service: &'static str, args: &PostgresArgs, command: &Command) -> ExitCode {
    let Command::Outbox(OutboxCommand::Poison(command)) = command;
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CommandError::Output)
        .and_then(|runtime| runtime.block_on(execute(service, args, command, &mut io::stdout())));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{service} outbox poison: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn execute(
    service: &'static str,
    args: &PostgresArgs,
    command: &PoisonCommand,
    out: &mut impl Write,
) -> Result<(), CommandError> {
    let mut session = postgres::session(service, args).await?;
    match command {
        PoisonCommand::List { limit, json } => {
            let events = bounded(poison::list(&mut session, *limit)).await?;
            if *json {
                write_json(&events, out)
            } else {
                write_table(&events, out)
            }
        }
        PoisonCommand::Requeue { event_id, .. } => {
            // One that is refused again while this runs is not put back once more.
            let until = bounded(poison::now(&mut session)).await?;
            let mut count = 0;
            loop {
                match bounded(poison::requeue(&mut session, *event_id, until, BATCH)).await {
                    Ok(0) => break,
                    Ok(requeued) => count += requeued,
                    Err(source) => {
                        let source = Box::new(source);
                        return Err(CommandError::Interrupted { count, source });
                    }
                }
            }
            match event_id {
                Some(id) if count == 0 => Err(CommandError::NotFound(*id)),
                _ => Ok(writeln!(out, "{count} put back")?),
            }
        }
    }
}

async fn bounded<T>(work: impl Future<Output = sqlx::Result<T>>) -> Result<T, CommandError> {
    let done = tokio::time::timeout(ANSWER_BOUND, work).await;
    Ok(done.map_err(|_| CommandError::Silent)??)
}

fn write_json(events: &[PoisonEvent], out: &mut impl Write) -> Result<(), CommandError> {
    for event in events {
        serde_json::to_writer(&mut *out, event).map_err(io::Error::from)?;
        writeln!(out)?;
    }
    Ok(())
}

fn write_table(events: &[PoisonEvent], out: &mut impl Write) -> Result<(), CommandError> {
    let row = |out: &mut dyn Write, [event, kind, subject, time, reason]: [&str; 5]| {
        writeln!(out, "{event:36}  {kind:15}  {subject:36}  {time:30}  {reason}")
    };
    row(out, ["EVENT", "TYPE", "SUBJECT", "SET ASIDE", "REASON"])?;
    for event in events {
        let time = event.set_aside_at.format(&Rfc3339).unwrap_or_default();
        let (id, subject) = (event.event_id.to_string(), event.subject.to_string());
        let (kind, reason) = (printable(&event.r#type), printable(&event.reason));
        row(out, [&id, &kind, &subject, &time, &reason])?;
    }
    Ok(())
}
