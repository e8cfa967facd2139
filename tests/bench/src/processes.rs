//! What the shop's and the cluster's processes use, as the kernel accounts it in `/proc`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use serde::Serialize;

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

pub(crate) struct Processes(Vec<(String, u32)>);

impl Processes {
    /// Those that the shop started; a PostgreSQL or RabbitMQ that it was given is not ours to look at.
    pub(crate) fn find(run_dir: &Path) -> anyhow::Result<Self> {
        let mut found = Vec::new();
        for name in NAMES {
            let path = run_dir.join(format!("{name}.pid"));
            if let Ok(identity) = fs::read_to_string(&path) {
                found.push((name.to_owned(), pid_of(&identity, &path)?));
            }
        }
        Ok(Self(found))
    }

    /// This program.
    pub(crate) fn this() -> Self {
        Self(vec![("the load itself".to_owned(), std::process::id())])
    }

    /// Every one that has a pid file in one of the folders.
    pub(crate) fn all(run_dirs: &[PathBuf]) -> anyhow::Result<Self> {
        let mut found = Vec::new();
        for folder in run_dirs {
            let files = fs::read_dir(folder).with_context(|| format!("no folder {}", folder.display()))?;
            for file in files {
                let path = file?.path();
                let name = path
                    .file_stem()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned();
                if path.extension().is_some_and(|extension| extension == "pid") {
                    found.push((name, pid_of(&fs::read_to_string(&path)?, &path)?));
                }
            }
        }
        Ok(Self(found))
    }

    /// One more.
    pub(crate) fn add(&mut self, name: &str, pid: u32) {
        self.0.push((name.to_owned(), pid));
    }

    /// CPU time so far by name, that of the processes' children included: PostgreSQL has one per connection, and one that
    /// runs in other namespaces is the child of what put it there.
    pub(crate) fn cpu(&self) -> BTreeMap<String, Duration> {
        let all = table();
        let has_a_name = |id: u32| self.0.iter().any(|(_, pid)| *pid == id);
        self.0
            .iter()
            .map(|(name, pid)| {
                let of_family = all
                    .iter()
                    .filter(|(id, process)| *id == pid || (process.parent == *pid && !has_a_name(**id)));
                (name.clone(), of_family.map(|(_, process)| process.cpu).sum())
            })
            .collect()
    }

    /// CPU time since an earlier look, by name.
    pub(crate) fn cpu_since(&self, before: &BTreeMap<String, Duration>) -> BTreeMap<String, Duration> {
        let mut used = self.cpu();
        for (name, cpu) in &mut used {
            *cpu = cpu.saturating_sub(before.get(name).copied().unwrap_or_default());
        }
        used
    }

    /// Resident memory now by name, in MiB, for the services alone: PostgreSQL's processes share theirs.
    pub(crate) fn resident(&self) -> BTreeMap<String, f64> {
        let services = self.0.iter().filter(|(name, _)| name.contains('-'));
        services
            .filter_map(|(name, pid)| Some((name.clone(), memory(*pid)?.resident_mib)))
            .collect()
    }
}

/// The pid in a pid file: the boot's id, the pid and the time of its start.
fn pid_of(identity: &str, path: &Path) -> anyhow::Result<u32> {
    let pid = identity.split_whitespace().nth(1);
    let pid = pid.with_context(|| format!("{} has no pid", path.display()))?;
    Ok(pid.parse()?)
}

/// What a process has of the machine's memory.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Memory {
    /// Now.
    pub(crate) resident_mib: f64,
    /// The most that it ever had.
    pub(crate) peak_mib: f64,
}

/// None if the process is gone.
pub(crate) fn memory(pid: u32) -> Option<Memory> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let mib = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        let kib: u32 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(f64::from(kib) / 1024.0)
    };
    Some(Memory {
        resident_mib: mib("VmRSS:")?,
        peak_mib: mib("VmHWM:")?,
    })
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
