//! One connection after the other.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use futures::StreamExt as _;
use lapin::{Channel, Connection, ErrorKind, Event, options::BasicQosOptions};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{AmqpError, connect};
use crate::{config::AmqpArgs, health::ReadinessFlag};

const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
/// Spread at random, this may become twice as long.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// A connection that lasted this long was a good one: the next attempt waits the shortest time again.
const LASTING: Duration = Duration::from_secs(10);
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
const STATUS_INTERVAL: Duration = Duration::from_secs(1);
/// Between two questions whether the broker is still there.
const ASK_INTERVAL: Duration = Duration::from_secs(1);
/// Within this time it answers, or it is as good as gone.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(2500);

/// Connects whenever there is no connection, with pauses that grow and are spread at random, and keeps readiness in
/// step. The user takes a connection, works with it until it is lost, and asks for the next:
///
/// ```no_run
/// # use chassis::amqp::{AmqpError, Connections};
/// # async fn work(connection: lapin::Connection) -> Result<(), AmqpError> { Ok(()) }
/// # async fn run(mut connections: Connections) {
/// while let Some(connection) = connections.next().await {
///     connections.ended(work(connection).await);
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Connections {
    args: AmqpArgs,
    name: &'static str,
    ready: ReadinessFlag,
    shutdown: CancellationToken,
    pauses: ExponentialBackoff,
    connected: Option<Instant>,
}

impl Connections {
    /// `name` is shown in RabbitMQ's list of connections; `ready` is for the user to set once all is in place.
    pub fn new(
        args: AmqpArgs,
        name: &'static str,
        ready: ReadinessFlag,
        shutdown: CancellationToken,
    ) -> Self {
        if args.is_default() {
            tracing::warn!(
                event.name = "security.broker.guest",
                "without AMQP_URL this is RabbitMQ's guest on this machine: every account of it may log in as that, read \
                 events and publish them"
            );
        }
        Self {
            args,
            name,
            ready,
            shutdown,
            pauses: pauses(),
            connected: None,
        }
    }

    /// The next connection, as soon as there is one; none at shutdown.
    pub async fn next(&mut self) -> Option<Connection> {
        let shutdown = self.shutdown.clone();
        shutdown.run_until_cancelled(self.connect()).await
    }

    /// Says how the use of the last connection ended.
    pub fn ended(&mut self, outcome: Result<(), AmqpError>) {
        if let Err(error) = outcome {
            self.ready.not_ready("no connection to RabbitMQ");
            tracing::warn!(%error, "the connection to RabbitMQ is lost");
        }
    }

    async fn connect(&mut self) -> Connection {
        if let Some(connected) = self.connected.take() {
            if connected.elapsed() > LASTING {
                self.pauses = pauses();
            }
            self.pause().await;
        }
        loop {
            match connect(&self.args, self.name).await {
                Ok(connection) => {
                    tracing::info!("connected to RabbitMQ");
                    self.connected = Some(Instant::now());
                    return connection;
                }
                Err(error) => {
                    self.ready.not_ready("no connection to RabbitMQ");
                    tracing::warn!(%error, "cannot connect to RabbitMQ; trying again");
                }
            }
            self.pause().await;
        }
    }

    async fn pause(&mut self) {
        tokio::time::sleep(self.pauses.next().unwrap_or(LONGEST_PAUSE)).await;
    }
}

/// Waits until the connection or one of its channels has failed, or the broker doesn't answer any more, and says why.
/// For one caller per connection.
pub async fn lost(connection: &Connection) -> AmqpError {
    let mut events = std::pin::pin!(connection.events_listener());
    let mut looks = tokio::time::interval(STATUS_INTERVAL);
    let mut silence = std::pin::pin!(silence(connection));
    loop {
        tokio::select! {
            error = silence.as_mut() => return error,
            Some(event) = events.next() => match event {
                Event::Error(error) => return error.into(),
                Event::ConnectionBlocked(reason) => tracing::warn!(reason, "RabbitMQ blocks publishers"),
                Event::ConnectionUnblocked => tracing::info!("RabbitMQ takes messages again"),
                _ => {}
            },
            // An orderly end, which is no event.
            _ = looks.tick(), if !connection.status().connected() => {
                return lapin::Error::from(ErrorKind::InvalidConnectionState(lapin::ConnectionState::Closed)).into();
            }
        }
    }
}

/// Asks the broker again and again for a sign of life, on a channel of its own, until it gives none.
async fn silence(connection: &Connection) -> AmqpError {
    let channel = match sign_of_life(connection, connection.create_channel()).await {
        Ok(channel) => channel,
        Err(error) => return error,
    };
    let _lasting = Lasting(Some(channel.clone()));
    loop {
        tokio::time::sleep(ASK_INTERVAL).await;
        // Means nothing without a consumer, needs no permission, and is answered.
        let asked = channel.basic_qos(1, BasicQosOptions::default());
        if let Err(error) = sign_of_life(connection, asked).await {
            return error;
        }
    }
}

/// A channel that is let go only when its connection is closed: lapin breaks off a connection that is to be closed while
/// one of its channels is being closed.
struct Lasting(Option<Channel>);

impl Drop for Lasting {
    fn drop(&mut self) {
        if let (Some(channel), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(async move {
                tokio::time::sleep(2 * CLOSE_TIMEOUT).await;
                drop(channel);
            });
        }
    }
}

async fn sign_of_life<T>(
    connection: &Connection,
    answer: impl Future<Output = lapin::Result<T>>,
) -> Result<T, AmqpError> {
    let mut answer = std::pin::pin!(answer);
    loop {
        match tokio::time::timeout(ANSWER_TIMEOUT, answer.as_mut()).await {
            Ok(answer) => return answer.map_err(AmqpError::Broker),
            // It says so itself, so it is not gone: it answers when it takes messages again.
            Err(_) if connection.status().blocked() => {}
            Err(_) => return Err(AmqpError::Timeout(ANSWER_TIMEOUT)),
        }
    }
}

/// Ends a connection in an orderly way, as far as the broker plays its part in time.
pub async fn close(connection: &Connection) -> Result<(), AmqpError> {
    match tokio::time::timeout(CLOSE_TIMEOUT, connection.close(200, "OK".into())).await {
        Ok(outcome) => outcome.map_err(AmqpError::Broker),
        Err(_) => Err(AmqpError::Timeout(CLOSE_TIMEOUT)),
    }
}

fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(SHORTEST_PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .without_max_times()
        .with_jitter()
        .build()
}
