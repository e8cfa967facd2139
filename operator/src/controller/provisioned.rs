//! Which servers need not be looked at again for a while.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::{revision::Revision, validate::Validated};

/// A server of a Shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Server {
    /// Its PostgreSQL.
    Postgres,
    /// Its RabbitMQ.
    Rabbitmq,
}

/// Until when which server need not be looked at, and with what it was found as it should be.
pub(super) struct Provisioned {
    /// What is changed on a server is found within this time.
    resync: Duration,
    records: Mutex<HashMap<(String, Server), Record>>,
}

/// A look at a server that found all as it should be.
#[derive(Clone, Copy)]
pub(super) struct Record {
    wanted: Revision,
    until: Instant,
    /// How many there were then, if it is RabbitMQ.
    pub(super) dead_letters: Option<u64>,
}

impl Provisioned {
    pub(super) fn new(resync: Duration) -> Self {
        Self {
            resync,
            records: Mutex::default(),
        }
    }

    /// The last look at a server, if it is not time for the next one and what is wanted is the same.
    pub(super) fn fresh(&self, shop: &Validated, server: Server, wanted: Revision) -> Option<Record> {
        let key = (shop.owner.uid.clone(), server);
        let record = self.lock().get(&key).copied()?;
        (record.wanted == wanted && Instant::now() < record.until).then_some(record)
    }

    /// All is as it should be. It is looked at again before `resync` has passed, and not at all servers at one moment.
    pub(super) fn note(&self, shop: &Validated, server: Server, wanted: Revision, dead_letters: Option<u64>) {
        let record = Record {
            wanted,
            until: Instant::now() + self.resync.mul_f64(rand::random_range(0.8..=0.95)),
            dead_letters,
        };
        self.lock().insert((shop.owner.uid.clone(), server), record);
    }

    /// In how long a Shop, by its uid, has to have a turn so that no look at its servers is late.
    pub(super) fn next_look(&self, uid: &str) -> Duration {
        let records = self.lock();
        let of_shop = records.iter().filter(|((shop, _), _)| shop == uid);
        let next = of_shop.map(|(_, record)| record.until).min();
        next.map_or(self.resync, |next| next.saturating_duration_since(Instant::now()))
    }

    /// It has to be looked at again.
    pub(super) fn doubt(&self, shop: &Validated, server: Server) {
        self.lock().remove(&(shop.owner.uid.clone(), server));
    }

    /// Forgets Shops that are gone.
    pub(super) fn forget(&self, is_there: impl Fn(&str) -> bool) {
        self.lock().retain(|(uid, _), _| is_there(uid));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(String, Server), Record>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::{crd::Shop, validate::validate};

    const RESYNC: Duration = Duration::from_mins(5);

    fn shop() -> Validated {
        let shop = serde_json::json!({
            "apiVersion": "shop-operator.io/v1alpha1", "kind": "Shop",
            "metadata": {"name": "demo", "namespace": "shops", "uid": "1"}, "spec": {},
        });
        validate(&serde_json::from_value::<Shop>(shop).unwrap()).unwrap()
    }

    /// The next turn is the one that looks: with the time of its own that it had once, a change was found by every second.
    #[test]
    fn the_next_turn_comes_when_a_look_is_due_and_within_the_interval() {
        let (provisioned, shop, wanted) = (Provisioned::new(RESYNC), shop(), Revision::of_bytes(b"a"));
        assert_eq!(provisioned.next_look("1"), RESYNC);
        for server in [Server::Postgres, Server::Rabbitmq] {
            provisioned.note(&shop, server, wanted, None);
        }
        let next = provisioned.next_look("1");
        assert!(next < RESYNC && next > RESYNC / 2, "{next:?}");
        for record in provisioned.lock().values_mut() {
            record.until -= next;
        }
        let is_fresh = |server| provisioned.fresh(&shop, server, wanted).is_some();
        assert!(!(is_fresh(Server::Postgres) && is_fresh(Server::Rabbitmq)));
        assert_eq!(provisioned.next_look("1"), Duration::ZERO);
    }

    #[test]
    fn a_turn_in_between_puts_no_look_off() {
        let (provisioned, shop, wanted) = (Provisioned::new(RESYNC), shop(), Revision::of_bytes(b"a"));
        provisioned.note(&shop, Server::Postgres, wanted, None);
        for record in provisioned.lock().values_mut() {
            record.until -= RESYNC / 2;
        }
        assert!(provisioned.fresh(&shop, Server::Postgres, wanted).is_some());
        assert!(provisioned.next_look("1") < RESYNC / 2);
        let other = Revision::of_bytes(b"b");
        assert!(provisioned.fresh(&shop, Server::Postgres, other).is_none());
    }
}
