//! A PostgreSQL and a RabbitMQ of the run's own, which may be killed, paused and started again on what they have
//! written: `tests/nemesis/servers` starts them.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use e2e::{Peer, Service};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/servers");
/// For what PostgreSQL is told; only bounds a test that fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// The two, until it is dropped.
#[derive(Debug)]
pub struct Servers {
    folder: TempDir,
    urls: fixtures::Servers,
}

impl Servers {
    /// Starts both.
    pub fn start_new() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("shop-nemesis-").tempdir()?;
        let said = script(folder.path(), &["start"])?;
        let url = |name: &str| {
            let mut lines = said.lines();
            lines
                .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
                .map(ToOwned::to_owned)
                .with_context(|| format!("{SCRIPT} does not say {name}: {said}"))
        };
        let urls = fixtures::Servers {
            database_url: url("TEST_DATABASE_URL")?,
            amqp_url: url("TEST_AMQP_URL")?,
            management_url: url("TEST_RABBITMQ_MANAGEMENT_URL")?,
        };
        Ok(Self { folder, urls })
    }

    /// Where they answer, past whatever is cut.
    pub fn urls(&self) -> &fixtures::Servers {
        &self.urls
    }

    /// Ends all processes of one with SIGKILL, at one moment.
    pub fn kill_9(&self, peer: Peer) -> anyhow::Result<()> {
        // None of them can notice that another is gone.
        let pids = self.signal(peer, Signal::STOP)?;
        pids.into_iter().try_for_each(|pid| send(pid, Signal::KILL))
    }

    /// Stops all processes of one where they stand.
    pub fn pause(&self, peer: Peer) -> anyhow::Result<()> {
        self.signal(peer, Signal::STOP).map(drop)
    }

    /// Lets them go on.
    pub fn resume(&self, peer: Peer) -> anyhow::Result<()> {
        self.signal(peer, Signal::CONT).map(drop)
    }

    /// Starts one that was killed; returns when it takes logins.
    pub async fn start(&self, peer: Peer) -> anyhow::Result<()> {
        let (folder, name) = (self.folder.path().to_owned(), name(peer)?);
        tokio::task::spawn_blocking(move || script(&folder, &["start", name])).await??;
        Ok(())
    }

    /// From now on no transaction of PostgreSQL may write; `sessions_end`: and whoever is connected is no more.
    pub async fn read_only(&self, sessions_end: bool) -> anyhow::Result<()> {
        self.administer("ALTER SYSTEM SET default_transaction_read_only = on", "on")
            .await?;
        if sessions_end {
            self.end_sessions(None).await?;
        }
        Ok(())
    }

    /// Ends the sessions of PostgreSQL that a service has, or all.
    pub async fn end_sessions(&self, of: Option<Service>) -> anyhow::Result<()> {
        let mut connection = PgConnection::connect(&self.urls.database_url).await?;
        sqlx::query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
               AND ($1 IS NULL OR application_name = $1)",
        )
        .bind(of.map(e2e::Service::name))
        .execute(&mut connection)
        .await?;
        Ok(())
    }

    /// They may write again.
    pub async fn writable(&self) -> anyhow::Result<()> {
        self.administer("ALTER SYSTEM RESET default_transaction_read_only", "off")
            .await
    }

    /// Whatever was done to them is undone.
    pub async fn heal(&self) -> anyhow::Result<()> {
        for peer in [Peer::Postgres, Peer::RabbitMq] {
            if self.pid(peer).is_ok() {
                self.resume(peer)?;
            } else {
                self.start(peer).await?;
            }
        }
        self.writable().await
    }

    /// Changes a setting and waits until new sessions have it.
    async fn administer(&self, change: &'static str, read_only: &str) -> anyhow::Result<()> {
        let began = Instant::now();
        let mut connection = PgConnection::connect(&self.urls.database_url).await?;
        sqlx::query(change).execute(&mut connection).await?;
        sqlx::query("SELECT pg_reload_conf()")
            .execute(&mut connection)
            .await?;
        while began.elapsed() < PATIENCE {
            let mut session = PgConnection::connect(&self.urls.database_url).await?;
            let now: String = sqlx::query_scalar("SHOW default_transaction_read_only")
                .fetch_one(&mut session)
                .await?;
            if now == read_only {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!("PostgreSQL has not followed: {change}")
    }

    /// Signals the main process first, which then starts no other, and its children.
    fn signal(&self, peer: Peer, signal: Signal) -> anyhow::Result<Vec<Pid>> {
        let main = self.pid(peer)?;
        send(main, signal)?;
        let mut pids = vec![main];
        pids.extend(children(main)?);
        for child in &pids[1..] {
            // A child that has ended meanwhile needs no signal.
            let _gone = send(*child, signal);
        }
        Ok(pids)
    }

    fn pid(&self, peer: Peer) -> anyhow::Result<Pid> {
        let name = name(peer)?;
        let file = self.folder.path().join("run").join(format!("{name}.pid"));
        let identity = std::fs::read_to_string(&file).with_context(|| format!("{name} was not started"))?;
        let pid = identity
            .split(' ')
            .nth(1)
            .and_then(|pid| pid.parse().ok())
            .and_then(Pid::from_raw)
            .with_context(|| format!("{} names no pid: {identity}", file.display()))?;
        ensure!(parent(pid).is_some(), "{name} does not run");
        Ok(pid)
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for peer in [Peer::Postgres, Peer::RabbitMq] {
            // Dead or not, paused or not: what can't be signalled needs no signal.
            let _gone = self.resume(peer);
        }
        if let Err(error) = script(self.folder.path(), &["stop"]) {
            eprintln!("{error:#}");
        }
    }
}

fn name(peer: Peer) -> anyhow::Result<&'static str> {
    match peer {
        Peer::Postgres => Ok("postgres"),
        Peer::RabbitMq => Ok("rabbitmq"),
        Peer::Service(service) => bail!("{} is no server", service.name()),
    }
}

fn script(folder: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    // Its processes stay, and would hold a pipe open: a file is read when the script has ended.
    let said = folder.join("said");
    let file = std::fs::File::create(&said)?;
    let status = Command::new(SCRIPT)
        .arg(folder)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .status()
        .with_context(|| format!("{SCRIPT} can't be run"))?;
    let said = std::fs::read_to_string(said)?;
    ensure!(status.success(), "servers {arguments:?}: {status}: {said}");
    Ok(said)
}

fn send(pid: Pid, signal: Signal) -> anyhow::Result<()> {
    kill_process(pid, signal).with_context(|| format!("{signal:?} to {pid:?}"))
}

/// Those whose parent it is.
fn children(of: Pid) -> anyhow::Result<Vec<Pid>> {
    let mut children = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let pid = entry?
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
            .and_then(Pid::from_raw);
        children.extend(pid.filter(|pid| parent(*pid) == Some(of)));
    }
    Ok(children)
}

/// The parent of a process that runs; none of one that is gone or has ended.
fn parent(pid: Pid) -> Option<Pid> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    // The name in parentheses may hold anything.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok().and_then(Pid::from_raw);
    if matches!(state, "Z" | "X") { None } else { parent }
}
