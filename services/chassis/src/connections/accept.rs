//! Accepting, place by place.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    time::sleep,
};

use super::places::{Full, Places, Seat};

/// After accepting has failed, most often for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

impl Places {
    /// The next connection, where it comes from, and its place. One for which its network has none left is shown to
    /// `refused`, and closed.
    pub(crate) async fn accept(
        self: &Arc<Self>,
        listener: &TcpListener,
        refused: impl Fn(&TcpStream, SocketAddr) + Send,
    ) -> (TcpStream, SocketAddr, Seat) {
        loop {
            // The place comes first: what can't be served yet stays in the kernel's queue.
            self.room().await;
            let (socket, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection can't be accepted");
                    sleep(PAUSE).await;
                    continue;
                }
            };
            let seat = loop {
                match self.take(peer.ip()) {
                    // There was room, and then somebody who had waited began to work.
                    Err(Full::All) => self.room().await,
                    taken => break taken.ok(),
                }
            };
            let Some(seat) = seat else {
                refused(&socket, peer);
                continue;
            };
            if let Err(error) = socket.set_nodelay(true) {
                tracing::debug!(%error, "a connection keeps Nagle's algorithm");
            }
            return (socket, peer, seat);
        }
    }
}
