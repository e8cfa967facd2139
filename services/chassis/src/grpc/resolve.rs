//! All addresses of a service's name, and which is next.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::{Notify, watch};
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};

use super::outlier::Outliers;
use crate::config::GrpcUrl;

const LOOK_UP_INTERVAL: Duration = Duration::from_secs(5);
/// While there is nobody to call: a service that starts together with its peers begins to work when they do.
const LOOK_UP_SOON: Duration = Duration::from_secs(1);
/// Between two look-ups that are asked for: where a replica can't be reached, and where there is none at all.
const LOOK_UP_PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_millis(50));
/// So many times does a call that finds nobody have the name looked up again, before it gives up.
const LOOK_UPS_OF_A_CALL: u32 = 8;
const LOOK_UP_TIMEOUT: Duration = Duration::from_secs(2);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// One replica.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) socket: SocketAddr,
    pub(super) channel: Channel,
}

/// The replicas as the last look-up found them.
#[derive(Debug)]
pub(super) struct Peers {
    /// What the service is called in messages.
    pub(super) name: &'static str,
    url: GrpcUrl,
    tls: Option<ClientTlsConfig>,
    found: watch::Sender<Option<Arc<Vec<Peer>>>>,
    next: AtomicUsize,
    outliers: Mutex<Outliers>,
    /// Addresses that are known without a look-up.
    fixed: Option<Vec<SocketAddr>>,
    look_up_now: Notify,
}

impl Peers {
    /// Looks the name up now and from time to time, until the last channel is dropped.
    pub(super) fn watch(
        name: &'static str,
        url: GrpcUrl,
        tls: Option<ClientTlsConfig>,
        fixed: Option<Vec<SocketAddr>>,
    ) -> Arc<Self> {
        let peers = Arc::new(Self {
            name,
            url,
            tls,
            found: watch::Sender::new(None),
            next: AtomicUsize::new(0),
            outliers: Mutex::default(),
            fixed,
            look_up_now: Notify::new(),
        });
        tokio::spawn(follow(Arc::downgrade(&peers)));
        peers
    }

    /// The next replica in turn, passing over those that rest. Where the name has no address it is looked up again, and
    /// waited for, for less than half a second; none where it has none by then.
    pub(super) async fn pick(&self) -> Option<Peer> {
        let mut found = self.found.subscribe();
        // The sender lives in `self`: this waits for the first look-up and no longer.
        let mut peers = found.wait_for(Option::is_some).await.ok()?.clone()?;
        for _ in 0..LOOK_UPS_OF_A_CALL {
            if !peers.is_empty() {
                break;
            }
            self.look_up_now.notify_one();
            let found = tokio::time::timeout(LOOK_UP_PAUSES.1, found.changed()).await;
            if found.is_ok() {
                peers = self.found.borrow().clone()?;
            }
        }
        let (in_turn, now) = (self.in_turn(&peers), Instant::now());
        let mut outliers = self.outliers();
        let admitted = in_turn.clone().find(|peer| outliers.admits(peer.socket, now));
        admitted.or_else(|| in_turn.clone().next()).cloned()
    }

    /// The next replica in turn that does not rest and is none of those `asked` already.
    pub(super) fn pick_other(&self, asked: &[SocketAddr]) -> Option<Peer> {
        let peers = self.found.borrow().clone()?;
        let (mut in_turn, now) = (self.in_turn(&peers), Instant::now());
        let mut outliers = self.outliers();
        in_turn
            .find(|peer| !asked.contains(&peer.socket) && outliers.admits(peer.socket, now))
            .cloned()
    }

    /// How many replicas there are.
    pub(super) fn count(&self) -> usize {
        self.found.borrow().as_ref().map_or(0, |found| found.len())
    }

