//! A shop of the test's own: six processes, three databases, one virtual host.

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use fixtures::{Broker, Database, Servers};
use futures::future::try_join_all;
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit};
use uuid::Uuid;

use crate::{
    Proxy, RabbitMq, Service, Shop, binaries,
    environment::{Addresses, Backends, authority},
    names::Names,
    otlp,
    process::Process,
    replicas::Replicas,
};

pub(crate) const ADMIN_EMAIL: &str = "admin@shop.example";
/// How long the services have to drain when a stack ends.
const DRAIN: Duration = Duration::from_secs(12);

/// One stack at a time: two shops on two cores would only slow each other down.
static ONE_AT_A_TIME: Semaphore = Semaphore::const_new(1);

/// What a service calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Peer {
    /// Its database's server.
    Postgres,
    /// The broker.
    RabbitMq,
    /// Another service.
    Service(Service),
}

/// What is special about a stack.
#[derive(Clone, Debug, Default)]
#[must_use = "a stack is started by start()"]
pub struct Builder {
    servers: Option<Servers>,
    address_of: Option<fn(Service, Peer) -> Ipv4Addr>,
    environment: Vec<(Option<Service>, String, String)>,
    rate_limits: bool,
    proxied_broker: bool,
    binaries: Option<PathBuf>,
    hosts_file: Option<PathBuf>,
}

impl Builder {
    /// The services export their telemetry to it.
    pub fn with_otlp(self, receiver: &otlp::Receiver) -> Self {
        self.with("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.endpoint())
            // Spans leave at once rather than after five seconds.
            .with("OTEL_BSP_SCHEDULE_DELAY", "100")
    }

    /// The gateway limits the rate of requests, and order-service open orders, as in production.
    pub fn with_rate_limits(mut self) -> Self {
        self.rate_limits = true;
        self
    }

    /// The services reach RabbitMQ through [`Stack::broker_proxy`].
    pub fn with_broker_proxy(mut self) -> Self {
        self.proxied_broker = true;
        self
    }

    /// Starts the programs of that folder rather than those of the working tree.
    pub fn with_binaries(mut self, folder: &Path) -> Self {
        self.binaries = Some(folder.to_owned());
        self
    }

    /// The services call each other by names, which this file resolves for them: it stands in the place of /etc/hosts.
    /// Needed for [`Stack::start_beside`].
    pub fn with_hosts_file(mut self, file: &Path) -> Self {
        self.hosts_file = Some(file.to_owned());
        self
    }

    /// The databases and the virtual host are made on these servers rather than on those that all tests share.
    pub fn on(mut self, servers: Servers) -> Self {
        self.servers = Some(servers);
        self
    }

    /// Which address of loopback a service calls a peer at, 127.0.0.1 where nothing is said. All listen on 127.0.0.1
    /// alone: whoever says something else has the kernel translate it.
    pub fn with_addresses(mut self, address_of: fn(Service, Peer) -> Ipv4Addr) -> Self {
        self.address_of = Some(address_of);
        self
    }

    /// Sets a variable in one service's environment.
    pub fn with_env(mut self, service: Service, name: &str, value: &str) -> Self {
        self.environment
            .push((Some(service), name.to_owned(), value.to_owned()));
        self
    }

    /// Sets a variable in every service's environment.
    fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((None, name.to_owned(), value.to_owned()));
        self
    }

