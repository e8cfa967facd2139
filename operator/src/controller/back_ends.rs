//! What Kubernetes does not hold: PostgreSQL's databases and RabbitMQ's topology, made and looked at again from time to
//! time, since nobody tells when they change.

use std::time::Duration;

use futures::TryFutureExt as _;
use kube::api::DynamicObject;
use secrecy::ExposeSecret as _;

use super::{
    Context,
    fetch::{self, Administrator, Administrators, FetchError, Fetched},
    provisioned::Server,
    way_back::with_way_back,
};
use crate::{
    apply::{ApplyError, Owner},
    build::{Endpoints, Resources},
    clusters::Kind,
    credentials::{Credentials, Login},
    names::{self, Program},
    provision::{
        postgres::{self, PostgresError},
        rabbitmq::{self, RabbitmqError},
    },
    revision::Revision,
    status::{Cause, Stage},
    validate::{DatabaseBackend, MessagingBackend, Validated},
};

/// How long making or looking at everything on a server may take: beyond every deadline of its parts.
const DEADLINE: Duration = Duration::from_mins(1);

/// How the back ends of a Shop are.
pub(super) struct BackEnds {
    /// PostgreSQL.
    pub(super) database: Stage,
    /// RabbitMQ.
    pub(super) messaging: Stage,
    /// Messages that nobody could work off, as of the last look.
    pub(super) dead_letters: Option<u64>,
    /// What was done to them.
    pub(super) changes: Vec<String>,
}

impl BackEnds {
    /// Whether the services find what they need.
    pub(super) fn are_ready(&self) -> bool {
        self.database.is_ready() && self.messaging.is_ready()
    }

    /// With what is known of the pods of data stores that one waits for.
    pub(super) fn with_causes(self, of: impl Fn(&str) -> Option<Cause>) -> Self {
        let with = |stage, part| match (stage, of(part)) {
            (Stage::Waiting(_), Some(cause)) => Stage::Waiting(cause),
            (stage, _) => stage,
        };
        Self {
            database: with(self.database, names::POSTGRES),
            messaging: with(self.messaging, names::RABBITMQ),
            ..self
        }
    }
}

/// Makes both hold what the Shop needs.
pub(super) async fn provision(
    context: &Context,
    owner: &Owner,
    shop: &Validated,
    credentials: &Credentials,
    fetched: &Fetched,
    resources: &Resources,
) -> BackEnds {
    let job = Job {
        context,
        owner,
        resources,
        shop,
        credentials,
        fetched,
        endpoints: Endpoints::of(shop),
        secrets: serde_json::to_vec(&resources.foundation.secrets).unwrap_or_default(),
    };
    let ((database, mut changes), (messaging, dead_letters, more)) =
        tokio::join!(Box::pin(job.postgres()), Box::pin(job.rabbitmq()));
    changes.extend(more);
    BackEnds {
        database,
        messaging,
        dead_letters,
        changes,
    }
}

struct Job<'a> {
    context: &'a Context,
    owner: &'a Owner,
    resources: &'a Resources,
    shop: &'a Validated,
    credentials: &'a Credentials,
    fetched: &'a Fetched,
    endpoints: Endpoints,
    secrets: Vec<u8>,
}

