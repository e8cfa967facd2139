//! The calling side.

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::Stream;
use http::uri::PathAndQuery;
use prost::Message as _;
use proto::{
    multiplex::{Call, Method, Reply},
    trace::TraceContext,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    time::{Instant, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status, Streaming, client::Grpc};
use tonic_prost::ProstCodec;
use tracing::Instrument as _;

use super::super::{
    ClientChannel, DEFAULT_DEADLINE, MAX_MESSAGE_SIZE, attempt,
    call::{CallRecord, time_left},
    resolve::{Peer, Peers},
    status,
};

/// The most calls that are under way to a replica. One more is refused: it would not be served sooner by waiting here.
const MOST_CALLS: usize = 2_048;
/// How often a call that could not be sent to one replica is sent to another.
const TRIES: usize = 3;
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);
/// A replica of the version before does not know the method. Its successor may have its address.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// Calls of one method to all replicas of a service, over a stream to each. Cheap to clone.
pub struct Multiplexer<M: Method> {
    channel: ClientChannel,
    lines: Arc<Mutex<HashMap<SocketAddr, Line<M>>>>,
}

impl<M: Method> Clone for Multiplexer<M> {
    fn clone(&self) -> Self {
        Self {
            channel: self.channel.clone(),
            lines: Arc::clone(&self.lines),
        }
    }
}

impl<M: Method> fmt::Debug for Multiplexer<M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Multiplexer").field(&M::PATH).finish()
    }
}

/// What there is to one replica.
enum Line<M: Method> {
    Open(Calls<M>),
    /// It does not know the method.
    Unknown {
        until: Instant,
    },
}

/// Where calls wait to be sent.
struct Calls<M: Method> {
    queue: mpsc::Sender<Waiting<M>>,
    room: Arc<Semaphore>,
}

impl<M: Method> Clone for Calls<M> {
    fn clone(&self) -> Self {
        Self {
            queue: self.queue.clone(),
            room: Arc::clone(&self.room),
        }
    }
}

/// A call that is to be sent.
struct Waiting<M: Method> {
    question: M::Question,
    trace: TraceContext,
    deadline: Instant,
    caller: Caller<M>,
}

/// Who waits for an answer, with its place among those under way.
struct Caller<M: Method> {
    reply: oneshot::Sender<Outcome<M>>,
    _place: OwnedSemaphorePermit,
}

enum Outcome<M: Method> {
    Answered(M::Answer),
    Refused(Status),
    /// The stream ended before the call was sent: another replica may have it.
    Unsent(M::Question),
    Unknown(Unknown<M>),
}

/// What was not asked, for the replica does not know the method.
struct Unknown<M: Method>(M::Question);

/// The calls that were sent and are not answered; none once the stream is over.
type Sent<M> = Arc<Mutex<Option<HashMap<u64, Caller<M>>>>>;

impl<M: Method> Multiplexer<M> {
    /// Calls the replicas of that channel.
    pub fn new(channel: ClientChannel) -> Self {
        Self {
            channel,
            lines: Arc::default(),
        }
    }

    /// Makes a call; `before` makes it as the version before this method did, where the replica whose turn it is does not
    /// know the method. As of a unary call, UNAVAILABLE says that it may or may not have been done.
    pub async fn call<Fut>(
        &self,
        question: M::Question,
        before: impl FnOnce(M::Question) -> Fut,
    ) -> Result<M::Answer, Status>
    where
        Fut: Future<Output = Result<M::Answer, Status>>,
    {
        let record = CallRecord::made(M::PATH);
        self.channel.describe(record.scope.span());
        let trace = record.scope.context();
        let sent = self.channel.within_limit(self.send(question, trace), |_| None);
        let sent = record.scope.enter(sent).await;
        record.end(match &sent {
            Ok(Ok(_)) => Code::Ok,
            Ok(Err(Unknown(_))) => Code::Unimplemented,
            Err(status) => status.code(),
        });
        match sent? {
            Ok(answer) => Ok(answer),
            Err(Unknown(question)) => before(question).await,
        }
    }

