//! The answering side of gRPC.
//!
//! Each call is answered in a task of its own, which goes on when the caller hangs up or its deadline passes: what was
//! begun is finished, and no database session is thrown away for it (see [`crate::postgres`]). Its time is bounded all
//! the same, by the deadlines of its calls and of its statements.

use std::{
    convert::Infallible,
    future::{self, Future},
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use http::{Request, Response};
use tokio::{net::TcpListener, time::timeout_at};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{Code, Status, body::Body, service::Routes, transport::Server};
use tower::{Layer, Service};

use super::{
    DEFAULT_DEADLINE,
    call::{CallRecord, DEADLINE, code_of, read_timeout},
    callers::CheckCallers,
    incoming::{Peer, connections},
    limit::Limit,
    method,
    streams::EndStreams,
};
use crate::{
    connections::{Answering, Work},
    health::Health,
    telemetry::trace,
    tls::Tls,
};

/// No caller may ask for longer than this.
pub(super) const LONGEST_DEADLINE: Duration = Duration::from_secs(30);
const MAX_CONCURRENT_STREAMS: u32 = 1024;
const HEALTH_INTERVAL: Duration = Duration::from_secs(2);

pub(crate) async fn serve(
    routes: Routes,
    listener: TcpListener,
    tls: Option<Tls>,
    most_calls: u16,
    health: Health,
    tasks: TaskTracker,
    shutdown: CancellationToken,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let (reporter, health_service) = tonic_health::server::health_reporter();
    tasks.spawn(report_health(reporter, health, shutdown.clone()));
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(proto::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    let limit = Limit::of(most_calls);
    let mut server = Server::builder();
    if let Some(tls) = tls {
        server = server.tls_config(tls.server())?;
    }
    server
        .tcp_keepalive(Some(Duration::from_mins(1)))
        .http2_keepalive_interval(Some(Duration::from_secs(20)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)))
        .max_concurrent_streams(MAX_CONCURRENT_STREAMS)
        .layer(EndStreams::at(shutdown.clone()))
        .layer(AnswerLayer {
            serving: Serving {
                tasks,
                shutdown: shutdown.clone(),
                limit: limit.clone(),
            },
        })
        // Inside: a refusal has its span, which its log line is of.
        .layer(CheckCallers)
        // Inside: a call has its place until its task ends, also where the caller has gone.
        .layer(limit)
        .add_routes(routes)
        .add_service(health_service)
        .add_service(reflection)
        .serve_with_incoming_shutdown(connections(listener), shutdown.cancelled_owned())
        .await?;
    Ok(())
}

/// Keeps the standard health service in step with readiness.
async fn report_health(
    reporter: tonic_health::server::HealthReporter,
    health: Health,
    shutdown: CancellationToken,
) {
    loop {
        let serving = health.problems().await.is_empty() && !shutdown.is_cancelled();
        let status = if serving {
            tonic_health::ServingStatus::Serving
        } else {
            tonic_health::ServingStatus::NotServing
        };
        reporter.set_service_status("", status).await;
        if shutdown.is_cancelled() {
            return;
        }
        // Cancelled or not, the status is reported once more.
        let _ended = shutdown
            .run_until_cancelled(tokio::time::sleep(HEALTH_INTERVAL))
            .await;
    }
}

/// The server that a call is answered by.
#[derive(Clone, Debug)]
pub(super) struct Serving {
    /// What it waits for before it ends.
    pub(super) tasks: TaskTracker,
    pub(super) shutdown: CancellationToken,
    /// Which the calls that share a stream have their places of, too.
    pub(super) limit: Limit,
}

tokio::task_local! {
    static SERVING: Serving;
}

impl Serving {
    /// Of the call that is being answered; none outside of any.
    pub(super) fn current() -> Option<Self> {
        SERVING.try_with(Clone::clone).ok()
    }
}

#[derive(Clone)]
struct AnswerLayer {
    serving: Serving,
}

impl<S> Layer<S> for AnswerLayer {
    type Service = Answer<S>;

    fn layer(&self, inner: S) -> Answer<S> {
        Answer {
            inner,
            serving: self.serving.clone(),
        }
    }
}

/// Gives each call its span, its deadline and its own task.
#[derive(Clone)]
struct Answer<S> {
    inner: S,
    serving: Serving,
}

impl<S> Service<Request<Body>> for Answer<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The probes of a load balancer are no part of anybody's trace.
        if method::is_probe(request.uri().path()) {
            return Box::pin(self.inner.call(request));
        }
        let work = match Peer::of(request.extensions()).map(|peer| Work::begin(&peer.place)) {
            Some(None) => {
                let ended = Status::unavailable("the connection has made room for another");
                return Box::pin(future::ready(Ok(ended.into_http())));
            }
            work => work.flatten(),
        };
        let caller = trace::caller(|name| request.headers().get(name)?.to_str().ok());
        let record = CallRecord::answered(request.uri().path(), caller);
        let timeout = read_timeout(request.headers())
            .unwrap_or(DEFAULT_DEADLINE)
            .min(LONGEST_DEADLINE);
        let deadline = Instant::now() + timeout;
        let answer = DEADLINE.scope(deadline, self.inner.call(request));
        let answer = SERVING.scope(self.serving.clone(), answer);
        let answer = self.serving.tasks.spawn(record.scope.enter(answer));
        Box::pin(async move {
            let response = match timeout_at(deadline.into(), answer).await {
                Ok(Ok(response)) => response.unwrap_or_else(|never| match never {}),
                Ok(Err(_)) => Status::internal("internal error").into_http(),
                Err(_) => Status::new(Code::DeadlineExceeded, "the deadline has passed").into_http(),
            };
            record.end(code_of(response.headers()));
            Ok(match work {
                Some(work) => response.map(|body| Body::new(Answering::new(body, work))),
                None => response,
            })
        })
    }
}