impl Job<'_> {
    async fn postgres(&self) -> (Stage, Vec<String>) {
        let (provisioned, shop) = (&self.context.provisioned, self.shop);
        let ready = match &shop.database {
            DatabaseBackend::Embedded(_) => self.embedded(names::POSTGRES),
            DatabaseBackend::CloudNativePg(_) => {
                let cluster = self.resources.data_stores.postgres_cluster.as_ref();
                self.cluster(Kind::CloudNativePg, cluster).await
            }
            DatabaseBackend::External(_) => Ok(Stage::Ready),
        };
        let ready = match ready {
            Ok(ready) => ready,
            Err(not_ready) => {
                provisioned.doubt(shop, Server::Postgres);
                return (not_ready, Vec::new());
            }
        };
        let own = self.credentials.postgres.as_ref().map(administrator);
        let Some(administrator) = own.or_else(|| self.fetched.database.clone()) else {
            return (no_administrator("PostgresStarting"), Vec::new());
        };
        let wanted = self.wanted(&administrator);
        if provisioned.fresh(shop, Server::Postgres, wanted).is_some() {
            return (ready, Vec::new());
        }
        let server = fetch::database_server(shop, &self.endpoints, administrator);
        let databases = databases(shop, self.credentials);
        let made = postgres::ensure(&server, &self.credentials.identity, &databases);
        match in_time(made.map_err(|error| of_postgres(&error))).await {
            Ok(changes) => {
                provisioned.note(shop, Server::Postgres, wanted, None);
                (ready, changes.iter().map(str::to_owned).collect())
            }
            Err(cause) => {
                provisioned.doubt(shop, Server::Postgres);
                (Stage::Failed(with_way_back(shop, cause)), Vec::new())
            }
        }
    }

    async fn rabbitmq(&self) -> (Stage, Option<u64>, Vec<String>) {
        let (provisioned, shop) = (&self.context.provisioned, self.shop);
        let ready = match &shop.messaging {
            MessagingBackend::Embedded(_) => self.embedded(names::RABBITMQ),
            MessagingBackend::RabbitmqCluster(_) => {
                let cluster = self.resources.data_stores.rabbitmq_cluster.as_ref();
                self.cluster(Kind::RabbitmqCluster, cluster).await
            }
            MessagingBackend::External(_) => Ok(Stage::Ready),
        };
        let ready = match ready {
            Ok(ready) => ready,
            Err(not_ready) => {
                provisioned.doubt(shop, Server::Rabbitmq);
                return (not_ready, None, Vec::new());
            }
        };
        let own = self.credentials.rabbitmq.as_ref().map(administrator);
        let Some(administrator) = own.or_else(|| self.fetched.messaging.clone()) else {
            return (no_administrator("RabbitmqStarting"), None, Vec::new());
        };
        let wanted = self.wanted(&administrator);
        if let Some(record) = provisioned.fresh(shop, Server::Rabbitmq, wanted) {
            return (ready, record.dead_letters, Vec::new());
        }
        let server = match fetch::messaging_server(&self.endpoints, administrator) {
            Ok(server) => server,
            Err(error) => return (Stage::Failed(invalid_url(error)), None, Vec::new()),
        };
        let vhost = self.credentials.vhost(&shop.name);
        let users = users(self.credentials);
        let made = async {
            let changes = rabbitmq::ensure(&server, &self.credentials.identity, &vhost, &users).await?;
            Ok((changes, rabbitmq::dead_letters(&server, &vhost).await?))
        };
        match in_time(made.map_err(|error| of_rabbitmq(&error))).await {
            Ok((changes, dead_letters)) => {
                provisioned.note(shop, Server::Rabbitmq, wanted, Some(dead_letters));
                (
                    ready,
                    Some(dead_letters),
                    changes.iter().map(str::to_owned).collect(),
                )
            }
            Err(cause) => {
                provisioned.doubt(shop, Server::Rabbitmq);
                (Stage::Failed(with_way_back(shop, cause)), None, Vec::new())
            }
        }
    }

    /// Whether the pod of a data store answers.
    fn embedded(&self, part: &'static str) -> Result<Stage, Stage> {
        let reason = if part == names::POSTGRES {
            "PostgresStarting"
        } else {
            "RabbitmqStarting"
        };
        let Some(store) = self.context.known.data_store(&self.owner.shop, part) else {
            return Err(Stage::Waiting(Cause::new(
                reason,
                "its StatefulSet is being made",
            )));
        };
        let name = names::object(&self.shop.name, part);
        if !store.is_ready {
            let message = format!("the pod {name}-0 is not ready yet");
            return Err(Stage::Waiting(Cause::new(reason, message)));
        }
        if store.has_claims {
            return Ok(Stage::Ready);
        }
        Ok(Stage::ReadyBut(Cause::new(
            "NotPersistent",
            format!("the cluster has no default storage class, so what {name} holds is lost with its pod"),
        )))
    }

    /// Whether a cluster that another operator runs answers. It is made here, since nobody watches it: its kind may not be
    /// there.
    async fn cluster(&self, kind: Kind, wanted: Option<&DynamicObject>) -> Result<Stage, Stage> {
        let Some(wanted) = wanted else {
            return Err(Stage::NotReached);
        };
        let (applier, resource) = (&self.context.applier, kind.resource());
        let live = match applier.apply_dynamic(self.owner, &resource, wanted).await {
            Ok(live) => live,
            Err(ApplyError::NoSuchKind { .. }) => return Err(kind.missing()),
            Err(error) => return Err(Stage::Failed(Cause::new(error.reason(), error.to_string()))),
        };
        match kind.stage(&live) {
            Stage::Ready => Ok(kind.remark(&live).map_or(Stage::Ready, Stage::ReadyBut)),
            not_ready => Err(not_ready),
        }
    }

    /// Everything that decides what has to be on a server.
    fn wanted(&self, administrator: &Administrator) -> Revision {
        let mut bytes = self.secrets.clone();
        bytes.extend(administrator.username.bytes().chain([0]));
        bytes.extend(administrator.password.expose_secret().bytes().chain([0]));
        bytes.extend(administrator.ca.iter().flat_map(|ca| ca.bytes()));
        Revision::of_bytes(&bytes)
    }
}

