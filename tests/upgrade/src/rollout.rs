//! One version of a service in the place of another, while the shop is open.

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use e2e::{Service, Stack};
use sqlx::PgPool;

use crate::{Exception, Load, Previous};

/// How long callers may take to find a new replica by its name, and a while of work with both.
const SIDE_BY_SIDE: Duration = Duration::from_millis(6_500);

/// A variable that `tests/upgrade/run` sets.
fn setting(name: &str) -> anyhow::Result<PathBuf> {
    env::var_os(name)
        .map(PathBuf::from)
        .with_context(|| format!("{name} is not set: these tests are run by tests/upgrade/run"))
}

/// How sqlx's migrator says so.
const MIGRATION_IS_UNKNOWN: &str = "missing in the resolved migrations";

/// Each service before those that call it: how the operator rolls a Shop.
pub const CALLED_FIRST: [Service; 6] = [
    Service::Producer,
    Service::User,
    Service::Inventory,
    Service::Order,
    Service::Consumer,
    Service::Gateway,
];

/// Each service after those that call it.
pub const CALLERS_FIRST: [Service; 6] = [
    Service::Gateway,
    Service::Consumer,
    Service::Order,
    Service::Inventory,
    Service::User,
    Service::Producer,
];

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// That of the working tree.
    Today,
    /// The one before.
    Previous,
}

/// Both versions, and a way from one to the other.
#[derive(Debug)]
pub struct Rollout {
    /// The version before.
    pub previous: Previous,
    today: PathBuf,
    hosts_file: PathBuf,
    /// By the version before.
    known_migrations: Mutex<BTreeMap<Service, Vec<i64>>>,
}

impl Rollout {
    /// The programs of both versions.
    pub async fn prepare() -> anyhow::Result<Self> {
        let file = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/previous"));
        Ok(Self {
            previous: Previous::read(file, setting("UPGRADE_PREVIOUS")?)?,
            today: match env::var_os("UPGRADE_TODAY") {
                Some(folder) => folder.into(),
                None => Stack::working_tree().await?,
            },
            hosts_file: setting("UPGRADE_HOSTS")?,
            known_migrations: Mutex::default(),
        })
    }

    /// Opens a shop of the version before.
    pub async fn shop_of_the_previous_version(&self) -> anyhow::Result<Stack> {
        let shop = Stack::builder()
            .with_hosts_file(&self.hosts_file)
            .with_binaries(&self.previous.binaries);
        let stack = shop
            .start()
            .await
            .with_context(|| format!("a shop of {}", self.previous.short()))?;
        for service in Service::ALL {
            if let Some(database) = stack.database(service) {
                let versions = sqlx::query_scalar("SELECT version FROM _sqlx_migrations");
                let versions = versions.fetch_all(database.pool()).await?;
                self.known_migrations
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(service, versions);
            }
        }
        Ok(stack)
    }

    /// Opens a shop of today's version.
    pub async fn shop_of_today(&self) -> anyhow::Result<Stack> {
        Stack::builder()
            .with_hosts_file(&self.hosts_file)
            .with_binaries(&self.today)
            .start()
            .await
            .context("a shop of today's version")
    }

    /// Puts a version in the place of the one that runs, service by service.
    pub async fn one_by_one(
        &self,
        to: Version,
        order: &[Service],
        stack: &Stack,
        load: &Load<'_>,
    ) -> anyhow::Result<()> {
        for service in order {
            self.replace(to, &[*service], stack, load).await?;
        }
        Ok(())
    }

    /// Puts a version in the place of the one that runs, all services at once: for a while there are two of each.
    pub async fn at_once(&self, to: Version, stack: &Stack, load: &Load<'_>) -> anyhow::Result<()> {
        self.replace(to, &Service::ALL, stack, load).await
    }

