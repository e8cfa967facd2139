//! The life of a service: bind, add what it needs, serve, drain.

use std::{
    future::Future,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use sqlx::migrate::Migrator;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    config::{ConfigError, GrpcUrl, PostgresArgs, ServiceArgs},
    grpc::{self, ClientChannel},
    health::{self, Health, ReadinessFlag},
    http::{self, ConnectionLimits, Front},
    postgres::{self, Database},
    security,
    tls::{Tls, TlsArgs},
};

/// Past the grace period, whatever is still running is left behind.
const LAST_MOMENT: Duration = Duration::from_secs(1);
/// Of probes and of whoever reads metrics: a few would do.
const MAX_ADMIN_CONNECTIONS: usize = 256;

/// A service's own ports.
#[derive(Clone, Copy, Debug)]
pub struct DefaultAddrs {
    /// For calls.
    pub listen: u16,
    /// For health and metrics.
    pub admin: u16,
}

/// Why a service did not start, or did not stop cleanly.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address can't be listened on; most often another process has the port.
    #[error("cannot listen on {addr} ({variable}): {source}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// The variable that changes it.
        variable: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// The configuration is not usable.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database can't be used.
    #[error(transparent)]
    Postgres(#[from] postgres::PostgresError),
    /// The broker can't be used.
    #[error(transparent)]
    Amqp(#[from] crate::amqp::AmqpError),
    /// The operating system gives no signals.
    #[error("cannot listen for signals: {0}")]
    Signals(std::io::Error),
    /// A part of the service failed while it ran.
    #[error("{0}")]
    Failed(String),
    /// What only this service knows of.
    #[error(transparent)]
    Other(Box<dyn std::error::Error + Send + Sync>),
}

impl StartError {
    /// Wraps an error of the service's own.
    pub fn other(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Other(Box::new(error))
    }
}

/// A service that is being put together. It answers at its admin address from the first moment.
pub struct Service {
    name: &'static str,
    listener: TcpListener,
    addr: SocketAddr,
    admin_addr: SocketAddr,
    health: Health,
    starting: ReadinessFlag,
    shutdown: CancellationToken,
    tasks: TaskTracker,
    failure: watch::Sender<Option<String>>,
    grace: Duration,
    most_calls: u16,
    tls: Option<Tls>,
}

impl Service {
    /// Opens both addresses.
    pub async fn bind(
        name: &'static str,
        args: &ServiceArgs,
        defaults: DefaultAddrs,
    ) -> Result<Self, StartError> {
        security::count_from_zero();
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let (listener, addr) = listen(
            args.listen_addr.unwrap_or_else(|| local(defaults.listen)),
            "LISTEN_ADDR",
        )
        .await?;
        let (admin, admin_addr) = listen(
            args.admin_addr.unwrap_or_else(|| local(defaults.admin)),
            "ADMIN_ADDR",
        )
        .await?;
        let health = Health::default();
        let service = Self {
            name,
            listener,
            addr,
            admin_addr,
            starting: health.flag("service"),
            shutdown: CancellationToken::new(),
            tasks: TaskTracker::new(),
            failure: watch::Sender::new(None),
            grace: args.shutdown_grace,
            most_calls: args.max_concurrent_calls,
            tls: None,
            health,
        };
        service.serve_admin(admin);
        Ok(service)
    }

    /// Reads the certificates that `args` name, for the gRPC of this service in both directions.
    pub fn tls(mut self, args: &TlsArgs) -> Result<Self, ConfigError> {
        self.tls = args.read()?;
        Ok(self)
    }

    /// What readiness depends on, for conditions of the service's own.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Done when the service is told to stop.
    pub fn shutdown(&self) -> CancellationToken {
        self.shutdown.clone()
    }

    /// Waits for the database, brings its schema up to date by each of the migrators in turn, and reports it in
    /// readiness. A connection URL in a file is followed when the file changes.
    pub async fn postgres(
        &mut self,
        args: &PostgresArgs,
        migrators: impl IntoIterator<Item = Migrator>,
    ) -> Result<Database, StartError> {
        let flag = self.health.flag("postgres");
        let (database, keeper) = postgres::connect(self.name, args, migrators, &flag).await?;
        let asked = database.clone();
        self.health.check("postgres", move || {
            let asked = asked.clone();
            Box::pin(async move { asked.ask().await })
        });
        self.spawn("database", |shutdown| keeper.run(shutdown));
        Ok(database)
    }

    /// A channel to another service; it connects at the first call. `peer` is the name for log lines and spans. An
    /// error says that the URL is https and this service has no certificates.
    pub fn grpc_channel(&self, peer: &'static str, url: &GrpcUrl) -> Result<ClientChannel, ConfigError> {
        ClientChannel::new(peer, url.clone(), self.tls.as_ref())
    }

    /// Runs a part of the service beside its server. It must not end before it is told to; if it does, the whole
    /// service stops, so that it is started again rather than half alive.
    pub fn spawn<F, Fut>(&self, part: &'static str, body: F)
    where
        F: FnOnce(CancellationToken) -> Fut,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let task = tokio::spawn(body(self.shutdown.clone()));
        let (shutdown, failure) = (self.shutdown.clone(), self.failure.clone());
        self.tasks.spawn(async move {
            let outcome = task.await;
            if !shutdown.is_cancelled() {
                let how = if outcome.is_ok() { "ended" } else { "panicked" };
                failure.send_replace(Some(format!("{part} {how}")));
            }
        });
    }

    /// Answers gRPC calls from now on, with health, reflection, telemetry, deadlines and limits added.
    pub fn serve_grpc(self, routes: tonic::service::Routes) -> Running {
        if self.tls.is_none() {
            self.say_who_may_call();
        }
        let (tasks, tls, most_calls) = (self.tasks.clone(), self.tls.clone(), self.most_calls);
        self.serve(move |listener, health, shutdown| async move {
            grpc::server::serve(routes, listener, tls, most_calls, health, tasks, shutdown)
                .await
                .map_err(|error| error.to_string())
        })
    }

    /// A service without certificates can't know who calls. On the loopback address those are the accounts of the
    /// machine; elsewhere whoever reaches the port.
    fn say_who_may_call(&self) {
        let who = if self.addr.ip().is_loopback() {
            "every account of this machine may"
        } else {
            "this is no loopback address, and EVERYBODY WHO REACHES IT may"
        };
        tracing::warn!(
            event.name = "security.calls.unauthenticated",
            addr = %self.addr,
            "calls are not authenticated: without TLS_CERT_FILE {who} call this service, in anybody's name"
        );
    }

    /// Answers HTTP requests from now on, those that `front` does not refuse. Handlers can ask for the peer's address by
    /// `ConnectInfo<SocketAddr>`.
    pub fn serve_http(self, router: axum::Router, front: Front, limits: ConnectionLimits) -> Running {
        self.serve(move |listener, _, shutdown| async move {
            http::serve(router, front, listener, limits, shutdown).await;
            Ok(())
        })
    }

    /// For a program that nobody calls, such as the operator: only its admin address answers.
    pub fn serve_admin_only(self) -> Running {
        self.serve(|listener, _, shutdown| async move {
            drop(listener);
            shutdown.cancelled().await;
            Ok(())
        })
    }

    fn serve<F, Fut>(self, server: F) -> Running
    where
        F: FnOnce(TcpListener, Health, CancellationToken) -> Fut,
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        let serving = tokio::spawn(server(self.listener, self.health.clone(), self.shutdown.clone()));
        let failure = self.failure.clone();
        self.tasks.spawn(async move {
            match serving.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => drop(failure.send_replace(Some(format!("the server failed: {error}")))),
                Err(_) => drop(failure.send_replace(Some("the server panicked".to_owned()))),
            }
        });
        self.starting.ready();
        tracing::info!(addr = %self.addr, admin = %self.admin_addr, "{} is serving", self.name);
        Running {
            addr: self.addr,
            admin_addr: self.admin_addr,
            starting: self.starting,
            shutdown: self.shutdown,
            tasks: self.tasks,
            failure: self.failure,
            grace: self.grace,
        }
    }

    fn serve_admin(&self, listener: TcpListener) {
        let router = health::routes(self.health.clone());
        let limits = ConnectionLimits {
            max_connections: MAX_ADMIN_CONNECTIONS,
            max_connections_per_address: MAX_ADMIN_CONNECTIONS,
            ..ConnectionLimits::default()
        };
        self.spawn("admin-server", |shutdown| {
            http::serve(router, Front::open(), listener, limits, shutdown)
        });
    }
}

