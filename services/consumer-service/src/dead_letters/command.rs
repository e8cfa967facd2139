//! The subcommand `dead-letters`.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use chassis::{config::AmqpArgs, terminal::printable};
use time::format_description::well_known::Rfc3339;

use super::{DeadLetter, DeadLetterError, Redriven};

/// What to do with the dead letters.
#[derive(clap::Subcommand, Clone, Debug)]
pub enum Command {
    /// Show the oldest of them; they stay where they are.
    List {
        /// How many to show at most.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        limit: u32,
        /// One JSON object a line, instead of a table.
        #[arg(long)]
        json: bool,
    },
    /// Put them back into the queue they came from, the oldest first.
    Redrive {
        /// Only the message of this id.
        #[arg(long)]
        message_id: Option<String>,
        /// How many to put back at most. [default: all]
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
        limit: Option<u32>,
    },
    /// Delete all of them, for good.
    Purge {
        /// Really.
        #[arg(long)]
        yes: bool,
    },
}

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error(transparent)]
    DeadLetters(#[from] DeadLetterError),
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
    #[error("{count} put back, then: {source}")]
    Interrupted { count: u32, source: DeadLetterError },
    #[error("there is no dead letter of id {0:?}")]
    NotFound(String),
    #[error("this would delete {0} dead letters for good; say --yes to do it")]
    Unconfirmed(u32),
}

/// Runs the subcommand in a process of its own: results on standard output, what went wrong on standard error.
pub fn run(args: &AmqpArgs, command: &Command) -> ExitCode {
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CommandError::Output)
        .and_then(|runtime| runtime.block_on(execute(args, command, &mut io::stdout())));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("consumer-service dead-letters: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn execute(args: &AmqpArgs, command: &Command, out: &mut impl Write) -> Result<(), CommandError> {
    match command {
        Command::List { limit, json } => {
            let letters = super::list(args, *limit).await?.letters;
            if *json {
                write_json(&letters, out)
            } else {
                write_table(&letters, out)
            }
        }
        Command::Redrive { message_id, limit } => {
            let Redriven { count, outcome, .. } =
                super::redrive(args, message_id.as_deref(), limit.unwrap_or(u32::MAX)).await?;
            outcome.map_err(|source| CommandError::Interrupted { count, source })?;
            match message_id {
                Some(id) if count == 0 => Err(CommandError::NotFound(id.clone())),
                _ => Ok(writeln!(out, "{count} put back")?),
            }
        }
        Command::Purge { yes: true } => Ok(writeln!(out, "{} deleted", super::purge(args).await?)?),
        Command::Purge { yes: false } => Err(CommandError::Unconfirmed(super::count(args).await?)),
    }
}

fn write_json(letters: &[DeadLetter], out: &mut impl Write) -> Result<(), CommandError> {
    for letter in letters {
        serde_json::to_writer(&mut *out, letter).map_err(io::Error::from)?;
        writeln!(out)?;
    }
    Ok(())
}

fn write_table(letters: &[DeadLetter], out: &mut impl Write) -> Result<(), CommandError> {
    let row = |out: &mut dyn Write, cells: [&str; 5]| {
        let [id, kind, subject, reason, time] = cells;
        writeln!(out, "{id:36}  {kind:15}  {subject:36}  {reason:14}  {time}")
    };
    row(out, ["MESSAGE", "TYPE", "SUBJECT", "REASON", "TIME"])?;
    for letter in letters {
        let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let time = letter.time.and_then(|time| time.format(&Rfc3339).ok());
        row(
            out,
            [
                &printable(&or_dash(&letter.message_id)),
                &printable(&or_dash(&letter.kind)),
                &printable(&or_dash(&letter.subject)),
                &printable(&or_dash(&letter.reason)),
                &or_dash(&time),
            ],
        )?;
    }
    Ok(())
}
