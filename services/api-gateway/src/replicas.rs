//! How many gateways there are. What one client may ask of all of them is shared out among them by it, without a word
//! between them: see [`crate::rate_limit`].

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::{net::lookup_host, time::timeout};
use tokio_util::sync::CancellationToken;

/// How often they are counted.
const INTERVAL: Duration = Duration::from_secs(5);
const LOOK_UP_TIMEOUT: Duration = Duration::from_secs(2);

/// Their number, as it was found last. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Replicas(Arc<AtomicU32>);

impl Default for Replicas {
    /// This one.
    fn default() -> Self {
        Self(Arc::new(AtomicU32::new(1)))
    }
}

impl Replicas {
    /// At least one: this.
    pub fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed).max(1)
    }

    /// Counts the addresses of a name, `host:port`, now and from time to time, until shutdown. Where it can't be looked up
    /// the last count stays.
    pub async fn follow(self, name: String, shutdown: CancellationToken) {
        loop {
            match timeout(LOOK_UP_TIMEOUT, lookup_host(&name)).await {
                Ok(Ok(addresses)) => self.found(
                    addresses
                        .map(|address| address.ip())
                        .collect::<HashSet<_>>()
                        .len(),
                ),
                Ok(Err(error)) => tracing::debug!(%error, name, "the gateways can't be counted"),
                Err(_elapsed) => tracing::debug!(name, "the gateways can't be counted in time"),
            }
            let pause = shutdown.run_until_cancelled(tokio::time::sleep(INTERVAL));
            if pause.await.is_none() {
                return;
            }
        }
    }

    pub(crate) fn found(&self, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX).max(1);
        let before = self.0.swap(count, Ordering::Relaxed);
        if before != count {
            tracing::info!(before, now = count, "the number of gateways has changed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_addresses_of_the_name_are_counted() {
        let (replicas, shutdown) = (Replicas::default(), CancellationToken::new());
        replicas.found(7);
        assert_eq!(replicas.count(), 7);
        shutdown.cancel();
        replicas
            .clone()
            .follow("127.0.0.1:8080".to_owned(), shutdown.clone())
            .await;
        assert_eq!(replicas.count(), 1);
        replicas.found(3);
        replicas
            .clone()
            .follow("nowhere.invalid:8080".to_owned(), shutdown)
            .await;
        assert_eq!(replicas.count(), 3, "the last count stays");
    }
}
