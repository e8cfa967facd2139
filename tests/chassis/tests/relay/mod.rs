//! What stands for the name of a server: connections go to whoever serves under it.

use std::{
    net::{Ipv4Addr, SocketAddr},
    process::Command,
    sync::{Arc, Mutex},
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, watch},
};
use tokio_util::task::AbortOnDropHandle;

/// Forwards each new connection to the server of that moment.
pub(crate) struct Relay {
    addr: SocketAddr,
    server: watch::Sender<SocketAddr>,
    hushed: Arc<Notify>,
    clients: Arc<Mutex<Vec<u16>>>,
    _forwarding: AbortOnDropHandle<()>,
}

impl Relay {
    pub(crate) async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let server = watch::Sender::new(server);
        let (clients, hushed) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Notify::new()));
        let (current, seen, hush) = (server.subscribe(), Arc::clone(&clients), Arc::clone(&hushed));
        let forwarding = tokio::spawn(async move {
            while let Ok((client, peer)) = listener.accept().await {
                seen.lock().unwrap().push(peer.port());
                let server = *current.borrow();
                tokio::spawn(forward(client, server, Arc::clone(&hush)));
            }
        });
        Self {
            addr,
            server,
            hushed,
            clients,
            _forwarding: AbortOnDropHandle::new(forwarding),
        }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// New connections go there from now on.
    pub(crate) fn move_to(&self, server: SocketAddr) {
        self.server.send_replace(server);
    }

    /// Nothing is heard any more on the connections that there are, which stay open.
    pub(crate) fn hush(&self) {
        self.hushed.notify_waiters();
    }

    /// Drops the packets of every connection that there is, in both directions, without a word to either side. None
    /// where that is not allowed.
    pub(crate) fn cut(&self) -> Option<Cut> {
        if !rustix::process::getuid().is_root() {
            return None;
        }
        let cut = Cut {
            chain: format!("shop-test-{}", self.addr.port()),
        };
        if !iptables(&["-N", &cut.chain]) {
            return None;
        }
        let relay = self.addr.port().to_string();
        for client in self.clients.lock().unwrap().iter().map(u16::to_string) {
            for (from, to) in [(&client, &relay), (&relay, &client)] {
                let rule = [
                    "-A", &cut.chain, "-p", "tcp", "--sport", from, "--dport", to, "-j", "DROP",
                ];
                assert!(iptables(&rule), "{rule:?}");
            }
        }
        assert!(iptables(&["-I", "INPUT", "-i", "lo", "-j", &cut.chain]));
        Some(cut)
    }
}

/// The packets flow again when this is dropped.
pub(crate) struct Cut {
    chain: String,
}

impl Drop for Cut {
    fn drop(&mut self) {
        iptables(&["-D", "INPUT", "-i", "lo", "-j", &self.chain]);
        iptables(&["-F", &self.chain]);
        iptables(&["-X", &self.chain]);
    }
}

fn iptables(arguments: &[&str]) -> bool {
    Command::new("iptables")
        .arg("--wait")
        .args(arguments)
        .output()
        .is_ok_and(|output| output.status.success())
}

async fn forward(mut client: TcpStream, server: SocketAddr, hushed: Arc<Notify>) {
    let Ok(mut server) = TcpStream::connect(server).await else {
        return;
    };
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
        () = hushed.notified() => std::future::pending().await,
    }
}
