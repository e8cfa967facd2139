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

/// When which server was last found as it should be, and with what.
#[derive(Default)]
pub(super) struct Provisioned(Mutex<HashMap<(String, Server), Record>>);

/// A look at a server that found all as it should be.
#[derive(Clone, Copy)]
pub(super) struct Record {
    wanted: Revision,
    at: Instant,
    /// How many there were then, if it is RabbitMQ.
    pub(super) dead_letters: Option<u64>,
}

impl Provisioned {
    /// The last look at a server, if it is not older than `resync` and what is wanted is the same.
    pub(super) fn fresh(
        &self,
        shop: &Validated,
        server: Server,
        wanted: Revision,
        resync: Duration,
    ) -> Option<Record> {
        let key = (shop.owner.uid.clone(), server);
        let record = self.lock().get(&key).copied()?;
        (record.wanted == wanted && record.at.elapsed() < resync).then_some(record)
    }

    /// All is as it should be.
    pub(super) fn note(&self, shop: &Validated, server: Server, wanted: Revision, dead_letters: Option<u64>) {
        let record = Record {
            wanted,
            at: Instant::now(),
            dead_letters,
        };
        self.lock().insert((shop.owner.uid.clone(), server), record);
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
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
