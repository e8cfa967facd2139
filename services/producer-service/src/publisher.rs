//! Publishing with confirms over one supervised connection.
//!
//! A batch has a channel to itself until the broker has spoken about each of its messages. That keeps the batch's
//! order, bounds what is in flight, and makes sure that a message the broker returns is one of the batch: lapin hands
//! a returned message over with whichever confirm of the channel comes next, so it is told by its id, never by its
//! place.

use std::{
    collections::HashSet,
    mem,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chassis::{
    amqp::{self, AmqpError, topology},
    config::AmqpArgs,
    health::ReadinessFlag,
};
use futures::{FutureExt as _, future::MaybeDone};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection,
    options::{BasicPublishOptions, ConfirmSelectOptions},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{Instant, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

/// Within this time the broker has confirmed, or it is as good as gone. Shorter than a call's own deadline, so that
/// the caller gets the better answer.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(3);
/// For the declarations at the start of a connection.
const DECLARE_TIMEOUT: Duration = Duration::from_secs(3);

/// A message ready to be sent.
#[derive(Debug)]
pub struct Message {
    /// The event's id, which is the message's.
    pub id: String,
    /// The event's type.
    pub routing_key: String,
    /// Whether it is an error that no queue takes it. The broker says so of every message.
    pub mandatory: bool,
    /// The envelope.
    pub body: Vec<u8>,
    /// Content type, trace context and so on.
    pub properties: BasicProperties,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The broker has it, and so does a queue where the message was mandatory.
    Published,
    /// The broker has no queue for it, and somebody must get it.
    Unroutable,
    /// The broker has no queue for it, and nobody has to get it.
    Unheard,
    /// The broker refused it for now.
    Nacked,
    /// The connection was lost before the broker answered; it may have been published.
    Unknown,
}

/// Why a whole batch was not published. Where it was begun already, part of it may have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// There is no connection at present.
    #[error("the message broker cannot be reached")]
    Disconnected,
    /// The broker is short of memory or disk and takes no messages at present.
    #[error("the message broker blocks publishers")]
    Blocked,
    /// Too many batches are at work.
    #[error("too many batches are being published")]
    Busy,
    /// No answer in time.
    #[error("the message broker did not confirm in time")]
    TimedOut,
}

/// Publishes batches. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Publisher {
    session: watch::Receiver<Option<Arc<Session>>>,
}

/// Keeps the [`Publisher`] connected.
#[derive(Debug)]
pub struct Supervisor {
    session: watch::Sender<Option<Arc<Session>>>,
    concurrency: usize,
}

/// A publisher, and what keeps it connected. `concurrency`: the most batches in flight.
pub fn publisher(concurrency: usize) -> (Publisher, Supervisor) {
    let (sender, receiver) = watch::channel(None);
    (
        Publisher { session: receiver },
        Supervisor {
            session: sender,
            concurrency,
        },
    )
}

impl Publisher {
    /// Publishes the messages in their order and says what became of each, in the same order.
    pub async fn publish(&self, messages: Vec<Message>) -> Result<Vec<Outcome>, PublishError> {
        let session = self.session.borrow().clone().ok_or(PublishError::Disconnected)?;
        if session.blocked() {
            return Err(PublishError::Blocked);
        }
        let deadline = Instant::now() + CONFIRM_TIMEOUT;
        let lease = session.lease(deadline).await?;
        // In a task of its own: the lease ends with the last confirm, not with the caller's patience.
        let publishing = tokio::spawn(lease.publish(messages, deadline));
        match timeout_at(deadline + Duration::from_millis(100), publishing).await {
            Ok(Ok(outcomes)) => Ok(outcomes),
            Ok(Err(_)) => Err(PublishError::Disconnected),
            Err(_) if session.blocked() => Err(PublishError::Blocked),
            Err(_) => Err(PublishError::TimedOut),
        }
    }
}

impl Supervisor {
    /// Connects, and connects again whenever the connection is lost, until shutdown; then lets the batches in flight
    /// finish.
    pub async fn run(self, args: AmqpArgs, broker: ReadinessFlag, shutdown: CancellationToken) {
        let declare = args.amqp_declare_topology;
        let mut connections =
            amqp::Connections::new(args, "producer-service", broker.clone(), shutdown.clone());
        while let Some(connection) = connections.next().await {
            connections.ended(self.session(connection, declare, &broker, &shutdown).await);
        }
    }

    /// One connection's life: ends when it is lost, or cleanly at shutdown.
    async fn session(
        &self,
        connection: Connection,
        declare: bool,
        broker: &ReadinessFlag,
        shutdown: &CancellationToken,
    ) -> Result<(), AmqpError> {
        if declare {
            timeout(DECLARE_TIMEOUT, async {
                topology::declare(&connection.create_channel().await?).await
            })
            .await
            .map_err(|_| AmqpError::Timeout(DECLARE_TIMEOUT))??;
        }
        let session = Arc::new(Session::new(connection, self.concurrency));
        self.session.send_replace(Some(Arc::clone(&session)));
        broker.ready();
        let outcome = tokio::select! {
            error = amqp::lost(&session.connection) => Err(error),
            () = session.failed.cancelled() => Err(AmqpError::Timeout(CONFIRM_TIMEOUT)),
            () = shutdown.cancelled() => {
                session.drain().await;
                Ok(())
            }
        };
        self.session.send_replace(None);
        session.close().await;
        outcome
    }
}

#[derive(Debug)]
struct Session {
    connection: Connection,
    idle: Mutex<Vec<Channel>>,
    permits: Arc<Semaphore>,
    concurrency: usize,
    /// Set when a confirm stays out: nothing is known about this connection any more.
    failed: CancellationToken,
}