    async fn send(
        &self,
        mut question: M::Question,
        trace: TraceContext,
    ) -> Result<Result<M::Answer, Unknown<M>>, Status> {
        let peers = self.channel.peers();
        let deadline = Instant::now() + time_left(DEFAULT_DEADLINE);
        for _ in 0..TRIES {
            let peer = attempt::first(peers, deadline).await?;
            let Some(calls) = self.line(&peer) else {
                return Ok(Err(Unknown(question)));
            };
            let (reply, outcome) = oneshot::channel();
            let Ok(place) = Arc::clone(&calls.room).try_acquire_owned() else {
                return Err(busy(peers));
            };
            let waiting = Waiting {
                question,
                trace: trace.clone(),
                deadline,
                caller: Caller { reply, _place: place },
            };
            match calls.queue.try_send(waiting) {
                Ok(()) => {}
                // It has just ended.
                Err(mpsc::error::TrySendError::Closed(waiting)) => {
                    self.forget(peer.socket, &calls);
                    question = waiting.question;
                    continue;
                }
                // There is room for as many as have a place.
                Err(mpsc::error::TrySendError::Full(_)) => return Err(busy(peers)),
            }
            match timeout_at(deadline, outcome).await {
                Ok(Ok(Outcome::Answered(answer))) => {
                    attempt::heard_from(peers, peer.socket, None);
                    return Ok(Ok(answer));
                }
                Ok(Ok(Outcome::Refused(status))) => {
                    attempt::heard_from(peers, peer.socket, Some(&status));
                    return Err(status);
                }
                // Of such a replica there is nothing to say.
                Ok(Ok(Outcome::Unknown(unknown))) => return Ok(Err(unknown)),
                Ok(Ok(Outcome::Unsent(unsent))) => {
                    self.forget(peer.socket, &calls);
                    peers.broke(peer.socket);
                    question = unsent;
                }
                Ok(Err(_)) => {
                    self.forget(peer.socket, &calls);
                    peers.broke(peer.socket);
                    return Err(attempt::unavailable(peers));
                }
                Err(_) => {
                    peers.late(peer.socket);
                    return Err(attempt::late(peers));
                }
            }
        }
        Err(attempt::unavailable(peers))
    }

    /// The stream to that replica, opened where there is none. None where it does not know the method.
    fn line(&self, peer: &Peer) -> Option<Calls<M>> {
        let mut lines = self.lines();
        match lines.get(&peer.socket) {
            Some(Line::Open(calls)) if !calls.queue.is_closed() => return Some(calls.clone()),
            Some(Line::Unknown { until }) if *until > Instant::now() => return None,
            _ => {}
        }
        lines.retain(|_, line| match line {
            Line::Open(calls) => !calls.queue.is_closed(),
            Line::Unknown { until } => *until > Instant::now(),
        });
        let (queue, waiting) = mpsc::channel(MOST_CALLS);
        let calls = Calls {
            queue,
            room: Arc::new(Semaphore::new(MOST_CALLS)),
        };
        lines.insert(peer.socket, Line::Open(calls.clone()));
        let stream = run(
            peer.clone(),
            self.channel.clone(),
            waiting,
            Arc::clone(&self.lines),
        );
        tokio::spawn(stream.instrument(tracing::Span::none()));
        Some(calls)
    }

