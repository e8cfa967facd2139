//! The serving side of HTTP/1.1, with every connection bounded in number, in memory and in patience.
//!
//! Who has a connection: [`crate::connections`]. What becomes of its bytes: `stream`.

mod stream;

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{Router, body::Body, extract::ConnectInfo};
use futures::future::pending;
use http::{HeaderValue, Request, Response, StatusCode, header, request::Parts};
use http_body::{Body as _, Frame, SizeHint};
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::{rt::TokioTimer, server::graceful::GracefulShutdown};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use self::stream::{Stream, whole_answer};
use crate::connections::{Answering, Bounds, Place, Places, Seat, Work};

/// The longest head of a request, in bytes; a longer one is refused with 431.
const LONGEST_HEAD: usize = 32 * 1024;
/// Of a larger body nothing more is read once the request is answered, and the connection ends.
const SMALL_BODY: u64 = 64 * 1024;

/// What bounds the connections of a server.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// The most at once. One more takes the place of whoever has waited longest without a request at work; where there
    /// is none it waits to be accepted.
    pub max_connections: usize,
    /// The most from one IPv4 address or one /64 of IPv6; from a /56 twice, from a /48 three times as many. One more takes
    /// the place of one of these that waits, and is refused where none does.
    pub max_connections_per_address: usize,
    /// Whether that holds for this machine itself.
    pub exempt_loopback: bool,
    /// How long a connection may stay idle after an answer.
    pub idle_timeout: Duration,
    /// How long the head of a request may take, from its first byte on, or from the beginning of the connection.
    pub header_timeout: Duration,
    /// How long the other end may take nothing of an answer.
    pub write_timeout: Duration,
}

impl ConnectionLimits {
    fn bounds(&self) -> Bounds {
        Bounds {
            max: self.max_connections,
            max_per_address: self.max_connections_per_address,
            exempt_loopback: self.exempt_loopback,
        }
    }
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            max_connections: 8_192,
            max_connections_per_address: 2_048,
            exempt_loopback: false,
            // Longer than proxies keep idle connections, so that it is they who close them.
            idle_timeout: Duration::from_secs(75),
            header_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
        }
    }
}

/// Looks at the head of a request before anything is done for it, and answers it right away where it is refused. For
/// whoever has more to refuse than to serve: what a router and its layers cost is saved.
pub type Gate = Arc<dyn Fn(&Parts) -> Option<Response<Body>> + Send + Sync>;

/// The media type and the text of the answer to what is no request: malformed (400), too slow (408), too long (414, 431),
/// or of an address that has too many connections (429).
pub type Unreadable = Arc<dyn Fn(StatusCode) -> (&'static str, String) + Send + Sync>;

/// What answers beside the router.
#[derive(Clone)]
pub struct Front {
    /// Before it.
    pub gate: Gate,
    /// Where there is no request for it.
    pub unreadable: Unreadable,
}

impl Front {
    /// Refuses nothing by itself, and in plain words what is no request.
    pub fn open() -> Self {
        Self {
            gate: Arc::new(|_| None),
            unreadable: Arc::new(|status| ("text/plain", status.to_string())),
        }
    }
}

/// Serves until shutdown, then lets every request that has begun finish.
pub(crate) async fn serve(
    router: Router,
    front: Front,
    listener: TcpListener,
    limits: ConnectionLimits,
    shutdown: CancellationToken,
) {
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .max_buf_size(LONGEST_HEAD)
        .header_read_timeout(limits.idle_timeout);
    let places = Places::new(limits.bounds());
    let connections = GracefulShutdown::new();
    let accepting = async {
        loop {
            let (socket, peer, seat) = places.accept(&listener, |socket, _| refuse(socket, &front)).await;
            let place = Arc::clone(&seat.0);
            let stream = Stream::new(socket, Arc::clone(&place), limits, Arc::clone(&front.unreadable));
            let (router, gate) = (router.clone(), Arc::clone(&front.gate));
            let service = service_fn(move |request: Request<Incoming>| {
                answer(
                    router.clone(),
                    Arc::clone(&gate),
                    request,
                    peer,
                    Arc::clone(&place),
                )
            });
            let connection = connections.watch(server.serve_connection(stream, service));
            tokio::spawn(hold(seat, peer, connection));
        }
    };
    shutdown.run_until_cancelled(accepting).await;
    drop(listener);
    connections.shutdown().await;
}

/// Tells whoever has too many connections, as far as it reads that. Nothing is waited for.
fn refuse(socket: &TcpStream, front: &Front) {
    let answer = whole_answer(StatusCode::TOO_MANY_REQUESTS, &front.unreadable);
    let _tried = socket.try_write(&answer);
}

/// A connection with its place, until it ends or has to make room.
async fn hold(
    seat: Seat,
    peer: SocketAddr,
    connection: impl Future<Output = Result<(), hyper::Error>> + Send,
) {
    let ended = seat.0.ended.clone();
    if let Some(Err(error)) = ended.run_until_cancelled(connection).await {
        tracing::debug!(%peer, %error, "a connection ended early");
    }
    drop(seat);
}

async fn answer(
    router: Router,
    gate: Gate,
    request: Request<Incoming>,
    peer: SocketAddr,
    place: Arc<Place>,
) -> Result<Response<Answering<Body>>, Infallible> {
    let Some(work) = Work::begin(&place) else {
        // It has made room for another, and is about to be dropped.
        return pending().await;
    };
    let (mut head, body) = request.into_parts();
    // What is left of a small body is most often there already, and passed over.
    let is_small = body.size_hint().upper().is_some_and(|bytes| bytes <= SMALL_BODY);
    let body = Arriving {
        body,
        is_read: false,
        place: Arc::clone(&place),
    };
    head.extensions.insert(ConnectInfo::<SocketAddr>(peer));
    let mut response = if let Some(refusal) = gate(&head) {
        drop(body);
        refusal
    } else {
        match router.oneshot(Request::from_parts(head, body)).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    };
    if !is_small && place.leaves_unread.load(Ordering::Relaxed) {
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response.map(|body| Answering::new(body, work)))
}

/// The body of a request.
struct Arriving {
    body: Incoming,
    is_read: bool,
    place: Arc<Place>,
}

impl http_body::Body for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.is_read = frame.is_none();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        if !self.is_read && !self.body.is_end_stream() {
            self.place.leaves_unread.store(true, Ordering::Relaxed);
        }
    }
}
