//! The serving side of HTTP/1.1, with every connection bounded in number and in patience.

use std::{future::ready, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo};
use futures::future::Either;
use http::{Request, Response, request::Parts};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// After accepting has failed, most often for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What bounds the connections of a server.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// The most at once; more wait to be accepted.
    pub max_connections: usize,
    /// How long a connection may take to send the next request's headers, or stay idle.
    pub header_timeout: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            max_connections: 8_192,
            // Longer than proxies keep idle connections, so that it is they who close them.
            header_timeout: Duration::from_secs(75),
        }
    }
}

/// Looks at the head of a request before anything is done for it, and answers it right away where it is refused. For
/// whoever has more to refuse than to serve: what a router and its layers cost is saved.
pub type Gate = Arc<dyn Fn(&Parts) -> Option<Response<Body>> + Send + Sync>;

/// Serves until shutdown, then lets every request that has begun finish.
pub(crate) async fn serve(
    router: Router,
    gate: Gate,
    listener: TcpListener,
    limits: ConnectionLimits,
    shutdown: CancellationToken,
) {
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout);
    let places = Arc::new(Semaphore::new(limits.max_connections));
    let connections = GracefulShutdown::new();
    let accepting = async {
        // The place comes first: what can't be served yet stays in the kernel's queue.
        while let Ok(place) = Arc::clone(&places).acquire_owned().await {
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection can't be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "a connection keeps Nagle's algorithm");
            }
            let (router, gate) = (router.clone(), Arc::clone(&gate));
            let service = service_fn(move |request: Request<Incoming>| {
                let (mut head, body) = request.into_parts();
                head.extensions.insert(ConnectInfo::<SocketAddr>(peer));
                if let Some(refusal) = gate(&head) {
                    return Either::Left(ready(Ok(refusal)));
                }
                Either::Right(router.clone().oneshot(Request::from_parts(head, body)))
            });
            let connection = server.serve_connection(TokioIo::new(stream), service);
            let connection = connections.watch(connection);
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%peer, %error, "a connection ended early");
                }
                drop(place);
            });
        }
    };
    shutdown.run_until_cancelled(accepting).await;
    drop(listener);
    connections.shutdown().await;
}
