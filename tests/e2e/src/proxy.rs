//! A TCP proxy that can be cut, to stand before a server that other tests need.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::Context as _;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};
use tokio_util::task::AbortOnDropHandle;

/// Forwards connections to one address. [`cut`](Proxy::cut) closes them all and refuses new ones, as a server that is
/// down does; [`mend`](Proxy::mend) lets them in again.
#[derive(Debug)]
pub struct Proxy {
    addr: SocketAddr,
    open: watch::Sender<bool>,
    _forwarding: AbortOnDropHandle<()>,
}

impl Proxy {
    /// Listens on a free port of the loopback address. `upstream` is `host:port`.
    pub async fn before(upstream: String) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, crate::process::free_port()?)).await?;
        let addr = listener.local_addr()?;
        let open = watch::Sender::new(true);
        let forwarding = tokio::spawn(forward(addr, listener, upstream, open.subscribe()));
        Ok(Self {
            addr,
            open,
            _forwarding: AbortOnDropHandle::new(forwarding),
        })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Ends every connection and refuses new ones.
    pub fn cut(&self) {
        self.open.send_replace(false);
    }

    /// Forwards again.
    pub fn mend(&self) {
        self.open.send_replace(true);
    }
}

async fn forward(addr: SocketAddr, listener: TcpListener, upstream: String, mut open: watch::Receiver<bool>) {
    let mut listener = Some(listener);
    loop {
        let accepting = match listener.take() {
            Some(listener) => listener,
            None => listen_again(addr).await,
        };
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = accepting.accept() => if let Ok((client, _)) = accepted {
                    connections.spawn(pipe(client, upstream.clone()));
                },
                _ = connections.join_next(), if !connections.is_empty() => {}
                closed = open.wait_for(|open| !open) => {
                    if closed.is_err() { return }
                    break;
                }
            }
        }
        drop((accepting, connections));
        if open.wait_for(|open| *open).await.is_err() {
            return;
        }
    }
}

async fn listen_again(addr: SocketAddr) -> TcpListener {
    loop {
        match TcpListener::bind(addr).await {
            Ok(listener) => return listener,
            Err(error) => eprintln!("the proxy's port is taken: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn pipe(mut client: TcpStream, upstream: String) -> anyhow::Result<()> {
    let mut server = TcpStream::connect(&upstream)
        .await
        .context("the proxy's upstream is gone")?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
