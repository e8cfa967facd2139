//! The connections of the answering side, bounded as those of HTTP are ([`crate::connections`]): whoever comes takes the
//! place of whoever has waited longest without a call, and rather of one that has never made any. Callers connect again by
//! themselves.
//!
//! tonic bounds the time of a TLS handshake, and pings whoever is silent after it. Before that nothing is asked of a
//! connection that is not encrypted, so [`Connection`] wants its first bytes.

use std::{
    io::{self, IoSlice},
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::{Stream, stream};
use http::Extensions;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    time::{Sleep, sleep},
};
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::transport::server::{Connected, TlsConnectInfo};

use crate::connections::{Bounds, Place, Places, Seat};

/// Many times what the callers of a shop have, which is one for each of their replicas.
const BOUNDS: Bounds = Bounds {
    max: 1_024,
    max_per_address: 256,
    exempt_loopback: false,
};
/// What a connection begins with: the preface of HTTP/2 (RFC 9113, 3.4), or as much of a TLS handshake.
const PREFACE: usize = 24;
/// How long that may take.
const PREFACE_TIMEOUT: Duration = Duration::from_secs(5);

/// Accepts for as long as it is asked. It yields no error: none of accepting is a reason to stop.
pub(super) fn connections(listener: TcpListener) -> impl Stream<Item = io::Result<Connection>> {
    accept_within(listener, Places::new(BOUNDS), PREFACE_TIMEOUT)
}

fn accept_within(
    listener: TcpListener,
    places: Arc<Places>,
    patience: Duration,
) -> impl Stream<Item = io::Result<Connection>> {
    stream::unfold((listener, places), move |(listener, places)| async move {
        let refused = |_: &TcpStream, peer| {
            tracing::debug!(%peer, "a connection was refused: all that its network may have are at work");
        };
        let (socket, peer, seat) = places.accept(&listener, refused).await;
        let connection = Connection::new(socket, peer, seat, patience);
        Some((Ok(connection), (listener, places)))
    })
}

/// Who is at the other end.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    pub(super) place: Arc<Place>,
}

impl Peer {
    /// Of a request, however it came.
    pub(super) fn of(extensions: &Extensions) -> Option<&Self> {
        match extensions.get::<TlsConnectInfo<Self>>() {
            Some(connection) => Some(connection.get_ref()),
            None => extensions.get(),
        }
    }
}

/// A connection with its place. It fails when it has to make room for another.
pub(super) struct Connection {
    socket: TcpStream,
    peer: Peer,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
    /// What is missing of the first bytes, and until when.
    preface: Option<(usize, Pin<Box<Sleep>>)>,
    _seat: Seat,
}

impl Connection {
    fn new(socket: TcpStream, address: SocketAddr, seat: Seat, patience: Duration) -> Self {
        let place = Arc::clone(&seat.0);
        Self {
            socket,
            ended: Box::pin(place.ended.clone().cancelled_owned()),
            peer: Peer { address, place },
            preface: Some((PREFACE, Box::pin(sleep(patience)))),
            _seat: seat,
        }
    }

    fn came(&mut self, bytes: usize) {
        self.preface = match self.preface.take() {
            Some((missing, deadline)) if missing > bytes => Some((missing - bytes, deadline)),
            _ => None,
        };
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.socket).poll_read(cx, buffer);
        if polled.is_ready() {
            self.came(buffer.filled().len() - before);
            return polled;
        }
        // It is reading that a connection always waits for.
        if self.ended.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        if let Some((_, deadline)) = &mut self.preface {
            ready!(deadline.as_mut().poll(cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use futures::StreamExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    async fn accepting(max: usize) -> (impl Stream<Item = io::Result<Connection>>, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let places = Places::new(Bounds { max, ..BOUNDS });
        (
            accept_within(listener, places, Duration::from_millis(300)),
            address,
        )
    }

    #[tokio::test]
    async fn a_connection_that_never_called_makes_room_for_the_next() {
        let (incoming, address) = accepting(2).await;
        let mut incoming = std::pin::pin!(incoming);
        let mut accepted = async || {
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(&[0; PREFACE]).await.unwrap();
            (client, incoming.next().await.unwrap().unwrap())
        };
        let (_caller, mut of_use) = accepted().await;
        let work = crate::connections::Work::begin(&of_use.peer.place).unwrap();
        let (_silent, mut silent) = accepted().await;
        let (_next, mut next) = accepted().await;
        drop(work);
        let mut bytes = [0; PREFACE];
        silent.read_exact(&mut bytes).await.unwrap();
        let ended = silent.read_u8().await.unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::ConnectionAborted);
        of_use.read_exact(&mut bytes).await.unwrap();
        next.read_exact(&mut bytes).await.unwrap();
    }

    #[tokio::test]
    async fn who_connects_and_says_nothing_is_let_go() {
        let (incoming, address) = accepting(2).await;
        let mut incoming = std::pin::pin!(incoming);
        let mut client = TcpStream::connect(address).await.unwrap();
        let mut silent = incoming.next().await.unwrap().unwrap();
        client.write_all(&[0; PREFACE - 1]).await.unwrap();
        let mut bytes = Vec::new();
        let ended = silent.read_to_end(&mut bytes).await.unwrap_err();
        assert_eq!(
            (bytes.len(), ended.kind()),
            (PREFACE - 1, io::ErrorKind::TimedOut)
        );
    }
}
