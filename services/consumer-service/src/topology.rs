//! The subcommand `declare-topology`: the exchanges and queues, declared once by a login that may, so that the services
//! themselves need no right to.

use std::{io, process::ExitCode, time::Duration};

use chassis::{
    amqp::{self, AmqpError, topology},
    config::AmqpArgs,
};
use tokio::time::timeout;

/// For all of it: a few answers of the broker.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
enum DeclareError {
    #[error(transparent)]
    Amqp(#[from] AmqpError),
    #[error("cannot begin: {0}")]
    Runtime(#[from] io::Error),
}

/// Runs the subcommand in a process of its own; what went wrong goes to standard error.
pub fn run(args: &AmqpArgs) -> ExitCode {
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(DeclareError::Runtime)
        .and_then(|runtime| runtime.block_on(declare(args)).map_err(DeclareError::Amqp));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("consumer-service declare-topology: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn declare(args: &AmqpArgs) -> Result<(), AmqpError> {
    let declaring = async {
        let connection = amqp::connect(args, "consumer-service declare-topology").await?;
        // Kept until the connection is closed: a channel that is closing by itself would be in its way.
        let channel = connection.create_channel().await?;
        topology::declare(&channel).await?;
        amqp::close(&connection).await
    };
    timeout(TIMEOUT, declaring)
        .await
        .map_err(|_| AmqpError::Timeout(TIMEOUT))?
}