    async fn replace(
        &self,
        to: Version,
        services: &[Service],
        stack: &Stack,
        load: &Load<'_>,
    ) -> anyhow::Result<()> {
        let names = services.iter().map(|service| service.name());
        let what = format!("{} → {}", names.collect::<Vec<_>>().join(", "), self.name(to));
        let began = Instant::now();
        load.step(&format!("{what}: starting beside"));
        for service in services {
            match to {
                Version::Today => stack.start_beside(*service, &self.today).await,
                Version::Previous => self.previous_beside(stack, *service).await,
            }
            .with_context(|| format!("{what}: {} does not start beside what runs", service.name()))?;
        }
        load.step(&format!("{what}: side by side"));
        let mut before = Vec::new();
        for service in services {
            before.push(work_done(stack, *service).await?);
        }
        tokio::time::sleep(SIDE_BY_SIDE).await;
        for (service, before) in services.iter().zip(before) {
            let now = work_done(stack, *service).await?;
            ensure!(
                before.len() == 2 && before.iter().zip(&now).all(|(before, now)| before < now),
                "{what}: of the two that run side by side one had nothing to do: {} did {before:?} and then {now:?}",
                service.name()
            );
        }
        load.check()?;
        load.step(&format!("{what}: the older goes"));
        for service in services {
            let retired = stack.retire_older(*service).await;
            retired.with_context(|| format!("{what}: the older {} does not stop cleanly", service.name()))?;
        }
        load.check()?;
        eprintln!(
            "{:5.1} s  {what}; {}",
            began.elapsed().as_secs_f64(),
            load.tally()
        );
        Ok(())
    }

    fn name(&self, version: Version) -> &str {
        match version {
            Version::Today => "today's",
            Version::Previous => self.previous.short(),
        }
    }

    async fn previous_beside(&self, stack: &Stack, service: Service) -> anyhow::Result<()> {
        let Err(error) = stack.start_beside(service, &self.previous.binaries).await else {
            return Ok(());
        };
        // What it says itself decides whether this is that fault.
        let database = stack
            .database(service)
            .filter(|_| format!("{error:#}").contains(MIGRATION_IS_UNKNOWN));
        let Some(database) = database else {
            return Err(error);
        };
        let refuses = Exception::RefusesNewerSchema;
        if !self.previous.exceptions.forgive(refuses) {
            return Err(error.context(format!(
                "it can't be rolled back: its migrator refuses today's schema. Add no migration to its table in this \
                 release, or name the exception {} in tests/upgrade/previous",
                refuses.name()
            )));
        }
        let known = self
            .known_migrations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&service)
            .cloned()
            .context("the shop was opened by the previous version")?;
        hide_migrations(database.pool(), &known).await?;
        let started = stack.start_beside(service, &self.previous.binaries).await;
        show_migrations(database.pool()).await?;
        started
    }
}

/// How much the service's processes have done, the older first: calls answered, or messages consumed.
async fn work_done(stack: &Stack, service: Service) -> anyhow::Result<Vec<f64>> {
    let counter = match service {
        Service::Gateway => "http_server_request_duration_seconds_count",
        Service::Consumer => "messaging_client_consumed_messages",
        _ => "rpc_server_call_duration_seconds_count",
    };
    let sum = |metrics: &String| {
        let values = metrics.lines().filter(|line| line.starts_with(counter));
        values
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    };
    Ok(stack.metrics(service).await?.iter().map(sum).collect())
}

/// Moves aside what the migrations' table has beside these versions.
async fn hide_migrations(pool: &PgPool, known: &[i64]) -> anyhow::Result<()> {
    let mut transaction = pool.begin().await?;
    sqlx::raw_sql("CREATE TABLE hidden_migrations (LIKE _sqlx_migrations)")
        .execute(&mut *transaction)
        .await?;
    sqlx::query(
        "WITH hidden AS (DELETE FROM _sqlx_migrations WHERE version <> ALL($1) RETURNING *)
         INSERT INTO hidden_migrations SELECT * FROM hidden",
    )
    .bind(known)
    .execute(&mut *transaction)
    .await?;
    Ok(transaction.commit().await?)
}

/// Puts them back.
async fn show_migrations(pool: &PgPool) -> anyhow::Result<()> {
    let back = "INSERT INTO _sqlx_migrations SELECT * FROM hidden_migrations; DROP TABLE hidden_migrations";
    sqlx::raw_sql(back).execute(pool).await?;
    Ok(())
}
