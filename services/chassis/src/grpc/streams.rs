//! The end of streams when a service stops. A stream of answers can last for minutes, and a server that stops waits for
//! every answer to be complete: so each that is still open then is ended at once with UNAVAILABLE, on which its caller
//! asks another replica.
//!
//! This is done to the bodies of all answers, whatever service they come from (those of health and reflection too). The
//! answer of a call that is not a stream is there as a whole when its body is first looked at, and is never cut.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{HeaderMap, Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service};

use super::status::with_reason;

/// In an answer's extensions: its stream ends by itself when the server stops.
#[derive(Clone, Copy, Debug)]
pub(super) struct EndsItself;

/// Ends the streams of the services that it is put around.
#[derive(Clone, Debug)]
pub(super) struct EndStreams {
    shutdown: CancellationToken,
}

impl EndStreams {
    /// Once `shutdown` is cancelled.
    pub(super) fn at(shutdown: CancellationToken) -> Self {
        Self { shutdown }
    }
}

impl<S> Layer<S> for EndStreams {
    type Service = Ending<S>;

    fn layer(&self, inner: S) -> Ending<S> {
        Ending {
            inner,
            shutdown: self.shutdown.clone(),
        }
    }
}

/// See [`EndStreams`].
#[derive(Clone, Debug)]
pub(super) struct Ending<S> {
    inner: S,
    shutdown: CancellationToken,
}

impl<S> Service<Request<Body>> for Ending<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (answer, shutdown) = (self.inner.call(request), self.shutdown.clone());
        Box::pin(async move {
            let answer = answer.await?;
            if answer.extensions().get::<EndsItself>().is_some() {
                return Ok(answer);
            }
            let until_shutdown = |inner| {
                Body::new(UntilShutdown {
                    inner,
                    stopping: Stopping::Unasked(shutdown),
                })
            };
            Ok(answer.map(until_shutdown))
        })
    }
}

/// Only a body that has to be waited for pays for the wait for shutdown.
enum Stopping {
    Unasked(CancellationToken),
    Awaited(Pin<Box<WaitForCancellationFutureOwned>>),
    Told,
}

struct UntilShutdown {
    inner: Body,
    stopping: Stopping,
}

impl HttpBody for UntilShutdown {
    type Data = <Body as HttpBody>::Data;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Status>>> {
        if let Stopping::Told = self.stopping {
            return Poll::Ready(None);
        }
        // What is there goes out first.
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(context) {
            return Poll::Ready(frame);
        }
        if let Stopping::Unasked(shutdown) = &self.stopping {
            self.stopping = Stopping::Awaited(Box::pin(shutdown.clone().cancelled_owned()));
        }
        if let Stopping::Awaited(shutdown) = &mut self.stopping {
            ready!(shutdown.as_mut().poll(context));
        }
        self.stopping = Stopping::Told;
        Poll::Ready(Some(stopped().map(Frame::trailers)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.stopping, Stopping::Told) || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The trailers of a stream that ends because its server does.
fn stopped() -> Result<HeaderMap, Status> {
    let mut trailers = HeaderMap::new();
    with_reason(Code::Unavailable, "STOPPING", "this replica stops; ask again")
        .add_header(&mut trailers)
        .map(|()| trailers)
}