/// Removes what a deleted Shop has on servers that are not its own; what another operator runs goes as a whole. Both servers
/// are tried, and what keeps either from being clean is told.
pub(super) async fn remove(
    shop: &Validated,
    credentials: &Credentials,
    administrators: Administrators,
) -> Vec<Cause> {
    let endpoints = Endpoints::of(shop);
    let database = async {
        let (DatabaseBackend::External(_), Some(administrator)) =
            (&shop.database, of_fetch(administrators.database)?)
        else {
            return Ok(());
        };
        let server = fetch::database_server(shop, &endpoints, administrator);
        let databases = databases(shop, credentials);
        let removed = postgres::remove(&server, &credentials.identity, &databases);
        in_time(removed.map_err(|error| of_postgres(&error))).await
    };
    let messaging = async {
        let (MessagingBackend::External(_), Some(administrator)) =
            (&shop.messaging, of_fetch(administrators.messaging)?)
        else {
            return Ok(());
        };
        let server = fetch::messaging_server(&endpoints, administrator).map_err(invalid_url)?;
        let (vhost, users) = (credentials.vhost(&shop.name), users(credentials));
        let removed = rabbitmq::remove(&server, &credentials.identity, &vhost, &users);
        in_time(removed.map_err(|error| of_rabbitmq(&error))).await
    };
    let (database, messaging) = tokio::join!(Box::pin(database), Box::pin(messaging));
    database.err().into_iter().chain(messaging.err()).collect()
}

fn of_fetch<T>(fetched: Result<T, FetchError>) -> Result<T, Cause> {
    fetched.map_err(|error| Cause::new(error.reason(), error.to_string()))
}

fn databases(shop: &Validated, credentials: &Credentials) -> Vec<postgres::Database> {
    let login = |login: &Login| postgres::Login {
        name: login.username.clone(),
        password: login.password.clone(),
    };
    let of = |program: &Program| {
        let name = credentials.database_name(&shop.name, program.database()?);
        Some(postgres::Database {
            owner: format!("{name}-owner"),
            name,
            logins: credentials.valid_logins(*program).map(login).collect(),
        })
    };
    credentials.databases.keys().filter_map(of).collect()
}

fn users(credentials: &Credentials) -> Vec<rabbitmq::User> {
    let of = |program: &Program| {
        let role = match program {
            Program::ConsumerService => rabbitmq::UserRole::Consumer,
            _ => rabbitmq::UserRole::Producer,
        };
        let logins = credentials.valid_logins(*program);
        logins.map(move |login| rabbitmq::User {
            name: login.username.clone(),
            password: login.password.clone(),
            role,
        })
    };
    credentials.brokers.keys().flat_map(of).collect()
}

/// Its operator has not written down who administers a cluster.
fn no_administrator(reason: &'static str) -> Stage {
    let message = "the Secrets with its administrator and its certificate's authority are not there yet";
    Stage::Waiting(Cause::new(reason, message))
}

fn administrator(login: &Login) -> Administrator {
    Administrator {
        username: login.username.clone(),
        password: login.password.clone(),
        ca: None,
    }
}

async fn in_time<T>(made: impl Future<Output = Result<T, Cause>>) -> Result<T, Cause> {
    tokio::time::timeout(DEADLINE, made).await.unwrap_or_else(|_| {
        let message = format!("its server was not done within {} s", DEADLINE.as_secs());
        Err(Cause::new("BackEndTooSlow", message))
    })
}

fn of_postgres(error: &PostgresError) -> Cause {
    Cause::new(error.reason(), error.to_string())
}

fn of_rabbitmq(error: &RabbitmqError) -> Cause {
    Cause::new(error.reason(), error.to_string())
}

fn invalid_url(error: url::ParseError) -> Cause {
    Cause::new(
        "InvalidSpec",
        format!("spec.messaging.external.management: {error}"),
    )
}
