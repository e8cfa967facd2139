//! Names of services that resolve to all of their replicas, as a headless Service's do in a cluster.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    net::IpAddr,
    os::unix::fs::FileExt as _,
    path::Path,
    sync::{Mutex, PoisonError},
};

use anyhow::{Context as _, ensure};

use crate::Service;

/// The file keeps its size, so that it is replaced by one write and nobody reads half of it.
const SIZE: usize = 4096;

/// RFC 6761: a domain that nobody has.
const DOMAIN: &str = ".shop.test";

/// A hosts file (hosts(5)) that is written anew when a replica comes or goes. Whoever starts the tests must have put it
/// in the place of /etc/hosts, in a mount namespace of its own: tests/upgrade/run.
#[derive(Debug)]
pub(crate) struct Names {
    file: File,
    /// What stands in it for others.
    others: String,
    replicas: Mutex<BTreeMap<Service, BTreeSet<IpAddr>>>,
}

impl Names {
    /// Takes over an existing file, without the names of a shop before.
    pub(crate) fn of(path: &Path) -> anyhow::Result<Self> {
        let context = || format!("the hosts file {}", path.display());
        let text = std::fs::read_to_string(path).with_context(context)?;
        let others = text
            .lines()
            .filter(|line| !line.is_empty() && !line.ends_with(DOMAIN));
        let others = others.fold(String::new(), |text, line| text + line + "\n");
        let file = File::options().write(true).open(path).with_context(context)?;
        let names = Self {
            file,
            others,
            replicas: Mutex::default(),
        };
        names.write(&BTreeMap::new())?;
        Ok(names)
    }

    /// A service's name.
    pub(crate) fn name(service: Service) -> String {
        format!("{}{DOMAIN}", service.name())
    }

    /// From its next look-up on a caller finds this replica.
    pub(crate) fn add(&self, service: Service, address: IpAddr) -> anyhow::Result<()> {
        self.change(service, |replicas| {
            replicas.insert(address);
        })
    }

    /// From its next look-up on a caller no longer finds this replica.
    pub(crate) fn remove(&self, service: Service, address: IpAddr) -> anyhow::Result<()> {
        self.change(service, |replicas| {
            replicas.remove(&address);
        })
    }

    fn change(&self, service: Service, change: impl FnOnce(&mut BTreeSet<IpAddr>)) -> anyhow::Result<()> {
        let mut replicas = self.replicas.lock().unwrap_or_else(PoisonError::into_inner);
        change(replicas.entry(service).or_default());
        self.write(&replicas)
    }

    fn write(&self, replicas: &BTreeMap<Service, BTreeSet<IpAddr>>) -> anyhow::Result<()> {
        let mut text = self.others.clone();
        for (service, addresses) in replicas {
            let lines = addresses
                .iter()
                .map(|address| format!("{address} {}\n", Self::name(*service)));
            text.extend(lines);
        }
        ensure!(text.len() <= SIZE, "the hosts file has {} bytes", text.len());
        text.extend(std::iter::repeat_n('\n', SIZE - text.len()));
        Ok(self.file.write_all_at(text.as_bytes(), 0)?)
    }
}