    /// Opens a new stream at the next call, unless that was done already.
    fn forget(&self, socket: SocketAddr, old: &Calls<M>) {
        let mut lines = self.lines();
        if let Some(Line::Open(calls)) = lines.get(&socket)
            && calls.queue.same_channel(&old.queue)
        {
            lines.remove(&socket);
        }
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<SocketAddr, Line<M>>> {
        lock(&self.lines)
    }
}

/// One stream from its opening to its end. It ends with the last that calls on it, or when the server stops.
async fn run<M: Method>(
    peer: Peer,
    channel: ClientChannel,
    waiting: mpsc::Receiver<Waiting<M>>,
    lines: Arc<Mutex<HashMap<SocketAddr, Line<M>>>>,
) {
    let sent: Sent<M> = Arc::new(Mutex::new(Some(HashMap::new())));
    let mut queue = Queue(waiting);
    // Nothing is sent before it is known that the replica knows the method.
    let (opened, once_open) = oneshot::channel();
    let closing = CancellationToken::new();
    let requests = requests(once_open, Arc::clone(&sent), closing.clone());
    // Who calls holds the lines: they must not hold themselves.
    let lines = {
        let weak = Arc::downgrade(&lines);
        drop(lines);
        weak
    };
    let peers = Arc::clone(channel.peers());
    drop(channel);
    let ended = match timeout(OPEN_TIMEOUT, open::<M>(&peer, requests)).await {
        Ok(Ok(responses)) => {
            // Where the other side is gone already, this drops the queue.
            drop(opened.send(queue));
            let stopping = || {
                peers.broke(peer.socket);
                closing.cancel();
            };
            answer(responses, &sent, stopping).await
        }
        Ok(Err(status)) if status.code() == Code::Unimplemented => {
            if let Some(lines) = lines.upgrade() {
                let until = Instant::now() + ASK_AGAIN;
                lock(&lines).insert(peer.socket, Line::Unknown { until });
            }
            queue.hand_back(|question| Outcome::Unknown(Unknown(question)));
            return;
        }
        Ok(Err(status)) => Err(status),
        Err(_) => Err(Status::new(
            Code::DeadlineExceeded,
            "the stream was not opened in time",
        )),
    };
    closing.cancel();
    // Dropping those that are not answered tells them that nobody knows.
    let unanswered = lock(&sent).take().unwrap_or_default();
    if let Err(status) = ended {
        tracing::debug!(address = %peer.socket, %status, unanswered = unanswered.len(), "a stream of calls broke");
    }
}

async fn open<M: Method>(
    peer: &Peer,
    requests: impl Stream<Item = M::Request> + Send + 'static,
) -> Result<Streaming<M::Response>, Status> {
    let mut client = Grpc::new(peer.channel.clone());
    client
        .ready()
        .await
        .map_err(|error| Status::unavailable(error.to_string()))?;
    let path = PathAndQuery::from_static(M::PATH);
    let codec = ProstCodec::<M::Request, M::Response>::default();
    let response = client
        .streaming(tonic::Request::new(requests), path, codec)
        .await?;
    Ok(response.into_inner())
}

/// Hands each answer to its caller, until the stream ends.
async fn answer<M: Method>(
    mut responses: Streaming<M::Response>,
    sent: &Sent<M>,
    stopping: impl Fn(),
) -> Result<(), Status> {
    while let Some(response) = responses.message().await? {
        let (Reply { id, refused }, answer) = response.into();
        if id == 0 {
            stopping();
            continue;
        }
        let Some(caller) = lock(sent).as_mut().and_then(|sent| sent.remove(&id)) else {
            continue;
        };
        let outcome = match (refused, answer) {
            (Some(refused), _) => Outcome::Refused(status::from_pb(&refused)),
            (None, Some(answer)) => Outcome::Answered(answer),
            (None, None) => Outcome::Refused(Status::internal("the call has no answer")),
        };
        // A caller that gave up wants no answer.
        drop(caller.reply.send(outcome));
    }
    Ok(())
}

/// The calls that wait, as messages, once the stream is open; closed when `closing` says so and all that waited are sent.
fn requests<M: Method>(
    once_open: oneshot::Receiver<Queue<M>>,
    sent: Sent<M>,
    closing: CancellationToken,
) -> impl Stream<Item = M::Request> + Send {
    async_stream::stream! {
        let Ok(mut queue) = once_open.await else { return };
        let mut id = 0;
        loop {
            let next = tokio::select! {
                next = queue.0.recv() => next,
                () = closing.cancelled(), if !queue.0.is_closed() => {
                    queue.0.close();
                    continue;
                }
            };
            let Some(Waiting { question, trace, deadline, caller }) = next else { break };
            if caller.reply.is_closed() {
                continue;
            }
            let Some(timeout_millis) = millis_until(deadline) else { continue };
            id += 1;
            let request = M::Request::from((Call { id, timeout_millis, trace: Some(trace) }, question));
            if request.encoded_len() > MAX_MESSAGE_SIZE {
                let status = Status::new(Code::ResourceExhausted, "the message is too large");
                drop(caller.reply.send(Outcome::Refused(status)));
                continue;
            }
            let over = {
                match lock(&sent).as_mut() {
                    Some(sent) => {
                        sent.insert(id, caller);
                        None
                    }
                    None => Some(caller),
                }
            };
            if let Some(caller) = over {
                let (_, question) = request.into();
                drop(caller.reply.send(Outcome::Unsent(question)));
                break;
            }
            yield request;
        }
    }
}

/// What is left in it when the stream breaks was not sent.
struct Queue<M: Method>(mpsc::Receiver<Waiting<M>>);

impl<M: Method> Queue<M> {
    fn hand_back(&mut self, outcome: impl Fn(M::Question) -> Outcome<M>) {
        self.0.close();
        while let Ok(Waiting { question, caller, .. }) = self.0.try_recv() {
            // A caller that gave up wants no answer.
            drop(caller.reply.send(outcome(question)));
        }
    }
}

impl<M: Method> Drop for Queue<M> {
    fn drop(&mut self) {
        self.hand_back(Outcome::Unsent);
    }
}

fn millis_until(deadline: Instant) -> Option<u32> {
    let left = deadline.checked_duration_since(Instant::now())?;
    u32::try_from(left.as_millis()).ok().filter(|left| *left > 0)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn busy(peers: &Peers) -> Status {
    status::with_reason(
        Code::ResourceExhausted,
        "BUSY",
        format!("too many calls to {} are under way", peers.name),
    )
}
