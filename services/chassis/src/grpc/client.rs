//! The calling side of gRPC.

use std::{
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderValue, Request, Response};
use tokio::time::Instant;
use tonic::{Status, body::Body};
use tower::{Service, retry::budget::TpsBudget};

use super::{
    AdaptiveLimit, DEFAULT_DEADLINE, attempt,
    call::{CallRecord, code_of, read_timeout, time_left},
    repeat::{self, Repeatable},
    resolve::Peers,
};
use crate::{
    config::{ConfigError, GrpcUrl},
    telemetry::trace,
    tls::Tls,
};

/// A channel to all replicas of a service. Cheap to clone; hand it to a generated client.
///
/// Calls go round the addresses that the name resolves to, which is looked up again every few seconds. An address that
/// refuses, or is late again and again, is passed over for a growing time while there are others. A service that can't be
/// reached is UNAVAILABLE at once; one whose name has no address is waited for, for less than half a second. A call is
/// tried once, unless its request is [`super::repeatable()`].
#[derive(Clone, Debug)]
pub struct ClientChannel {
    url: Arc<GrpcUrl>,
    peers: Arc<Peers>,
    repeats: Arc<TpsBudget>,
    limit: Option<AdaptiveLimit>,
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
        let peers = Peers::watch(peer, url.clone(), tls, None);
        Ok(Self::to(peers, url))
    }

    /// With that limit for all of its calls; without one there is none.
    #[must_use]
    pub fn limited(self, limit: AdaptiveLimit) -> Self {
        Self {
            limit: Some(limit),
            ..self
        }
    }

    /// Makes a call, a request or one of those that share a stream, where there is room for it.
    pub(super) async fn within_limit<A>(
        &self,
        call: impl Future<Output = Result<A, Status>>,
        refused: impl FnOnce(&A) -> Option<Status>,
    ) -> Result<A, Status> {
        let Some(limit) = &self.limit else {
            return call.await;
        };
        let place = limit.begin()?;
        let outcome = call.await;
        match &outcome {
            Ok(answer) => place.answered(refused(answer).as_ref()),
            Err(status) => place.answered(Some(status)),
        }
        outcome
    }

    /// Names whom a call's span is to.
    pub(super) fn describe(&self, span: &tracing::Span) {
        span.record("server.address", self.url.host());
        span.record("server.port", self.url.port());
    }

    pub(super) fn peers(&self) -> &Arc<Peers> {
        &self.peers
    }

    /// As [`Self::new`] without TLS, for a service whose replicas are at `addresses`, sorted; `url` only names it.
    pub fn fixed(peer: &'static str, url: GrpcUrl, addresses: Vec<SocketAddr>) -> Self {
        let peers = Peers::watch(peer, url.clone(), None, Some(addresses));
        Self::to(peers, url)
    }

    fn to(peers: Arc<Peers>, url: GrpcUrl) -> Self {
        Self {
            url: Arc::new(url),
            peers,
            repeats: Arc::new(repeat::budget()),
            limit: None,
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
        let record = CallRecord::made(request.uri().path());
        self.describe(record.scope.span());
        let wanted = read_timeout(request.headers()).unwrap_or(DEFAULT_DEADLINE);
        let deadline = Instant::now() + time_left(wanted);
        write_trace(&mut request, &record);
        let channel = self.clone();
        let scope = record.scope.clone();
        let call = async move {
            let answer = async {
                if request.extensions().get::<Repeatable>().is_some() {
                    repeat::send(&channel.peers, &channel.repeats, request, deadline).await
                } else {
                    once(&channel.peers, request, deadline).await
                }
            };
            let refused = |response: &Response<Body>| Status::from_header_map(response.headers());
            let outcome = channel.within_limit(answer, refused).await;
            record.end(
                outcome
                    .as_ref()
                    .map_or_else(Status::code, |response| code_of(response.headers())),
            );
            outcome
        };
        Box::pin(scope.enter(call))
    }
}

/// Makes the one attempt of a call that may not be repeated.
async fn once(peers: &Peers, request: Request<Body>, deadline: Instant) -> Result<Response<Body>, Status> {
    let replica = attempt::first(peers, deadline).await?;
    attempt::at(peers, replica, request, deadline).await
}

fn write_trace(request: &mut Request<Body>, record: &CallRecord) {
    trace::inject_bounded(record.scope.context(), |name, value| {
        if let Ok(value) = HeaderValue::from_str(&value) {
            request.headers_mut().insert(name, value);
        }
    });
}
