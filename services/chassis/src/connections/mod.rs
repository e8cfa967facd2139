//! Connections, bounded in number: in all, and for each network that they come from. What HTTP and gRPC have in common.
//!
//! Who counts as one client: [`networks()`]. Who has a connection, and who makes room for whom: `places`.
//! How they come in: `accept`.

mod accept;
mod networks;
mod places;

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http_body::{Body, Frame, SizeHint};

pub use self::networks::{Network, networks};
pub(crate) use self::places::{Bounds, Doing, Place, Places, Seat};

/// A connection has a request at work until this is dropped.
#[derive(Debug)]
pub(crate) struct Work(Arc<Place>);

impl Work {
    /// None where the connection has made room for another, and is about to end.
    pub(crate) fn begin(place: &Arc<Place>) -> Option<Self> {
        place.begins_work().then(|| Self(Arc::clone(place)))
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.0.ends_work();
    }
}

/// The body of an answer: its connection is at work until it is written, or was given up.
#[derive(Debug)]
pub(crate) struct Answering<B> {
    body: B,
    _work: Work,
}

impl<B> Answering<B> {
    pub(crate) fn new(body: B, work: Work) -> Self {
        Self { body, _work: work }
    }
}

impl<B: Body + Unpin> Body for Answering<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
