//! How many calls a server has at work at once. One more is refused before anything is done for it, and told when to come
//! back: to wait in a queue that grows would make every call late, and those that nobody waits for any more too.
//!
//! The refusal is UNAVAILABLE, which says that the call may be sent again: another replica may have room. For whoever
//! publishes or consumes events it means the same as a service that is not there, and is no fault of the event.

use std::{
    convert::Infallible,
    future::{self, Future},
    pin::Pin,
    sync::{Arc, LazyLock},
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response};
use opentelemetry::metrics::{Counter, UpDownCounter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Status, body::Body};
use tower::{Layer, Service};

use super::{method, status::overloaded};
use crate::telemetry::meter;

/// A server at its limit works its calls off in less.
pub(super) const COME_BACK: Duration = Duration::from_secs(1);

/// Bounds the calls of the services that it is put around, of all connections together. A call counts until its answer
/// begins: one that is a stream of answers only while it is opened. Of calls that share a stream each counts by itself. Probes of health are never refused.
#[derive(Clone, Debug)]
pub(super) struct Limit {
    places: Arc<Semaphore>,
}

impl Limit {
    /// So many at once.
    pub(super) fn of(calls: u16) -> Self {
        Self {
            places: Arc::new(Semaphore::new(calls.into())),
        }
    }

    /// A place for one call; the refusal where there is none.
    pub(super) fn begin(&self) -> Result<AtWork, Status> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        place.map(AtWork::begin).map_err(|_| {
            REFUSED.add(1, &[]);
            overloaded(COME_BACK)
        })
    }
}

impl<S> Layer<S> for Limit {
    type Service = Limited<S>;

    fn layer(&self, inner: S) -> Limited<S> {
        Limited {
            inner,
            limit: self.clone(),
        }
    }
}

/// See [`Limit`].
#[derive(Clone, Debug)]
pub(super) struct Limited<S> {
    inner: S,
    limit: Limit,
}

impl<S> Service<Request<Body>> for Limited<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if method::is_probe(request.uri().path()) {
            return Box::pin(self.inner.call(request));
        }
        let at_work = match self.limit.begin() {
            Ok(at_work) => at_work,
            Err(refused) => return Box::pin(future::ready(Ok(refused.into_http()))),
        };
        let answer = self.inner.call(request);
        Box::pin(async move {
            let _at_work = at_work;
            answer.await
        })
    }
}

/// A call's place, until it is dropped.
#[derive(Debug)]
pub(super) struct AtWork {
    _place: OwnedSemaphorePermit,
}

impl AtWork {
    fn begin(place: OwnedSemaphorePermit) -> Self {
        AT_WORK.add(1, &[]);
        Self { _place: place }
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        AT_WORK.add(-1, &[]);
    }
}

static AT_WORK: LazyLock<UpDownCounter<i64>> = LazyLock::new(|| {
    meter()
        .i64_up_down_counter("shop.rpc.server.active_calls")
        .with_description("Calls at work")
        .with_unit("{call}")
        .build()
});

static REFUSED: LazyLock<Counter<u64>> = LazyLock::new(|| {
    meter()
        .u64_counter("shop.rpc.server.refused_calls")
        .with_description("Calls that were refused because too many are at work")
        .with_unit("{call}")
        .build()
});