impl Session {
    fn new(connection: Connection, concurrency: usize) -> Self {
        Self {
            connection,
            idle: Mutex::default(),
            permits: Arc::new(Semaphore::new(concurrency)),
            concurrency,
            failed: CancellationToken::new(),
        }
    }

    fn blocked(&self) -> bool {
        self.connection.status().blocked()
    }

    /// A channel for one batch, opened where none is idle.
    async fn lease(self: &Arc<Self>, deadline: Instant) -> Result<Lease, PublishError> {
        let Ok(permit) = timeout_at(deadline, Arc::clone(&self.permits).acquire_owned()).await else {
            return Err(if self.blocked() {
                PublishError::Blocked
            } else {
                PublishError::Busy
            });
        };
        let permit = permit.map_err(|_| PublishError::Disconnected)?;
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let channel = match idle {
            Some(channel) => channel,
            None => match timeout_at(deadline, self.open_channel()).await {
                Ok(channel) => channel.map_err(|_| PublishError::Disconnected)?,
                Err(_) if self.blocked() => return Err(PublishError::Blocked),
                Err(_) => {
                    self.failed.cancel();
                    return Err(PublishError::TimedOut);
                }
            },
        };
        Ok(Lease {
            session: Arc::clone(self),
            channel,
            _permit: permit,
        })
    }

    async fn open_channel(&self) -> lapin::Result<Channel> {
        let channel = self.connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(channel)
    }

    /// Waits until no batch is in flight, within the time that confirms have.
    async fn drain(&self) {
        let all = u32::try_from(self.concurrency).unwrap_or(u32::MAX);
        if timeout(CONFIRM_TIMEOUT, self.permits.acquire_many(all))
            .await
            .is_err()
        {
            tracing::warn!("batches were still in flight at shutdown; their senders will send them again");
        }
    }

    async fn close(&self) {
        self.permits.close();
        // Most often it is lost already, which is no news.
        if let Err(error) = amqp::close(&self.connection).await {
            tracing::debug!(%error, "the connection was not closed cleanly");
        }
    }
}

/// The right to publish one batch, and the channel to do it on.
struct Lease {
    session: Arc<Session>,
    channel: Channel,
    _permit: OwnedSemaphorePermit,
}

/// A message on its way to its confirm.
type Sending<F> = Pin<Box<MaybeDone<F>>>;

impl Lease {
    async fn publish(self, messages: Vec<Message>, mut deadline: Instant) -> Vec<Outcome> {
        let (sent, sends): (Vec<_>, Vec<_>) = messages
            .into_iter()
            .map(|mut message| {
                let sent = (mem::take(&mut message.id), message.mandatory);
                (sent, self.send(message))
            })
            .unzip();
        let mut returned = HashSet::new();
        let mut outcomes = Vec::with_capacity(sends.len());
        for send in sends {
            let Some(confirmation) = self.confirmation(send, &mut deadline).await else {
                // A return may have come with the confirm that is given up: nothing of the batch is certain.
                return vec![Outcome::Unknown; sent.len()];
            };
            outcomes.push(match &confirmation {
                Ok(Confirmation::Ack(_)) => Outcome::Published,
                Ok(_) => Outcome::Nacked,
                Err(error) => {
                    tracing::debug!(%error, "a message was not confirmed");
                    Outcome::Unknown
                }
            });
            let back = confirmation.ok().and_then(Confirmation::take_message);
            let id = back.and_then(|message| message.properties.message_id().clone());
            returned.extend(id.map(String::from));
        }
        for (outcome, (id, mandatory)) in outcomes.iter_mut().zip(&sent) {
            if *outcome == Outcome::Published && returned.contains(id) {
                *outcome = if *mandatory {
                    Outcome::Unroutable
                } else {
                    Outcome::Unheard
                };
            }
        }
        self.give_back();
        outcomes
    }

    /// Puts the message on its way: being polled once queues its frames, so the order of these calls is the order on
    /// the wire, and none waits for another.
    fn send(&self, message: Message) -> Sending<impl Future<Output = lapin::Result<Confirmation>>> {
        let mut send = Box::pin(futures::future::maybe_done(async move {
            let options = BasicPublishOptions {
                mandatory: true,
                immediate: false,
            };
            let Message {
                routing_key,
                body,
                properties,
                ..
            } = message;
            self.channel
                .basic_publish(
                    topology::EXCHANGE.into(),
                    routing_key.into(),
                    options,
                    &body,
                    properties,
                )
                .await?
                .await
        }));
        // Whoever waits for it later polls again, with a waker.
        let _ = send.as_mut().now_or_never();
        send
    }

    /// What the broker said, or that the connection was lost; none where the broker said nothing and is given up.
    async fn confirmation<F>(
        &self,
        mut send: Sending<F>,
        deadline: &mut Instant,
    ) -> Option<lapin::Result<Confirmation>>
    where
        F: Future<Output = lapin::Result<Confirmation>>,
    {
        while timeout_at(*deadline, send.as_mut()).await.is_err() {
            if self.session.blocked() {
                // It says so itself, so it is not gone: the messages go out when it takes them again.
                *deadline = Instant::now() + CONFIRM_TIMEOUT;
            } else {
                self.session.failed.cancel();
                return None;
            }
        }
        send.as_mut().take_output()
    }

    fn give_back(self) {
        if self.channel.status().connected() && !self.session.failed.is_cancelled() {
            self.session
                .idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(self.channel);
        }
    }
}
