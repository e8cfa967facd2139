//! So much of something that lasts (an unfinished body, an event stream) as all may have at once, and as each may have:
//! one client can't take what is there for all.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::rate_limit::{Client, Counted};

/// What all have together. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Shares {
    in_all: Arc<Semaphore>,
    held: Arc<Mutex<HashMap<Counted, usize>>>,
}

/// Why there is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// All is taken.
    All,
    /// All that this client may have.
    Client,
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub struct Share {
    held: Arc<Mutex<HashMap<Counted, usize>>>,
    by: Vec<Counted>,
    _permit: OwnedSemaphorePermit,
}

impl Shares {
    /// So many in all.
    pub fn new(in_all: usize) -> Self {
        Self {
            in_all: Arc::new(Semaphore::new(in_all)),
            held: Arc::default(),
        }
    }

    /// One for these clients, each of which may have as many as stand beside it.
    pub fn take(&self, clients: &[(Client, usize)]) -> Result<Share, Full> {
        let permit = Arc::clone(&self.in_all).try_acquire_owned();
        let permit = permit.map_err(|_| Full::All)?;
        let counted = clients.iter().flat_map(|(client, most)| {
            client.counted().map(|(counted, factor)| {
                let factor = usize::try_from(factor).unwrap_or(1);
                (counted, most.saturating_mul(factor))
            })
        });
        let counted: Vec<_> = counted.collect();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = |(by, most): &(Counted, usize)| held.get(by).is_some_and(|held| held >= most);
        if counted.iter().any(is_full) {
            return Err(Full::Client);
        }
        for (by, _) in &counted {
            *held.entry(*by).or_default() += 1;
        }
        drop(held);
        Ok(Share {
            held: Arc::clone(&self.held),
            by: counted.into_iter().map(|(by, _)| by).collect(),
            _permit: permit,
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        for by in &self.by {
            if let Some(number) = held.get_mut(by) {
                *number -= 1;
                if *number == 0 {
                    held.remove(by);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use uuid::Uuid;

    use super::*;

    #[test]
    fn nobody_takes_the_share_of_others() {
        let shares = Shares::new(5);
        let address = |text: &str| Client::Address(text.parse().unwrap());
        let (one, other) = (Client::Account(Uuid::now_v7()), Client::Account(Uuid::now_v7()));
        let (here, there) = (address("192.0.2.1"), address("192.0.2.2"));
        let take = |account, address| shares.take(&[(account, 2), (address, 3)]);
        let mut taken = vec![take(one, here).unwrap(), take(one, here).unwrap()];
        assert_eq!(take(one, there).unwrap_err(), Full::Client, "of the account");
        taken.push(take(other, here).unwrap());
        assert_eq!(take(other, here).unwrap_err(), Full::Client, "of the address");
        taken.push(take(other, there).unwrap());
        taken.push(take(Client::Account(Uuid::now_v7()), there).unwrap());
        assert_eq!(
            take(Client::Account(Uuid::now_v7()), there).unwrap_err(),
            Full::All
        );
        taken.clear();
        assert!(shares.held.lock().unwrap().is_empty());
        assert!(take(one, here).is_ok());
    }
}
