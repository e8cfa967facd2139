//! The calling side of gRPC.

use std::{
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderValue, Request, Response};
use tonic::{Code, Status, body::Body};
use tower::Service;
use tracing::Instrument as _;

use super::{
    DEFAULT_DEADLINE,
    call::{CallRecord, Side, code_of, read_timeout, time_left, write_timeout},
    resolve::Peers,
    status::with_reason,
};
use crate::{
    config::{ConfigError, GrpcUrl},
    telemetry::trace,
    tls::Tls,
};

/// A channel to all replicas of a service. Cheap to clone; hand it to a generated client.
///
/// Calls go round the addresses that the name resolves to, which is looked up again every few seconds. An address that
/// refuses, or is late again and again, is passed over for a growing time while there are others. A service that can't be reached is UNAVAILABLE at once, not after a wait.
#[derive(Clone, Debug)]
pub struct ClientChannel {
    peer: &'static str,
    url: Arc<GrpcUrl>,
    peers: Arc<Peers>,
}

impl ClientChannel {
    /// A channel to `url`, which connects at its first call; an https one by the certificates of `tls`. Must be called
    /// within a tokio runtime. An error says that https has no certificates.
    pub fn new(peer: &'static str, url: GrpcUrl, tls: Option<&Tls>) -> Result<Self, ConfigError> {
        let tls = match (url.is_https(), tls) {
            (false, _) => None,
            (true, Some(tls)) => Some(tls.client(url.host())),
            (true, None) => {
                return Err(ConfigError::Invalid {
                    variable: "TLS_CERT_FILE",
                    reason: format!("{url} needs TLS_CERT_FILE, TLS_KEY_FILE and TLS_CA_FILE"),
                });
            }
        };
        Ok(Self {
            peer,
            peers: Peers::watch(url.clone(), tls, None),
            url: Arc::new(url),
        })
    }

    /// Names whom a call's span is to.
    pub(super) fn describe(&self, span: &tracing::Span) {
        span.record("server.address", self.url.host());
        span.record("server.port", self.url.port());
    }

    pub(super) fn peer(&self) -> &'static str {
        self.peer
    }

    pub(super) fn peers(&self) -> &Arc<Peers> {
        &self.peers
    }

    /// As [`Self::new`] without TLS, for a service whose replicas are at `addresses`, sorted; `url` only names it.
    pub fn fixed(peer: &'static str, url: GrpcUrl, addresses: Vec<SocketAddr>) -> Self {
        Self {
            peer,
            peers: Peers::watch(url.clone(), None, Some(addresses)),
            url: Arc::new(url),
        }
    }
}

impl Service<Request<Body>> for ClientChannel {
    type Response = Response<Body>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Status>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let record = CallRecord::begin(Side::Client, request.uri().path());
        self.describe(&record.span);
        let wanted = read_timeout(request.headers()).unwrap_or(DEFAULT_DEADLINE);
        let timeout = time_left(wanted);
        write_timeout(request.headers_mut(), timeout);
        write_trace(&mut request, &record);
        let (peer, peers, span) = (self.peer, Arc::clone(&self.peers), record.span.clone());
        let call = async move {
            let outcome = send(peer, &peers, request, timeout).await;
            record.end(
                outcome
                    .as_ref()
                    .map_or_else(Status::code, |response| code_of(response.headers())),
            );
            outcome
        };
        Box::pin(call.instrument(span))
    }
}

async fn send(
    peer: &'static str,
    peers: &Peers,
    request: Request<Body>,
    timeout: Duration,
) -> Result<Response<Body>, Status> {
    let deadline = tokio::time::Instant::now() + timeout;
    let Ok(address) = tokio::time::timeout_at(deadline, peers.pick()).await else {
        return Err(late(peer));
    };
    let Some(mut address) = address else {
        return Err(unavailable(peer));
    };
    let answer = async {
        std::future::poll_fn(|context| address.channel.poll_ready(context)).await?;
        address.channel.call(request).await
    };
    match tokio::time::timeout_at(deadline, answer).await {
        Ok(Ok(response)) => {
            // The server's own clock may strike first.
            if code_of(response.headers()) == Code::DeadlineExceeded {
                peers.late(address.socket);
            } else {
                peers.answered(address.socket);
            }
            Ok(response)
        }
        Ok(Err(error)) if !is_late(&error) => {
            peers.broke(address.socket);
            tracing::debug!(peer, address = %address.socket, error = &error as &dyn std::error::Error, "a call failed");
            Err(unavailable(peer))
        }
        Ok(Err(_)) | Err(_) => {
            peers.late(address.socket);
            Err(late(peer))
        }
    }
}

/// Whether tonic's own clock, which it sets by the `grpc-timeout` header, has struck before ours. Once, that says
/// nothing of the address.
fn is_late(error: &tonic::transport::Error) -> bool {
    let mut causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    causes.any(<dyn std::error::Error>::is::<tonic::TimeoutExpired>)
}

pub(super) fn late(peer: &str) -> Status {
    Status::new(Code::DeadlineExceeded, format!("{peer} did not answer in time"))
}

pub(super) fn unavailable(peer: &str) -> Status {
    with_reason(
        Code::Unavailable,
        "PEER_UNAVAILABLE",
        format!("{peer} is not available"),
    )
}

fn write_trace(request: &mut Request<Body>, record: &CallRecord) {
    trace::inject(&trace::of(&record.span), |name, value| {
        if let Ok(value) = HeaderValue::from_str(&value) {
            request.headers_mut().insert(name, value);
        }
    });
}
