//! RabbitMQ: how to connect, and the one place where exchanges and queues are written down ([`topology`]).
//!
//! A connection is not mended but replaced: whoever uses one keeps it in a loop that connects, works until an error
//! and connects again. lapin's own recovery restores connections but not what happened to single channels, and a
//! fresh start is the same code as the first one.
//!
//! A broker that has fallen silent, or whose packets get lost, is found within a few seconds: a connection is asked for
//! an answer every second ([`lost`]). Heartbeats and the limits of its socket end what is left of such a connection on
//! both sides, so that the broker hands the deliveries that went there to somebody else.

mod connections;
mod socket;
pub mod topology;

use std::time::Duration;

use lapin::{
    AsyncTcpStream, Connection, ConnectionProperties,
    tcp::TLSConfig,
    uri::{AMQPScheme, AMQPUri},
};
use secrecy::ExposeSecret as _;

use crate::config::{AmqpArgs, ConfigError};

pub use connections::{Connections, close, lost};

/// For the socket and all steps of AMQP on it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// In seconds; both sides send twice as often, and give up after twice as long. Less is known for false alarms.
const HEARTBEAT: u16 = 5;

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
    uri.query.heartbeat.get_or_insert(HEARTBEAT);
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    let connecting = Connection::connector(
        uri,
        lapin::runtime::default_runtime()?,
        async |uri, runtime| {
            let connecting = async {
                let addr = runtime.to_socket_addrs((uri.authority.host.clone(), uri.authority.port));
                let stream = AsyncTcpStream::connect(&runtime, addr).await?;
                if let AsyncTcpStream::Plain(stream) = &stream {
                    socket::watch_peer(stream.get_ref())?;
                }
                match uri.scheme {
                    AMQPScheme::AMQP => Ok(stream),
                    AMQPScheme::AMQPS => stream.into_tls(&uri.authority.host, TLSConfig::default()).await,
                }
            };
            Ok(socket::in_time(connecting).await?)
        },
        properties,
    );
    tokio::time::timeout(CONNECT_TIMEOUT, connecting)
        .await
        .map_err(|_| AmqpError::Timeout(CONNECT_TIMEOUT))?
        .map_err(AmqpError::Broker)
}
