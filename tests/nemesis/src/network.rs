//! Networks that are silent: packets are dropped, and nobody is told.
//!
//! Every caller has an address of its own for each that it calls (`Arrow::address`), which the kernel translates to
//! 127.0.0.1. So one arrow can be cut, for both directions and for connections open and new, and no other is.
//!
//! Rules of the firewall are made only in a network namespace of the run's own, which `tests/nemesis/run` makes: however
//! the run ends, they end with it.

use std::{net::Ipv4Addr, process::Command};

use anyhow::{Context as _, ensure};

/// The chain that cuts stand in.
const CHAIN: &str = "NEMESIS";
/// Where all addresses of arrows lie.
const ARROWS: &str = "127.77.0.0/16";

/// The run's own loopback device.
#[derive(Debug)]
pub struct Network(());

impl Network {
    /// Prepares the network where it is the run's own (`NEMESIS_NETWORK=own`), else there is none.
    pub fn own() -> anyhow::Result<Option<Self>> {
        if std::env::var("NEMESIS_NETWORK").as_deref() != Ok("own") {
            return Ok(None);
        }
        let translate = ["-d", ARROWS, "-j", "DNAT", "--to-destination", "127.0.0.1"];
        iptables(&[&["-t", "nat", "-A", "OUTPUT", "-p", "tcp"], &translate[..]].concat())?;
        iptables(&["-N", CHAIN])?;
        iptables(&["-A", "INPUT", "-i", "lo", "-j", CHAIN])?;
        Ok(Some(Self(())))
    }

    /// Drops all packets of connections to that address, and those of the answers.
    pub fn cut(&self, address: Ipv4Addr) -> anyhow::Result<()> {
        change("-A", address)
    }

    /// Lets them pass again.
    pub fn mend(&self, address: Ipv4Addr) -> anyhow::Result<()> {
        change("-D", address)
    }

    /// Whatever is cut is mended.
    pub fn mend_all(&self) -> anyhow::Result<()> {
        iptables(&["-F", CHAIN])
    }
}

fn change(how: &str, address: Ipv4Addr) -> anyhow::Result<()> {
    let address = address.to_string();
    let of_connection = ["-m", "conntrack", "--ctorigdst", &address];
    iptables(&[&[how, CHAIN], &of_connection[..], &["-j", "DROP"]].concat())
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