    /// Starts the six services and waits until all are ready.
    pub async fn start(&self) -> anyhow::Result<Stack> {
        let permit = ONE_AT_A_TIME.acquire().await?;
        let binaries = match &self.binaries {
            Some(folder) => folder.clone(),
            None => Stack::working_tree().await?,
        };
        let names = self.hosts_file.as_deref().map(Names::of).transpose()?;
        let folder = tempfile::Builder::new().prefix("shop-e2e-").tempdir()?;
        let servers = self.servers.clone().unwrap_or_else(Servers::shared);
        let broker = Broker::create_on(&servers).await;
        let proxy = if self.proxied_broker {
            Some(Proxy::before(authority(broker.amqp_url())?.to_owned()).await?)
        } else {
            None
        };
        let backends = Backends {
            amqp_url: match &proxy {
                Some(proxy) => {
                    broker
                        .amqp_url()
                        .replacen(authority(broker.amqp_url())?, &proxy.addr().to_string(), 1)
                }
                None => broker.amqp_url().to_owned(),
            },
            users: Database::create_on(&servers).await,
            inventory: Database::create_on(&servers).await,
            orders: Database::create_on(&servers).await,
            address_of: self.address_of.unwrap_or(|_, _| Ipv4Addr::LOCALHOST),
        };
        let admin_password = Uuid::now_v7().to_string();
        std::fs::write(folder.path().join("admin-password"), &admin_password)?;
        let addresses = Addresses::choose(names.is_some())?;
        let gateway = addresses.of[&Service::Gateway].listen;
        let shop = Shop::new(&format!("http://{gateway}"), ADMIN_EMAIL, &admin_password)?;
        let processes = Service::ALL.into_iter().map(|service| {
            let mut environment = backends.environment(service, &addresses, folder.path())?;
            let rate_limit = if self.rate_limits { "on" } else { "off" };
            environment.push(("RATE_LIMIT".into(), rate_limit.into()));
            if !self.rate_limits {
                // Load tests place all orders as a few customers.
                environment.push(("MAX_OPEN_ORDERS".into(), "1000000".into()));
            }
            let own = self
                .environment
                .iter()
                .filter(|(of, ..)| of.is_none_or(|of| of == service));
            environment.extend(own.map(|(_, name, value)| (name.clone(), value.clone())));
            let log = folder.path().join(format!("{}.log", service.name()));
            let process = Process::new(service, &binaries, log, addresses.of[&service], environment);
            anyhow::Ok((service, Replicas::of(process)))
        });
        let stack = Stack {
            shop,
            processes: processes.collect::<anyhow::Result<_>>()?,
            backends: Some((backends, broker)),
            proxy,
            names,
            folder: Some(folder),
            stopped: false,
            _permit: permit,
        };
        // The names first: whoever looks for one that is not there looks again only a second later.
        for service in Service::ALL {
            stack.announce(service, &stack.process(service))?;
        }
        for service in Service::ALL {
            stack.process(service).spawn()?;
        }
        let processes = Service::ALL.map(|service| stack.process(service));
        try_join_all(processes.iter().map(|process| process.ready())).await?;
        Ok(stack)
    }
}

/// A running shop. To be ended by [`Stack::stop`]; dropped without, it prints the end of each log.
#[derive(Debug)]
pub struct Stack {
    shop: Shop,
    processes: BTreeMap<Service, Replicas>,
    backends: Option<(Backends, Broker)>,
    proxy: Option<Proxy>,
    names: Option<Names>,
    folder: Option<TempDir>,
    stopped: bool,
    _permit: SemaphorePermit<'static>,
}

impl Stack {
    /// A stack to be described and then started.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The shop at its gateway.
    pub fn shop(&self) -> &Shop {
        &self.shop
    }

    /// What stands between the services and RabbitMQ.
    pub fn broker_proxy(&self) -> anyhow::Result<&Proxy> {
        self.proxy
            .as_ref()
            .context("the stack was built with_broker_proxy()")
    }

    /// A connection of the test's own to RabbitMQ, past the proxy.
    pub async fn rabbitmq(&self) -> anyhow::Result<RabbitMq> {
        let (_, broker) = self.backends.as_ref().context("the stack runs")?;
        RabbitMq::connect(broker.amqp_url()).await
    }

    /// The folder of the working tree's programs, which the first call brings up to date.
    pub async fn working_tree() -> anyhow::Result<PathBuf> {
        Ok(tokio::task::spawn_blocking(binaries::folder).await??.to_owned())
    }

    /// The service's database, of those that have one.
    pub fn database(&self, service: Service) -> Option<&Database> {
        let (backends, _) = self.backends.as_ref()?;
        match service {
            Service::User => Some(&backends.users),
            Service::Inventory => Some(&backends.inventory),
            Service::Order => Some(&backends.orders),
            Service::Gateway | Service::Producer | Service::Consumer => None,
        }
    }

    /// The URLs of the gateways that are there: one, or two beside each other.
    pub fn gateways(&self) -> Vec<String> {
        let url = |gateway: &Arc<Process>| format!("http://{}", gateway.addresses().listen);
        self.processes[&Service::Gateway].all().iter().map(url).collect()
    }

    /// Starts a second process of a service, from another folder of programs or the same, and has callers find both
    /// when it is ready. Where it does not become ready all is as before.
    pub async fn start_beside(&self, service: Service, binaries: &Path) -> anyhow::Result<()> {
        let replicas = &self.processes[&service];
        let process = replicas.beside(binaries)?;
        process.spawn()?;
        process
            .ready()
            .await
            .with_context(|| format!("the end of its log:\n{}", process.log_tail()))?;
        self.announce(service, &process)?;
        replicas.add(process);
        Ok(())
    }

