//! Networks that are silent: packets are dropped, and nobody is told.
//!
//! Every caller has an address of its own for each that it calls (`Arrow::address`), which the kernel translates to
//! 127.0.0.1. So one arrow can be cut, for both directions and for connections open and new, and no other is.
//!
//! An arrow can also be lost: connections that are open stay silent for good, whatever comes, and those that are opened
//! once it is found are answered. That is how a failover looks to a client: its peer has vanished with all it knew of
//! the connection, and another one answers behind the same name. For that, each new connection is marked by the kernel
//! with how often its arrow was lost before.
//!
//! Rules of the firewall are made only in a network namespace of the run's own, which `tests/nemesis/run` makes: however
//! the run ends, they end with it.

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    process::Command,
    sync::{Mutex, PoisonError},
};

use anyhow::{Context as _, ensure};

/// The chain that all of it stands in, in two tables.
const CHAIN: &str = "NEMESIS";
/// Where all addresses of arrows lie.
const ARROWS: &str = "127.77.0.0/16";
const DROP: [&str; 2] = ["-j", "DROP"];

/// The run's own loopback device.
#[derive(Debug, Default)]
pub struct Network {
    /// How often each was lost.
    losses: Mutex<BTreeMap<Ipv4Addr, u32>>,
}

impl Network {
    /// Prepares the network where it is the run's own (`NEMESIS_NETWORK=own`), else there is none.
    pub fn own(arrows: impl Iterator<Item = Ipv4Addr>) -> anyhow::Result<Option<Self>> {
        if std::env::var("NEMESIS_NETWORK").as_deref() != Ok("own") {
            return Ok(None);
        }
        let translate = ["-d", ARROWS, "-j", "DNAT", "--to-destination", "127.0.0.1"];
        iptables(&[&["-t", "nat", "-A", "OUTPUT", "-p", "tcp"], &translate[..]].concat())?;
        for table in ["mangle", "filter"] {
            iptables(&["-t", table, "-N", CHAIN])?;
            iptables(&["-t", table, "-A", "INPUT", "-i", "lo", "-j", CHAIN])?;
        }
        arrows
            .into_iter()
            .try_for_each(|address| mark("-A", address, 0))?;
        Ok(Some(Self::default()))
    }

    /// Drops all packets of connections to that address, and those of the answers.
    pub fn cut(&self, address: Ipv4Addr) -> anyhow::Result<()> {
        change("filter", "-A", address, &DROP)
    }

    /// Lets them pass again.
    pub fn mend(&self, address: Ipv4Addr) -> anyhow::Result<()> {
        change("filter", "-D", address, &DROP)
    }

    /// Lets them pass again, but for connections that were opened before it was cut.
    pub fn mend_for_new_connections(&self, address: Ipv4Addr) -> anyhow::Result<()> {
        let losses = {
            let mut losses = self.losses.lock().unwrap_or_else(PoisonError::into_inner);
            let losses = losses.entry(address).or_default();
            *losses += 1;
            *losses
        };
        let before = (losses - 1).to_string();
        let of_before = ["-m", "connmark", "--mark", &before];
        change("filter", "-A", address, &[&of_before[..], &DROP[..]].concat())?;
        mark("-D", address, losses - 1)?;
        mark("-A", address, losses)?;
        self.mend(address)
    }

    /// Whatever is cut is mended.
    pub fn mend_all(&self) -> anyhow::Result<()> {
        iptables(&["-F", CHAIN])
    }
}

/// New connections are marked, and whoever is not through yet is new.
fn mark(how: &str, address: Ipv4Addr, losses: u32) -> anyhow::Result<()> {
    let losses = losses.to_string();
    let target = ["--ctstate", "NEW", "-j", "CONNMARK", "--set-mark", &losses];
    change("mangle", how, address, &target)
}

fn change(table: &str, how: &str, address: Ipv4Addr, target: &[&str]) -> anyhow::Result<()> {
    let address = address.to_string();
    let of_connection = ["-m", "conntrack", "--ctorigdst", &address];
    iptables(&[&["-t", table, how, CHAIN], &of_connection[..], target].concat())
}

fn iptables(arguments: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("iptables")
        .arg("--wait")
        .args(arguments)
        .output()
        .context("iptables can't be run")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "iptables {arguments:?}: {said}");
    Ok(())
}
