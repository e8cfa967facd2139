//! What the shop's processes use, as the kernel accounts it in `/proc`.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use anyhow::Context as _;

const NAMES: [&str; 8] = [
    "api-gateway",
    "user-service",
    "inventory-service",
    "order-service",
    "producer-service",
    "consumer-service",
    "rabbitmq",
    "postgres",
];
/// The kernel counts CPU time in hundredths of a second on every common platform (`getconf CLK_TCK`).
const TICK: Duration = Duration::from_millis(10);
/// Columns of `/proc/<pid>/stat` counted from the one after the name, which may hold anything.
const PARENT: usize = 1;
const CPU: [usize; 4] = [11, 12, 13, 14];

pub(crate) struct Processes(Vec<(&'static str, u32)>);

impl Processes {
    /// Those that the shop started; a PostgreSQL or RabbitMQ that it was given is not ours to look at.
    pub(crate) fn find(run_dir: &Path) -> anyhow::Result<Self> {
        let mut found = Vec::new();
        for name in NAMES {
            let path = run_dir.join(format!("{name}.pid"));
            let Ok(identity) = fs::read_to_string(&path) else {
                continue;
            };
            let pid = identity
                .split_whitespace()
                .nth(1)
                .with_context(|| format!("{} has no pid", path.display()))?;
            found.push((name, pid.parse()?));
        }
        Ok(Self(found))
    }

    /// CPU time so far by name, that of the processes' children included: PostgreSQL has one per connection.
    pub(crate) fn cpu(&self) -> BTreeMap<&'static str, Duration> {
        let all = table();
        self.0
            .iter()
            .map(|(name, pid)| {
                let of_family = all
                    .iter()
                    .filter(|(id, process)| *id == pid || process.parent == *pid);
                (*name, of_family.map(|(_, process)| process.cpu).sum())
            })
            .collect()
    }

    /// Resident memory now by name, in MiB, for the services alone: PostgreSQL's processes share theirs.
    pub(crate) fn resident(&self) -> BTreeMap<&'static str, f64> {
        let services = self.0.iter().filter(|(name, _)| name.contains('-'));
        services
            .filter_map(|(name, pid)| Some((*name, resident(*pid)?)))
            .collect()
    }
}

struct Process {
    parent: u32,
    cpu: Duration,
}

fn table() -> BTreeMap<u32, Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            Some((pid, process(pid)?))
        })
        .collect()
}

fn process(pid: u32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let columns: Vec<&str> = stat.rsplit_once(") ")?.1.split_whitespace().collect();
    let number = |column: usize| columns.get(column)?.parse::<u32>().ok();
    // User and system time, its own and that of children that have ended.
    let ticks = CPU.into_iter().map(number).sum::<Option<u32>>()?;
    Some(Process {
        parent: number(PARENT)?,
        cpu: TICK * ticks,
    })
}

fn resident(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u32 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(f64::from(kib) / 1024.0)
}
