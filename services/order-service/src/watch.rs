//! Waiting for an order's status. Changes made by this replica reach their watchers at once; those made by another one
//! are found by a single query for all watched orders, twice a second while there are any.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chassis::open_enum::Open;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{order::OrderStatus, store::Store};

/// The most orders that are watched at once.
pub const MAX_WATCHED: usize = 10_000;
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// There are [`MAX_WATCHED`] already.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("too many orders are being watched")]
pub struct TooMany;

/// Who waits for which order. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Watchers(Arc<Mutex<Watched>>);

/// By each order that is watched, the latest news of it.
type Watched = HashMap<Uuid, watch::Sender<Option<Open<OrderStatus>>>>;

/// One watcher's end.
#[derive(Debug)]
pub struct Subscription {
    order_id: Uuid,
    watchers: Watchers,
    status: watch::Receiver<Option<Open<OrderStatus>>>,
}

impl Watchers {
    /// Begins to watch. What the status is now is for the caller to read, after this.
    pub fn subscribe(&self, order_id: Uuid) -> Result<Subscription, TooMany> {
        let mut watched = self.lock();
        if watched.len() >= MAX_WATCHED && !watched.contains_key(&order_id) {
            return Err(TooMany);
        }
        let status = watched.entry(order_id).or_default().subscribe();
        Ok(Subscription {
            order_id,
            watchers: self.clone(),
            status,
        })
    }

    /// Tells the watchers of these orders.
    pub fn publish(&self, changes: impl IntoIterator<Item = (Uuid, Open<OrderStatus>)>) {
        let watched = self.lock();
        if watched.is_empty() {
            return;
        }
        for (order_id, status) in changes {
            if let Some(sender) = watched.get(&order_id) {
                sender.send_if_modified(|known| {
                    let is_news = known.as_ref() != Some(&status);
                    *known = Some(status);
                    is_news
                });
            }
        }
    }

    fn watched(&self) -> Vec<Uuid> {
        self.lock().keys().copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Watched> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscription {
    /// Waits until something other than `known` is published. What was published before the last wait does not count.
    pub async fn changed_from(&mut self, known: &Open<OrderStatus>) {
        // The sender lives as long as this subscription, so waiting never fails.
        while self.status.changed().await.is_ok() {
            if self.status.borrow_and_update().as_ref() != Some(known) {
                return;
            }
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut watched = self.watchers.lock();
        // This subscription still counts as one.
        if watched
            .get(&self.order_id)
            .is_some_and(|sender| sender.receiver_count() <= 1)
        {
            watched.remove(&self.order_id);
        }
    }
}

/// Finds the changes made by other replicas, until shutdown.
pub async fn follow(watchers: Watchers, store: Store, shutdown: CancellationToken) {
    while shutdown
        .run_until_cancelled(tokio::time::sleep(POLL_INTERVAL))
        .await
        .is_some()
    {
        let watched = watchers.watched();
        if watched.is_empty() {
            continue;
        }
        match store.statuses(&watched).await {
            Ok(statuses) => watchers.publish(statuses),
            Err(error) => tracing::warn!(%error, "the status of watched orders can't be read now"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn watchers_hear_of_changes_and_leave_nothing_behind() {
        let watchers = Watchers::default();
        let id = Uuid::now_v7();
        let (mut one, two) = (watchers.subscribe(id).unwrap(), watchers.subscribe(id).unwrap());
        watchers.publish([
            (id, OrderStatus::Pending.into()),
            (Uuid::now_v7(), OrderStatus::Rejected.into()),
        ]);
        watchers.publish([(id, OrderStatus::Confirmed.into())]);
        one.changed_from(&OrderStatus::Pending.into()).await;
        drop(one);
        assert_eq!(watchers.watched(), [id]);
        drop(two);
        assert!(watchers.watched().is_empty());
    }
}
