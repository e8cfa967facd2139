//! What goes wrong, and how it is put right again.

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use e2e::{Peer, Service, Stack};

use crate::{network::Network, servers::Servers};

/// How often is looked whether a service has ended that nobody killed.
const SUPERVISION: Duration = Duration::from_millis(200);

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL, and a start a moment later.
    Kill(Peer),
    /// SIGSTOP, and SIGCONT: connections stay, and nothing is answered.
    Pause(Peer),
    /// PostgreSQL takes no writes (SQLSTATE 25006), as a standby that was not promoted.
    ReadOnly {
        /// Whether the sessions that were open are ended, as a switch-over does.
        sessions_end: bool,
    },
    /// Packets between the two are dropped, in both directions. Nobody is told: no reset, no refusal.
    Cut(Arrow),
    /// The same, and connections that were open stay silent for good: what is there afterwards answers new ones only, as
    /// after a failover.
    Lose(Arrow),
}

/// Who calls whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrow {
    /// Who opens the connection.
    pub from: Service,
    /// Who answers.
    pub to: Peer,
}

const fn arrow(from: Service, to: Peer) -> Arrow {
    Arrow { from, to }
}

/// All arrows of the system's picture.
pub const ARROWS: [Arrow; 14] = [
    arrow(Service::Gateway, Peer::Service(Service::User)),
    arrow(Service::Gateway, Peer::Service(Service::Inventory)),
    arrow(Service::Gateway, Peer::Service(Service::Order)),
    arrow(Service::User, Peer::Postgres),
    arrow(Service::User, Peer::Service(Service::Producer)),
    arrow(Service::Inventory, Peer::Postgres),
    arrow(Service::Inventory, Peer::Service(Service::Producer)),
    arrow(Service::Order, Peer::Postgres),
    arrow(Service::Order, Peer::Service(Service::Inventory)),
    arrow(Service::Order, Peer::Service(Service::Producer)),
    arrow(Service::Producer, Peer::RabbitMq),
    arrow(Service::Consumer, Peer::RabbitMq),
    arrow(Service::Consumer, Peer::Service(Service::Inventory)),
    arrow(Service::Consumer, Peer::Service(Service::Order)),
];

impl Arrow {
    /// Whether it can be lost. Not the consumer's to RabbitMQ: to the one broker there is, its messages would be in good
    /// hands until a heartbeat fails, a minute or two later.
    pub fn can_be_lost(&self) -> bool {
        *self != arrow(Service::Consumer, Peer::RabbitMq)
    }

    /// The loopback address at which `from` calls `to`, and nobody else calls anybody.
    pub fn address(from: Service, to: Peer) -> Ipv4Addr {
        let number = |service: Service| {
            let before = Service::ALL.iter().take_while(|other| **other != service);
            before.fold(1_u8, |number, _| number + 1)
        };
        let to = match to {
            Peer::Service(service) => number(service),
            Peer::Postgres => 101,
            Peer::RabbitMq => 102,
        };
        Ipv4Addr::new(127, 77, number(from), to)
    }
}

/// What a fault befalls; two faults of one victim would undo each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Victim {
    /// A process.
    Peer(Peer),
    /// A connection.
    Arrow(Arrow),
}

impl Fault {
    /// The six services and what they stand on.
    pub fn peers() -> [Peer; 8] {
        let [gateway, user, inventory, order, producer, consumer] = Service::ALL.map(Peer::Service);
        [
            gateway,
            user,
            inventory,
            order,
            producer,
            consumer,
            Peer::Postgres,
            Peer::RabbitMq,
        ]
    }

    /// Every fault there is.
    pub fn all() -> Vec<Self> {
        let mut all: Vec<Self> = Self::peers().map(Self::Kill).to_vec();
        all.extend(Self::peers().map(Self::Pause));
        all.extend([false, true].map(|sessions_end| Self::ReadOnly { sessions_end }));
        all.extend(ARROWS.map(Self::Cut));
        all.extend(ARROWS.into_iter().filter(Arrow::can_be_lost).map(Self::Lose));
        all
    }

    /// What it is called in reports and on the command line.
    pub fn name(&self) -> String {
        match self {
            Self::Kill(peer) => format!("kill-{}", peer_name(*peer)),
            Self::Pause(peer) => format!("pause-{}", peer_name(*peer)),
            Self::ReadOnly { sessions_end: false } => "read-only".to_owned(),
            Self::ReadOnly { sessions_end: true } => "read-only-sessions-end".to_owned(),
            Self::Cut(arrow) => format!("cut-{}-{}", arrow.from.name(), peer_name(arrow.to)),
            Self::Lose(arrow) => format!("lose-{}-{}", arrow.from.name(), peer_name(arrow.to)),
        }
    }

