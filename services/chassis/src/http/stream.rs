//! A connection's bytes, with what the HTTP implementation leaves open: a head has a deadline of its own, shorter than
//! the time that a connection may be idle; who reads nothing is waited for only so long; what is refused before there is
//! a request gets a whole answer; and whoever is refused before all was read can read why.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, ready},
    time::Duration,
};

use http::StatusCode;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead as _, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

use super::{ConnectionLimits, Unreadable};
use crate::connections::{Doing, Place};

/// How long what still comes is read, and thrown away, after the last answer.
const LINGER: Duration = Duration::from_secs(3);
/// How much of it.
const THROWN_AWAY: usize = 16 * 1024 * 1024;

/// The connection's socket.
pub(super) struct Stream {
    inner: TokioIo<TcpStream>,
    place: Arc<Place>,
    limits: ConnectionLimits,
    unreadable: Unreadable,
    /// Until when the head must be there, while it is not.
    head: Option<Pin<Box<Sleep>>>,
    /// What has come of it.
    seen: Seen,
    /// Until when something must be written, while the other end takes nothing.
    write: Option<Pin<Box<Sleep>>>,
    /// What is written in the place of an answer without a body: the rest of it.
    instead: Option<Vec<u8>>,
    linger: Option<(Pin<Box<Sleep>>, usize)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Nothing,
    /// A part of the first line, which has the target.
    Line,
    Headers,
}

impl Stream {
    pub(super) fn new(
        stream: TcpStream,
        place: Arc<Place>,
        limits: ConnectionLimits,
        unreadable: Unreadable,
    ) -> Self {
        Self {
            inner: TokioIo::new(stream),
            place,
            limits,
            unreadable,
            head: Some(Box::pin(sleep(limits.header_timeout))),
            seen: Seen::Nothing,
            write: None,
            instead: None,
            linger: None,
        }
    }

    /// Notes that bytes have come.
    fn came(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.place.doing() == Doing::Idle {
            self.place.begins_head();
            self.seen = Seen::Nothing;
            self.head = Some(Box::pin(sleep(self.limits.header_timeout)));
        }
        if self.place.doing() != Doing::Head {
            return Ok(());
        }
        if self.seen != Seen::Headers {
            self.seen = if bytes.contains(&b'\n') {
                Seen::Headers
            } else {
                Seen::Line
            };
        }
        if self.place.holds(bytes.len()) {
            Ok(())
        } else {
            Err(io::Error::other("too many heads are unfinished"))
        }
    }

    /// What to write where the HTTP implementation has refused what came with no more than a status.
    fn answer_instead_of(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        if self.place.doing() != Doing::Head || !bytes.starts_with(b"HTTP/1.1 4") {
            return None;
        }
        let has_body = !bytes.windows(19).any(|bytes| bytes == b"content-length: 0\r\n");
        let status = StatusCode::from_bytes(bytes.get(9..12)?).ok()?;
        let status = match (status, self.seen) {
            (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, Seen::Line) => StatusCode::URI_TOO_LONG,
            (status, _) => status,
        };
        (!has_body).then(|| whole_answer(status, &self.unreadable))
    }

    /// Writes what was begun to be written in another's place.
    fn poll_instead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.instead.as_mut().filter(|rest| !rest.is_empty()) {
            let written = ready!(Pin::new(&mut self.inner).poll_write(cx, rest))?;
            rest.drain(..written);
        }
        self.instead = None;
        Poll::Ready(Ok(()))
    }

    fn poll_any_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        first: &[u8],
        length: usize,
        write: impl FnOnce(Pin<&mut TokioIo<TcpStream>>, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if self.instead.is_none() {
            self.instead = self.answer_instead_of(first);
        }
        let written = if self.instead.is_some() {
            self.place.leaves_unread.store(true, Ordering::Relaxed);
            self.poll_instead(cx).map_ok(|()| length)
        } else {
            write(Pin::new(&mut self.inner), cx)
        };
        if written.is_ready() {
            self.write = None;
            return written;
        }
        let timeout = self.limits.write_timeout;
        let deadline = self.write.get_or_insert_with(|| Box::pin(sleep(timeout)));
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

/// An answer with its body, after which the connection ends.
pub(super) fn whole_answer(status: StatusCode, unreadable: &Unreadable) -> Vec<u8> {
    let (media_type, body) = unreadable(status);
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {media_type}\r\ncontent-length: {}\r\nconnection: close\r\n\
         cache-control: no-store\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut space = [std::mem::MaybeUninit::uninit(); 16 * 1024];
        let room = cursor.remaining().min(space.len());
        let mut read = ReadBuf::uninit(&mut space[..room]);
        let polled = Pin::new(self.inner.inner_mut()).poll_read(cx, &mut read);
        if polled.is_ready() {
            let bytes = read.filled();
            if !bytes.is_empty() {
                self.came(bytes)?;
                cursor.put_slice(bytes);
            }
            return polled;
        }
        if self.place.doing() != Doing::Head {
            self.head = None;
            return Poll::Pending;
        }
        if let Some(deadline) = &mut self.head {
            ready!(deadline.as_mut().poll(cx));
            if self.seen != Seen::Nothing {
                // It fits into the socket's buffer, or the other end does not read.
                let answer = whole_answer(StatusCode::REQUEST_TIMEOUT, &self.unreadable);
                let _tried = Pin::new(&mut self.inner).poll_write(cx, &answer);
            }
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }
}

impl Write for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_any_write(cx, bytes, bytes.len(), |inner, cx| inner.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = parts
            .iter()
            .find(|part| !part.is_empty())
            .map_or(&[][..], |part| part);
        let length = parts.iter().map(|part| part.len()).sum();
        self.poll_any_write(cx, first, length, |inner, cx| {
            inner.poll_write_vectored(cx, parts)
        })
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    /// Ends this end. A socket that is closed while there is something to read makes the other end forget the answer that
    /// it has not read yet, so what still comes is read for a while (RFC 9112, 9.6).
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.linger.is_none() {
            ready!(Pin::new(&mut self.inner).poll_shutdown(cx))?;
            if !self.place.leaves_unread.load(Ordering::Relaxed) {
                return Poll::Ready(Ok(()));
            }
            self.linger = Some((Box::pin(sleep(LINGER)), 0));
        }
        let Self { inner, linger, .. } = &mut *self;
        let Some((deadline, thrown_away)) = linger else {
            return Poll::Ready(Ok(()));
        };
        let mut space = [std::mem::MaybeUninit::uninit(); 16 * 1024];
        while deadline.as_mut().poll(cx).is_pending() && *thrown_away < THROWN_AWAY {
            let mut read = ReadBuf::uninit(&mut space);
            let polled = Pin::new(inner.inner_mut()).poll_read(cx, &mut read);
            match ready!(polled) {
                Ok(()) if !read.filled().is_empty() => *thrown_away += read.filled().len(),
                _ => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}
