//! The processes of one service: one, or two while a version takes the place of another.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::Path,
    sync::{Arc, PoisonError, RwLock},
};

use anyhow::ensure;

use crate::process::{Addresses, Process, free_port};

/// Callers find replicas by one name and one port: each has an address of its own.
const ADDRESSES: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)),
];

/// The older first.
#[derive(Debug)]
pub(crate) struct Replicas(RwLock<Vec<Arc<Process>>>);

impl Replicas {
    pub(crate) fn of(process: Process) -> Self {
        Self(RwLock::new(vec![Arc::new(process)]))
    }

    /// All that there are.
    pub(crate) fn all(&self) -> Vec<Arc<Process>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The one, or the older of two.
    pub(crate) fn first(&self) -> Arc<Process> {
        let replicas = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&replicas[0])
    }

    /// A second process beside the one, of these binaries, on the same port of the other address; not started yet.
    pub(crate) fn beside(&self, binaries: &Path) -> anyhow::Result<Process> {
        let replicas = self.all();
        ensure!(replicas.len() == 1, "there are two replicas already");
        let first = replicas[0].addresses();
        let mut listen = first.listen;
        listen.set_ip(if listen.ip() == ADDRESSES[0] {
            ADDRESSES[1]
        } else {
            ADDRESSES[0]
        });
        let mut admin = first.admin;
        admin.set_port(free_port()?);
        // order-service.log, order-service.1.log, …
        let log = (1..1_000)
            .map(|n| {
                self.first()
                    .log()
                    .with_extension("")
                    .with_extension(format!("{n}.log"))
            })
            .find(|log| !log.exists())
            .unwrap_or_else(|| replicas[0].log().to_owned());
        Ok(replicas[0].beside(binaries, log, Addresses { listen, admin }))
    }

    /// Takes a second one in.
    pub(crate) fn add(&self, process: Process) {
        let mut replicas = self.0.write().unwrap_or_else(PoisonError::into_inner);
        replicas.push(Arc::new(process));
    }

    /// Gives the older of two away.
    pub(crate) fn take_older(&self) -> anyhow::Result<Arc<Process>> {
        let mut replicas = self.0.write().unwrap_or_else(PoisonError::into_inner);
        ensure!(replicas.len() == 2, "there is one replica only");
        Ok(replicas.remove(0))
    }
}