/// A service that answers. Dropping it stops it without waiting; [`Running::stop`] waits.
#[derive(Debug)]
pub struct Running {
    addr: SocketAddr,
    admin_addr: SocketAddr,
    starting: ReadinessFlag,
    shutdown: CancellationToken,
    tasks: TaskTracker,
    failure: watch::Sender<Option<String>>,
    grace: Duration,
}

impl Running {
    /// Where it answers calls.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where it answers for health and metrics.
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin_addr
    }

    /// Ends when a part of the service has ended by itself, saying which.
    pub async fn failed(&self) -> String {
        let mut failure = self.failure.subscribe();
        match failure.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            // Not reached while `self` holds the sender.
            Err(_) => std::future::pending().await,
        }
    }

    /// Takes no more work, lets what is in flight finish within the grace period, and ends. An error says what had
    /// failed before, or that something did not finish in time.
    pub async fn stop(self) -> Result<(), StartError> {
        self.starting.not_ready("stopping");
        self.shutdown.cancel();
        self.tasks.close();
        let drained = tokio::time::timeout(self.grace + LAST_MOMENT, self.tasks.wait()).await;
        let failure = self.failure.borrow().clone();
        match (failure, drained) {
            (Some(failure), _) => Err(StartError::Failed(failure)),
            (None, Err(_)) => Err(StartError::Failed(format!(
                "work was still in flight after {:?}",
                self.grace
            ))),
            (None, Ok(())) => Ok(()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

async fn listen(addr: SocketAddr, variable: &'static str) -> Result<(TcpListener, SocketAddr), StartError> {
    let listener = TcpListener::bind(addr)
        .await
        .map_err(|source| StartError::Listen {
            addr,
            variable,
            source,
        })?;
    let addr = listener.local_addr().map_err(|source| StartError::Listen {
        addr,
        variable,
        source,
    })?;
    Ok((listener, addr))
}