    /// Whom it befalls.
    pub fn victim(&self) -> Victim {
        match *self {
            Self::Kill(peer) | Self::Pause(peer) => Victim::Peer(peer),
            Self::ReadOnly { .. } => Victim::Peer(Peer::Postgres),
            Self::Cut(arrow) | Self::Lose(arrow) => Victim::Arrow(arrow),
        }
    }
}

fn peer_name(peer: Peer) -> &'static str {
    match peer {
        Peer::Postgres => "postgres",
        Peer::RabbitMq => "rabbitmq",
        Peer::Service(service) => service.name(),
    }
}

/// What faults befall.
#[derive(Debug)]
pub struct World<'a> {
    /// The shop.
    pub stack: &'a Stack,
    /// What it stands on.
    pub servers: &'a Servers,
    /// What connects them, where it may be cut.
    pub network: Option<&'a Network>,
    supervised: Mutex<BTreeMap<Service, Supervised>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Supervised {
    killed: bool,
    restarts: u32,
}

impl<'a> World<'a> {
    /// Everything runs.
    pub fn new(stack: &'a Stack, servers: &'a Servers, network: Option<&'a Network>) -> Self {
        Self {
            stack,
            servers,
            network,
            supervised: Mutex::default(),
        }
    }

    /// Does the fault.
    pub async fn inject(&self, fault: Fault) -> anyhow::Result<()> {
        match fault {
            Fault::Kill(Peer::Service(service)) => {
                self.supervise(service, |supervised| supervised.killed = true);
                self.stack.kill_9(service)
            }
            Fault::Kill(peer) => self.servers.kill_9(peer),
            Fault::Pause(Peer::Service(service)) => self.stack.pause(service),
            Fault::Pause(peer) => self.servers.pause(peer),
            Fault::ReadOnly { sessions_end } => self.servers.read_only(sessions_end).await,
            Fault::Cut(arrow) => self.network()?.cut(Arrow::address(arrow.from, arrow.to)),
            Fault::Lose(arrow) => {
                self.network()?.cut(Arrow::address(arrow.from, arrow.to))?;
                match arrow.to {
                    // What it held, a server that takes over would not hold.
                    Peer::Postgres => self.servers.end_sessions(Some(arrow.from)).await,
                    _ => Ok(()),
                }
            }
        }
    }

    /// Undoes it, and returns when the victim could work again: a server answers; a service has been started.
    pub async fn heal(&self, fault: Fault) -> anyhow::Result<()> {
        match fault {
            Fault::Kill(Peer::Service(service)) => {
                let spawned = self.stack.spawn(service);
                self.supervise(service, |supervised| supervised.killed = false);
                spawned
            }
            Fault::Kill(peer) => self.servers.start(peer).await,
            Fault::Pause(Peer::Service(service)) => self.stack.resume(service),
            Fault::Pause(peer) => self.servers.resume(peer),
            Fault::ReadOnly { .. } => self.servers.writable().await,
            Fault::Cut(arrow) => self.network()?.mend(Arrow::address(arrow.from, arrow.to)),
            Fault::Lose(arrow) => {
                let address = Arrow::address(arrow.from, arrow.to);
                self.network()?.mend_for_new_connections(address)
            }
        }
    }

    /// Starts services that ended by themselves, as whatever runs them in production does. Never returns.
    pub async fn restart_what_ends(&self) -> anyhow::Error {
        loop {
            tokio::time::sleep(SUPERVISION).await;
            for service in Service::ALL {
                let mut restart = false;
                self.supervise(service, |supervised| {
                    restart = !supervised.killed && !self.stack.is_running(service);
                    supervised.restarts += u32::from(restart);
                });
                if restart && let Err(error) = self.stack.spawn(service) {
                    return error;
                }
            }
        }
    }

    /// How often a service ended that nobody had killed.
    pub fn restarts(&self) -> u32 {
        let supervised = self.supervised.lock().unwrap_or_else(PoisonError::into_inner);
        supervised.values().map(|supervised| supervised.restarts).sum()
    }

    fn supervise(&self, service: Service, change: impl FnOnce(&mut Supervised)) {
        let mut supervised = self.supervised.lock().unwrap_or_else(PoisonError::into_inner);
        change(supervised.entry(service).or_default());
    }

    fn network(&self) -> anyhow::Result<&Network> {
        self.network.context("the network is not this test's own to cut")
    }
}
