//! One service as a child process.

use std::{
    fs::File,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU16, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::sleep;

/// How long a service may take to become ready or to stop. Generous: it only bounds a test that fails.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(20);
const LOG_LINES_SHOWN: usize = 40;

/// The six services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is the service of that name")]
pub enum Service {
    Gateway,
    User,
    Inventory,
    Order,
    Producer,
    Consumer,
}

impl Service {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Gateway,
        Self::User,
        Self::Inventory,
        Self::Order,
        Self::Producer,
        Self::Consumer,
    ];

    /// The name of its package, its process and its telemetry.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gateway => "api-gateway",
            Self::User => "user-service",
            Self::Inventory => "inventory-service",
            Self::Order => "order-service",
            Self::Producer => "producer-service",
            Self::Consumer => "consumer-service",
        }
    }
}

/// Where a process answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addresses {
    /// Its API.
    pub(crate) listen: SocketAddr,
    /// Its health and its metrics.
    pub(crate) admin: SocketAddr,
}

/// How to start a service, and the child while it runs. It keeps its ports and its log over restarts.
#[derive(Debug)]
pub(crate) struct Process {
    service: Service,
    binary: PathBuf,
    environment: Vec<(String, String)>,
    addresses: Addresses,
    log: PathBuf,
    child: Mutex<Option<Child>>,
}

impl Process {
    pub(crate) fn new(
        service: Service,
        binaries: &Path,
        log: PathBuf,
        addresses: Addresses,
        environment: Vec<(String, String)>,
    ) -> Self {
        Self {
            service,
            binary: binaries.join(service.name()),
            environment,
            addresses,
            log,
            child: Mutex::new(None),
        }
    }

    /// Another process of the same service with the same configuration, not started yet.
    pub(crate) fn beside(&self, binaries: &Path, log: PathBuf, addresses: Addresses) -> Self {
        Self::new(self.service, binaries, log, addresses, self.environment.clone())
    }

    pub(crate) fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// The service's command with its configuration and nothing else of this process's environment.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("LISTEN_ADDR", self.addresses.listen.to_string())
            .env("ADMIN_ADDR", self.addresses.admin.to_string());
        command
    }

    pub(crate) fn spawn(&self) -> anyhow::Result<()> {
        let mut child = self.child();
        ensure!(child.is_none(), "{} runs already", self.service.name());
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut command = self.command();
        command
            .stdin(std::process::Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        *child = Some(
            command
                .spawn()
                .with_context(|| format!("{} can't be started", self.binary.display()))?,
        );
        Ok(())
    }

    /// Waits until it says at its admin address that it is ready.
    pub(crate) async fn ready(&self) -> anyhow::Result<()> {
        let (name, url) = (
            self.service.name(),
            format!("http://{}/readyz", self.addresses.admin),
        );
        let http = shop_client::http().timeout(Duration::from_secs(5)).build()?;
        let began = Instant::now();
        loop {
            if let Some(status) = self.exited()? {
                bail!("{name} ended at its start: {status}");
            }
            let answer = http.get(&url).send().await;
            if answer.as_ref().is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                let said = match answer {
                    Ok(answer) => answer.text().await.unwrap_or_default(),
                    Err(error) => error.to_string(),
                };
                bail!("{name} is not ready: {said}");
            }
            sleep(PAUSE).await;
        }
    }

    /// Whether it says now that it is ready.
    pub(crate) async fn is_ready(&self) -> anyhow::Result<bool> {
        let http = shop_client::http().timeout(Duration::from_secs(5)).build()?;
        let answer = http
            .get(format!("http://{}/readyz", self.addresses.admin))
            .send()
            .await;
        Ok(answer.is_ok_and(|answer| answer.status().is_success()))
    }

    pub(crate) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        // The child is not reaped while the guard is held: the pid can't be anybody else's.
        let child = self.child();
        let child = child
            .as_ref()
            .with_context(|| format!("{} does not run", self.service.name()))?;
        let pid = i32::try_from(child.id())
            .ok()
            .and_then(Pid::from_raw)
            .context("a pid is a positive i32")?;
        kill_process(pid, signal).with_context(|| format!("{signal:?} to {}", self.service.name()))
    }

    /// SIGKILL: no chance to finish anything.
    pub(crate) fn kill(&self) -> anyhow::Result<()> {
        let Some(mut child) = self.child().take() else {
            bail!("{} does not run", self.service.name())
        };
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// SIGTERM, and the wait for its end.
    pub(crate) async fn terminate(&self) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        let began = Instant::now();
        loop {
            if let Some(status) = self.exited()? {
                self.child().take();
                return Ok(status);
            }
            ensure!(
                began.elapsed() < PATIENCE,
                "{} does not stop",
                self.service.name()
            );
            sleep(PAUSE).await;
        }
    }

    /// Takes note of its end, where it has ended.
    pub(crate) fn reap(&self) -> anyhow::Result<()> {
        if self.exited()?.is_some() {
            self.child().take();
        }
        Ok(())
    }

    pub(crate) fn is_running(&self) -> bool {
        matches!(self.exited(), Ok(None)) && self.child().is_some()
    }

    /// Where it logs to.
    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// The last lines that it wrote.
    pub(crate) fn log_tail(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
    }

    fn exited(&self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child().as_mut().map(Child::try_wait).transpose()?.flatten())
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.child().is_some() {
            // It may have ended by itself, which is what is wanted.
            let _gone = self.kill();
        }
    }
}

/// A port that nobody listens on, outside of the range from which the kernel takes the ports of outgoing connections:
/// a service that is started again must find its port free.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 12_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let offset = u16::try_from(std::process::id() % u32::from(COUNT))?;
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        let port = FIRST + (offset + step) % COUNT;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port is free")
}
