//! Many Shops on one PostgreSQL and one RabbitMQ.

use anyhow::{Context as _, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, api::PostParams};
use serde_json::json;
use shop_operator::crd::{Shop, ShopSpec};
use sqlx::{Connection as _, PgConnection};
use url::Url;

use super::cluster;

/// How many requests of ours are in flight.
const AT_ONCE: usize = 16;
/// How many databases a Shop has.
const DATABASES: u64 = 3;
/// What the server may have of its log beside the databases, and RabbitMQ and etcd, in bytes.
const REST: u64 = 10 << 30;

/// The servers of all of them.
pub(super) struct Servers {
    database: Url,
    amqp: Url,
    management: Url,
}

impl Servers {
    /// As `tests/backends` prints them.
    pub(super) fn from_env() -> anyhow::Result<Self> {
        let url = |variable: &str| -> anyhow::Result<Url> {
            let value = std::env::var(variable);
            let value =
                value.with_context(|| format!("{variable} must be set, as tests/backends prints it"))?;
            value.parse().with_context(|| format!("{variable} is no URL"))
        };
        Ok(Self {
            database: url("TEST_DATABASE_URL")?,
            amqp: url("TEST_AMQP_URL")?,
            management: url("TEST_RABBITMQ_MANAGEMENT_URL")?,
        })
    }

    /// Sees to it that the disk has room for the databases of so many Shops.
    pub(super) async fn have_room_for(&self, shops: u16) -> anyhow::Result<()> {
        let mut server = PgConnection::connect(self.database.as_str()).await?;
        let (folder, size): (String, i64) =
            sqlx::query_as("SELECT current_setting('data_directory'), pg_database_size('template1')")
                .fetch_one(&mut server)
                .await?;
        server.close().await?;
        let disk = rustix::fs::statvfs(&folder).with_context(|| format!("the disk of {folder}"))?;
        let free = disk.f_bavail * disk.f_frsize;
        let needed = u64::from(shops) * DATABASES * u64::try_from(size)? + REST;
        ensure!(
            free >= needed,
            "{shops} Shops need {} GiB in {folder}, and {} GiB are free: give fewer --shops",
            needed >> 30,
            free >> 30
        );
        Ok(())
    }

    fn spec(&self) -> anyhow::Result<ShopSpec> {
        let place = |url: &Url| -> anyhow::Result<(String, u16)> {
            let host = url.host_str().context("a server's URL has a host")?;
            let port = url.port().context("a server's URL has a port")?;
            Ok((host.to_owned(), port))
        };
        let (host, port) = place(&self.database)?;
        let (amqp, amqp_port) = place(&self.amqp)?;
        let (management, management_port) = place(&self.management)?;
        Ok(serde_json::from_value(json!({
            "database": { "external": {
                "host": host, "port": port, "tls": "disable", "adminSecret": { "name": "postgres-admin" },
            }},
            "messaging": { "external": {
                "amqp": format!("amqp://{amqp}:{amqp_port}"),
                "management": format!("http://{management}:{management_port}"),
                "adminSecret": { "name": "rabbitmq-admin" },
            }},
        }))?)
    }
}

/// The Shops, by namespace and name.
pub(super) struct Fleet {
    client: Client,
    spec: ShopSpec,
    pub(super) shops: Vec<(String, String)>,
}

impl Fleet {
    /// Makes the namespaces, each with who administers the servers.
    pub(super) async fn prepare(
        client: &Client,
        servers: &Servers,
        shops: u16,
        namespaces: u16,
    ) -> anyhow::Result<Self> {
        let namespace = |number: u16| format!("bench-shops-{number}");
        for number in 0..namespaces.min(shops) {
            let name = namespace(number);
            cluster::create_namespace(client, &name).await?;
            let secrets: Api<Secret> = Api::namespaced(client.clone(), &name);
            for (name, server) in [
                ("postgres-admin", &servers.database),
                ("rabbitmq-admin", &servers.management),
            ] {
                let secret: Secret = serde_json::from_value(json!({
                    "metadata": { "name": name, "labels": { "shop-operator.io/for": "any" } },
                    "stringData": { "username": server.username(), "password": server.password() },
                }))?;
                secrets.create(&PostParams::default(), &secret).await?;
            }
        }
        Ok(Self {
            client: client.clone(),
            spec: servers.spec()?,
            shops: (0..shops)
                .map(|number| (namespace(number % namespaces), format!("shop-{number}")))
                .collect(),
        })
    }

    /// Creates them all, as fast as the API server takes them.
    pub(super) async fn create(&self) -> anyhow::Result<()> {
        stream::iter(&self.shops)
            .map(|(namespace, name)| async move {
                let api: Api<Shop> = Api::namespaced(self.client.clone(), namespace);
                let created = api
                    .create(&PostParams::default(), &Shop::new(name, self.spec.clone()))
                    .await;
                created
                    .map(drop)
                    .with_context(|| format!("the Shop {namespace}/{name}"))
            })
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await
    }
}