    /// Ends the older of two processes of a service as Kubernetes does: its name is taken away and it gets SIGTERM at
    /// the same moment. An unclean exit is an error.
    pub async fn retire_older(&self, service: Service) -> anyhow::Result<()> {
        let older = self.processes[&service].take_older()?;
        if let Some(names) = &self.names {
            names.remove(service, older.addresses().listen.ip())?;
        }
        let status = older.terminate().await?;
        ensure!(
            status.success(),
            "{} ended with {status}; the end of its log:\n{}",
            service.name(),
            older.log_tail()
        );
        Ok(())
    }

    /// What each process of a service counts (Prometheus' text format), the older first.
    pub async fn metrics(&self, service: Service) -> anyhow::Result<Vec<String>> {
        let read = |process: Arc<Process>| async move {
            let metrics = fixtures::get(format!("http://{}/metrics", process.addresses().admin)).await?;
            Ok(metrics.error_for_status()?.text().await?)
        };
        try_join_all(self.processes[&service].all().into_iter().map(read)).await
    }

    fn process(&self, service: Service) -> Arc<Process> {
        self.processes[&service].first()
    }

    fn announce(&self, service: Service, process: &Process) -> anyhow::Result<()> {
        let address = process.addresses().listen.ip();
        self.names
            .as_ref()
            .map_or(Ok(()), |names| names.add(service, address))
    }

    /// Ends a service with SIGKILL: it can't finish anything.
    pub fn kill_9(&self, service: Service) -> anyhow::Result<()> {
        self.process(service).kill()
    }

    /// Ends a service with SIGTERM and waits; an unclean exit is an error.
    pub async fn terminate(&self, service: Service) -> anyhow::Result<()> {
        let status = self.process(service).terminate().await?;
        ensure!(status.success(), "{}: {status}", service.name());
        Ok(())
    }

    /// Starts a service that was ended, or has ended by itself, and waits for nothing.
    pub fn spawn(&self, service: Service) -> anyhow::Result<()> {
        let process = self.process(service);
        process.reap()?;
        process.spawn()
    }

    /// Whether it runs, ready or not, paused or not.
    pub fn is_running(&self, service: Service) -> bool {
        self.process(service).is_running()
    }

    /// Whether it runs and says that it can work.
    pub async fn is_ready(&self, service: Service) -> anyhow::Result<bool> {
        self.process(service).is_ready().await
    }

    /// Starts a service that was ended and waits until it is ready.
    pub async fn start(&self, service: Service) -> anyhow::Result<()> {
        let process = self.process(service);
        process.spawn()?;
        process.ready().await
    }

    /// SIGSTOP: its connections stay, nothing is answered.
    pub fn pause(&self, service: Service) -> anyhow::Result<()> {
        self.process(service).signal(Signal::STOP)
    }

    /// SIGCONT.
    pub fn resume(&self, service: Service) -> anyhow::Result<()> {
        self.process(service).signal(Signal::CONT)
    }

    /// The service's binary with the service's configuration, for its subcommands.
    pub fn command(&self, service: Service, arguments: &[&str]) -> Command {
        let mut command = self.process(service).command();
        command.args(arguments);
        command
    }

    /// Ends the services, which must all have been running, and exit cleanly; removes what the stack had.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        try_join_all(Service::ALL.map(|service| self.terminate(service))).await?;
        self.stopped = true;
        if let Some((backends, broker)) = self.backends.take() {
            backends.users.drop().await;
            backends.inventory.drop().await;
            backends.orders.drop().await;
            broker.drop().await;
        }
        Ok(())
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if self.stopped {
            return;
        }
        let processes: Vec<_> = self
            .processes
            .iter()
            .flat_map(|(service, replicas)| replicas.all().into_iter().map(move |process| (service, process)))
            .collect();
        for (_, process) in &processes {
            // Ended or not, paused or not: what can't be signalled needs no signal.
            let _gone = process
                .signal(Signal::TERM)
                .and_then(|()| process.signal(Signal::CONT));
        }
        let began = Instant::now();
        while processes.iter().any(|(_, process)| process.is_running()) && began.elapsed() < DRAIN {
            std::thread::sleep(Duration::from_millis(50));
        }
        for (service, process) in &processes {
            eprintln!(
                "── the end of {}'s log ──\n{}",
                service.name(),
                process.log_tail()
            );
        }
        if let Some(folder) = self.folder.take() {
            eprintln!("whole logs: {}", folder.keep().display());
        }
        if let Some((backends, broker)) = &self.backends {
            let databases = [&backends.users, &backends.inventory, &backends.orders];
            let names = databases.map(Database::name);
            eprintln!("kept for a look: vhost {}, databases {names:?}", broker.vhost());
        }
    }
}
