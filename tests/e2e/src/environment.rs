//! Where the parts of a stack are, and how its services are told.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
};

use anyhow::Context as _;
use fixtures::Database;

use crate::{
    Peer, Service,
    names::Names,
    process::{self, free_port},
    stack::ADMIN_EMAIL,
};

/// The servers of a stack, and the databases of its services.
#[derive(Debug)]
pub(crate) struct Backends {
    pub(crate) amqp_url: String,
    pub(crate) users: Database,
    pub(crate) inventory: Database,
    pub(crate) orders: Database,
    pub(crate) address_of: fn(Service, Peer) -> Ipv4Addr,
}

impl Backends {
    /// What a service is told by its environment.
    pub(crate) fn environment(
        &self,
        service: Service,
        addresses: &Addresses,
        folder: &Path,
    ) -> anyhow::Result<Vec<(String, String)>> {
        let mut environment = vec![
            ("RUST_BACKTRACE", "1".to_owned()),
            // host.conf(5): all addresses of a name, not the first alone.
            ("RESOLV_MULTI", "on".to_owned()),
        ];
        let at = |peer, url: &str| moved_to((self.address_of)(service, peer), url);
        let url = |peer| anyhow::Ok((url_variable(peer), at(Peer::Service(peer), &addresses.url(peer))?));
        let database =
            |database: &Database| anyhow::Ok(("DATABASE_URL", at(Peer::Postgres, database.url())?));
        let broker = || anyhow::Ok(("AMQP_URL", at(Peer::RabbitMq, &self.amqp_url)?));
        environment.extend(match service {
            Service::Gateway => vec![
                url(Service::User)?,
                url(Service::Inventory)?,
                url(Service::Order)?,
                url(Service::Consumer)?,
            ],
            Service::User => vec![
                database(&self.users)?,
                ("ADMIN_EMAIL", ADMIN_EMAIL.to_owned()),
                (
                    "ADMIN_PASSWORD_FILE",
                    folder.join("admin-password").display().to_string(),
                ),
                url(Service::Producer)?,
            ],
            Service::Inventory => vec![database(&self.inventory)?, url(Service::Producer)?],
            Service::Order => vec![
                database(&self.orders)?,
                url(Service::Inventory)?,
                url(Service::Producer)?,
            ],
            Service::Producer => vec![broker()?],
            Service::Consumer => vec![broker()?, url(Service::Inventory)?, url(Service::Order)?],
        });
        Ok(environment
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect())
    }
}

fn url_variable(service: Service) -> &'static str {
    match service {
        Service::Gateway => "API_GATEWAY_URL",
        Service::User => "USER_SERVICE_URL",
        Service::Inventory => "INVENTORY_SERVICE_URL",
        Service::Order => "ORDER_SERVICE_URL",
        Service::Producer => "PRODUCER_SERVICE_URL",
        Service::Consumer => "CONSUMER_SERVICE_URL",
    }
}

/// Where the services listen.
pub(crate) struct Addresses {
    pub(crate) of: BTreeMap<Service, process::Addresses>,
    by_name: bool,
}

impl Addresses {
    pub(crate) fn choose(by_name: bool) -> anyhow::Result<Self> {
        let free = || Ok::<_, anyhow::Error>(SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?)));
        let choose = |service| {
            let (listen, admin) = (free()?, free()?);
            Ok((service, process::Addresses { listen, admin }))
        };
        Ok(Self {
            of: Service::ALL
                .into_iter()
                .map(choose)
                .collect::<anyhow::Result<_>>()?,
            by_name,
        })
    }

    fn url(&self, service: Service) -> String {
        let listen = self.of[&service].listen;
        if self.by_name {
            format!("http://{}:{}", Names::name(service), listen.port())
        } else {
            format!("http://{listen}")
        }
    }
}

/// The URL with that address for its host, where it names the default one.
fn moved_to(address: Ipv4Addr, url: &str) -> anyhow::Result<String> {
    let authority = authority(url)?;
    let moved = authority.replacen("127.0.0.1", &address.to_string(), 1);
    Ok(url.replacen(authority, &moved, 1))
}

/// `host:port` of `scheme://user:password@host:port/path`.
pub(crate) fn authority(url: &str) -> anyhow::Result<&str> {
    let (_, rest) = url.split_once("://").context("a URL has a scheme")?;
    let authority = rest.split('/').next().unwrap_or(rest);
    Ok(authority.rsplit('@').next().unwrap_or(authority))
}
