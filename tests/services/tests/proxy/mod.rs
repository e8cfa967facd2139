//! A wire to the real broker that can be cut, made to swallow what is sent, and made to carry a message of AMQP's own.
#![allow(clippy::unwrap_used)]

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::broadcast,
};

/// AMQP's `connection.blocked`, with the reason "test".
pub(crate) const BLOCKED: &[u8] = &[1, 0, 0, 0, 0, 0, 9, 0, 10, 0, 60, 4, b't', b'e', b's', b't', 0xCE];
/// AMQP's `connection.unblocked`.
pub(crate) const UNBLOCKED: &[u8] = &[1, 0, 0, 0, 0, 0, 4, 0, 10, 0, 61, 0xCE];

#[derive(Clone)]
pub(crate) struct Proxy {
    addr: SocketAddr,
    silent: Arc<AtomicBool>,
    injected: broadcast::Sender<&'static [u8]>,
}

impl Proxy {
    /// A wire to the host and port of that URL.
    pub(crate) async fn to(amqp_url: &str) -> Self {
        let target = amqp_url
            .split('@')
            .next_back()
            .unwrap()
            .split('/')
            .next()
            .unwrap()
            .to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self {
            addr: listener.local_addr().unwrap(),
            silent: Arc::default(),
            injected: broadcast::Sender::new(8),
        };
        let accepting = proxy.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let broker = TcpStream::connect(&target).await.unwrap();
                tokio::spawn(accepting.clone().carry(client, broker));
            }
        });
        proxy
    }

    /// The same broker by way of the wire.
    pub(crate) fn url(&self, amqp_url: &str) -> String {
        let (credentials, rest) = amqp_url.rsplit_once('@').unwrap();
        let (_, vhost) = rest.split_once('/').unwrap();
        format!("{credentials}@{}/{vhost}", self.addr)
    }

    /// From now on, whether what is sent to the broker on connections open now is swallowed.
    pub(crate) fn swallow(&self, silent: bool) {
        self.silent.store(silent, Ordering::SeqCst);
    }

    /// Says that to the clients, as if the broker did. Only between two messages of the broker's.
    pub(crate) fn inject(&self, frame: &'static [u8]) {
        self.injected.send(frame).unwrap();
    }

    async fn carry(self, client: TcpStream, broker: TcpStream) {
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_broker, mut to_broker) = broker.into_split();
        let mut injected = self.injected.subscribe();
        let up = async {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
                if !self.silent.load(Ordering::SeqCst) && to_broker.write_all(&buffer[..read]).await.is_err()
                {
                    break;
                }
            }
        };
        let down = async {
            let mut buffer = vec![0; 64 * 1024];
            loop {
                let sent = tokio::select! {
                    read = from_broker.read(&mut buffer) => match read {
                        Ok(read @ 1..) => to_client.write_all(&buffer[..read]).await,
                        _ => break,
                    },
                    Ok(frame) = injected.recv() => to_client.write_all(frame).await,
                };
                if sent.is_err() {
                    break;
                }
            }
        };
        tokio::select! { () = up => {}, () = down => {} }
    }
}