    /// All of them, beginning with the one whose turn it is.
    fn in_turn<'a>(&self, peers: &'a [Peer]) -> impl Iterator<Item = &'a Peer> + Clone + use<'a> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let (later, first) = peers.split_at(turn.checked_rem(peers.len()).unwrap_or(0));
        first.iter().chain(later)
    }

    /// A replica answered: it is called in its turn again.
    pub(super) fn answered(&self, socket: SocketAddr) {
        self.outliers().answered(socket);
    }

    /// Lets a replica that can't be reached rest, and looks the name up again: it may have gone.
    pub(super) fn broke(&self, socket: SocketAddr) {
        self.outliers().broke(socket, Instant::now());
        self.look_up_now.notify_one();
    }

    /// A replica did not answer before the deadline, or long after another would have; if it goes on like that it rests.
    pub(super) fn late(&self, socket: SocketAddr) {
        self.outliers().late(socket, self.count(), Instant::now());
    }

    fn outliers(&self) -> MutexGuard<'_, Outliers> {
        self.outliers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn look_up(&self) -> io::Result<Vec<SocketAddr>> {
        if let Some(fixed) = &self.fixed {
            return Ok(fixed.clone());
        }
        let addresses = tokio::net::lookup_host((self.url.host(), self.url.port()));
        let mut addresses: Vec<_> = tokio::time::timeout(LOOK_UP_TIMEOUT, addresses).await??.collect();
        // One replica may have an address of each family; it should not get twice its share, nor calls on a family
        // that it does not listen on.
        if addresses.iter().any(SocketAddr::is_ipv4) {
            addresses.retain(SocketAddr::is_ipv4);
        }
        addresses.sort_unstable();
        addresses.dedup();
        Ok(addresses)
    }

    /// Takes over a look-up's result, keeping the channels to replicas that stay.
    fn replace(&self, addresses: &[SocketAddr]) {
        let before = self.found.borrow().clone().unwrap_or_default();
        if before.iter().map(|peer| &peer.socket).eq(addresses) && self.found.borrow().is_some() {
            return;
        }
        let peers = addresses
            .iter()
            .filter_map(|socket| {
                let kept = before.iter().find(|peer| peer.socket == *socket).cloned();
                kept.or_else(|| self.connect(*socket))
            })
            .collect();
        self.outliers().retain(addresses);
        self.found.send_replace(Some(Arc::new(peers)));
    }

    fn connect(&self, socket: SocketAddr) -> Option<Peer> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let mut endpoint = Endpoint::from_shared(format!("{scheme}://{socket}")).ok()?;
        if let Some(tls) = &self.tls {
            // `Tls::read` has tried the files of this configuration.
            endpoint = endpoint.tls_config(tls.clone()).ok()?;
        }
        let origin = self.url.to_string().parse().ok()?;
        let channel = endpoint
            .origin(origin)
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(Duration::from_secs(10))
            .keep_alive_timeout(Duration::from_secs(5))
            .keep_alive_while_idle(true)
            .connect_lazy();
        Some(Peer { socket, channel })
    }
}

async fn follow(peers: Weak<Peers>) {
    let mut is_found = true;
    loop {
        let Some(current) = peers.upgrade() else { return };
        match current.look_up().await {
            Ok(addresses) => {
                is_found = true;
                current.replace(&addresses);
            }
            Err(error) => {
                // Said once, however often it is looked up.
                if std::mem::replace(&mut is_found, false) {
                    tracing::warn!(name = current.url.host(), %error, "the name can't be looked up");
                }
                // Callers must not wait for ever for a first result; known replicas stay in use.
                if current.found.borrow().is_none() {
                    current.found.send_replace(Some(Arc::default()));
                }
            }
        }
        // While it waits this task keeps the peers alive; it lets go of them in between and ends with the last channel.
        let nobody = current
            .found
            .borrow()
            .as_ref()
            .is_none_or(|found| found.is_empty());
        let (interval, pause) = if nobody {
            (LOOK_UP_SOON, LOOK_UP_PAUSES.1)
        } else {
            (LOOK_UP_INTERVAL, LOOK_UP_PAUSES.0)
        };
        let woken = tokio::time::timeout(interval, current.look_up_now.notified())
            .await
            .is_ok();
        drop(current);
        if woken {
            tokio::time::sleep(pause).await;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn a_call_waits_a_moment_for_a_name_that_has_no_address_yet() {
        let peers = Peers::watch("nobody", "http://nobody.invalid:1".parse().unwrap(), None, None);
        let began = Instant::now();
        assert!(peers.pick().await.is_none());
        assert!(
            began.elapsed() < LOOK_UP_TIMEOUT + Duration::from_secs(1),
            "not for ever"
        );
        let calling = tokio::spawn({
            let peers = Arc::clone(&peers);
            async move { peers.pick().await }
        });
        tokio::time::sleep(LOOK_UP_PAUSES.1 * 2).await;
        let somebody = SocketAddr::from(([127, 0, 0, 1], 1));
        peers.replace(&[somebody]);
        assert_eq!(calling.await.unwrap().map(|peer| peer.socket), Some(somebody));
    }
}
