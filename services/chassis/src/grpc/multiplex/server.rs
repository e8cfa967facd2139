//! The answering side.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::FutureExt as _;
use prost::Message as _;
use proto::multiplex::{Call, Method, Reply};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Response, Status, Streaming};
use tracing::Instrument as _;

use super::super::{
    MAX_MESSAGE_SIZE,
    call::{CallRecord, DEADLINE},
    server::{LONGEST_DEADLINE, Serving},
    status,
    streams::EndsItself,
};
use crate::telemetry::trace;

/// How long a server that stops waits for a caller to close its side. Callers do that at once.
const CLOSING: Duration = Duration::from_secs(2);

/// Answers that wait for their caller to read them. While it does not, no more calls end.
const UNSENT_ANSWERS: usize = 256;

/// The stream of answers.
pub type Answers<M> = ReceiverStream<Result<<M as Method>::Response, Status>>;

/// Answers each of the calls by `answer`, in a task of its own; more at once than the server's limit are refused. To be
/// called by a handler of a gRPC server of [`Service`](crate::Service); an error says that it was not.
pub fn serve<M, F, Fut>(requests: Streaming<M::Request>, answer: F) -> Result<Response<Answers<M>>, Status>
where
    M: Method,
    F: Fn(M::Question) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<M::Answer, Status>> + Send + 'static,
{
    let serving = Serving::current()
        .ok_or_else(|| Status::internal("calls are answered by a server of the chassis"))?;
    let (responses, answers) = mpsc::channel(UNSENT_ANSWERS);
    let tasks = serving.tasks.clone();
    tasks.spawn(read::<M, F, Fut>(requests, answer, responses, serving).instrument(tracing::Span::none()));
    let mut response = Response::new(ReceiverStream::new(answers));
    response.extensions_mut().insert(EndsItself);
    Ok(response)
}

async fn read<M, F, Fut>(
    mut requests: Streaming<M::Request>,
    answer: F,
    responses: mpsc::Sender<Result<M::Response, Status>>,
    serving: Serving,
) where
    M: Method,
    F: Fn(M::Question) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<M::Answer, Status>> + Send + 'static,
{
    let answer = Arc::new(answer);
    let mut closed_by = None;
    loop {
        let request = tokio::select! {
            request = requests.message() => request,
            () = serving.shutdown.cancelled(), if closed_by.is_none() => {
                closed_by = Some(tokio::time::Instant::now() + CLOSING);
                // A caller that is gone needs no word of it.
                drop(responses.send(Ok(M::Response::from((Reply::default(), None)))).await);
                continue;
            }
            () = tokio::time::sleep_until(closed_by.unwrap_or_else(tokio::time::Instant::now)), if closed_by.is_some() => return,
        };
        let (call, question) = match request {
            Ok(Some(request)) => request.into(),
            // The caller closed its side, or is gone: what it had begun goes on.
            Ok(None) => return,
            Err(status) => {
                tracing::debug!(method = M::PATH, %status, "a stream of calls broke");
                return;
            }
        };
        let at_work = match serving.limit.begin() {
            Ok(at_work) => at_work,
            Err(refused) => {
                drop(responses.send(Ok(reply::<M>(call.id, Err(refused)))).await);
                continue;
            }
        };
        let (responses, answer) = (responses.clone(), Arc::clone(&answer));
        serving.tasks.spawn(async move {
            let outcome = answer_one::<M, F, Fut>(&call, question, &*answer).await;
            drop(responses.send(Ok(reply::<M>(call.id, outcome))).await);
            drop(at_work);
        });
    }
}

/// Answers in the call's scope and within its time, and with an error where that panics.
async fn answer_one<M, F, Fut>(call: &Call, question: M::Question, answer: &F) -> Result<M::Answer, Status>
where
    M: Method,
    F: Fn(M::Question) -> Fut,
    Fut: Future<Output = Result<M::Answer, Status>>,
{
    let record = CallRecord::answered(M::PATH, call.trace.as_ref().and_then(trace::parsed));
    let time = Duration::from_millis(call.timeout_millis.into()).min(LONGEST_DEADLINE);
    // The caller has a clock of its own: what comes too late is answered all the same, and was bounded by this deadline.
    // Boxed where it is made, so that what goes around it moves a pointer.
    let answered = Box::pin(async { answer(question).await });
    let outcome = record
        .scope
        .enter(AssertUnwindSafe(DEADLINE.scope(Instant::now() + time, answered)).catch_unwind())
        .await
        .unwrap_or_else(|_| Err(Status::internal("internal error")));
    record.end(outcome.as_ref().map_or_else(Status::code, |_| Code::Ok));
    outcome
}

/// An answer that is too large would end the stream with everybody else's.
fn reply<M: Method>(id: u64, outcome: Result<M::Answer, Status>) -> M::Response {
    let response = match outcome {
        Ok(answer) => M::Response::from((Reply { id, refused: None }, Some(answer))),
        Err(refused) => refusal::<M>(id, &refused),
    };
    if response.encoded_len() > MAX_MESSAGE_SIZE {
        tracing::error!(
            method = M::PATH,
            bytes = response.encoded_len(),
            "an answer is too large"
        );
        return refusal::<M>(id, &Status::internal("the answer is too large"));
    }
    response
}

fn refusal<M: Method>(id: u64, status: &Status) -> M::Response {
    let refused = Some(status::to_pb(status));
    M::Response::from((Reply { id, refused }, None))
}
