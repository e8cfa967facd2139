//! RabbitMQ: how to connect, and the one place where exchanges and queues are written down ([`topology`]).
//!
//! A connection is not mended but replaced: whoever uses one keeps it in a loop that connects, works until an error
//! and connects again. lapin's own recovery restores connections but not what happened to single channels, and a
//! fresh start is the same code as the first one.

mod connections;
pub mod topology;

use std::time::Duration;

use lapin::{Connection, ConnectionProperties, uri::AMQPUri};
use secrecy::ExposeSecret as _;

use crate::config::{AmqpArgs, ConfigError};

pub use connections::{Connections, close, lost};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum AmqpError {
    /// The URL is missing or no URL.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The broker refused, or the connection broke.
    #[error("RabbitMQ: {0}")]
    Broker(#[from] lapin::Error),
    /// The broker did not answer.
    #[error("RabbitMQ did not answer within {0:?}")]
    Timeout(Duration),
    /// The broker ended a subscription, for example because its queue was deleted.
    #[error("RabbitMQ ended the subscription")]
    Cancelled,
}

/// Connects once, with the URL as it is now. `name` is shown in RabbitMQ's list of connections.
pub async fn connect(args: &AmqpArgs, name: &str) -> Result<Connection, AmqpError> {
    let url = args.url()?;
    let mut uri: AMQPUri = url
        .expose_secret()
        .parse()
        .map_err(|reason| ConfigError::Invalid {
            variable: "AMQP_URL",
            reason,
        })?;
    if uri.vhost.is_empty() {
        // `amqp://host/` means the virtual host of no name to the letter, and the default one to everybody.
        "/".clone_into(&mut uri.vhost);
    }
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    tokio::time::timeout(CONNECT_TIMEOUT, Connection::connect_uri(uri, properties))
        .await
        .map_err(|_| AmqpError::Timeout(CONNECT_TIMEOUT))?
        .map_err(AmqpError::Broker)
}
