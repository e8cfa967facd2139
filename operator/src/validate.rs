//! What a Shop asks for, with everything decided: pure, and the only place that reads its spec.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use k8s_openapi::{
    api::core::v1::{Affinity, EnvVar, ResourceRequirements, Toleration},
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::OwnerReference},
};
use kube::{Resource as _, ResourceExt as _};

use crate::{
    crd::{
        Autoscaling, CloudNativePg, Database, DeletionPolicy, Embedded, ExternalDatabase, ExternalMessaging,
        Image, Ingress, Messaging, RabbitmqCluster, Shop, Telemetry, TlsMode, Workload,
    },
    names::Program,
    observed::ShopName,
};

/// The version of the services that the operator was built with.
pub const DEFAULT_VERSION: &str = env!("CARGO_PKG_VERSION");
const DEFAULT_STORAGE: &str = "1Gi";
/// Often enough for everybody, and the pods are not rolled all the time.
const SHORTEST_ROTATION: Duration = Duration::from_hours(1);
const POSTGRES_IMAGE: &str = "docker.io/library/postgres:17";
const RABBITMQ_IMAGE: &str = "docker.io/library/rabbitmq:4-management";

/// Why a Shop can't be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValidationError {
    /// The API server gave no name, namespace or uid: it was not asked for this Shop.
    #[error("the Shop has no {0}")]
    Incomplete(&'static str),
    /// Two ways to have a back end, or none. The schema refuses it too.
    #[error("spec.{field}: give exactly one of embedded, {cluster} and external")]
    NotExactlyOne {
        /// The back end.
        field: &'static str,
        /// What the way in the middle is called.
        cluster: &'static str,
    },
    /// A variable that the operator sets.
    #[error("spec.{field}.env: {variable} is set by the operator; use the spec's own field for it")]
    OwnVariable {
        /// The workload.
        field: &'static str,
        /// The variable.
        variable: String,
    },
    /// A time after which nothing can be rotated. The schema refuses it too.
    #[error("spec.credentials.rotation: {0:?} is no time of 1h or longer, as for example 720h")]
    Rotation(String),
    /// A variable with two values. The schema refuses it too.
    #[error("spec.{field}.env: {variable} is given twice")]
    RepeatedVariable {
        /// The workload.
        field: &'static str,
        /// The variable.
        variable: String,
    },
}

/// A Shop with everything decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Validated {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// What its objects say about who they belong to.
    pub owner: OwnerReference,
    /// What marks its data on servers that others use too, as far as its status knows: the Secret that has it may be gone.
    pub identity: Option<String>,
    /// The tag of the services' images.
    pub version: String,
    /// Where images come from.
    pub image: Image,
    /// How many of each, and where.
    pub workloads: BTreeMap<Program, Deployed>,
    /// How the gateway is reached from outside, if it is.
    pub ingress: Option<Ingress>,
    /// PostgreSQL.
    pub database: DatabaseBackend,
    /// RabbitMQ.
    pub messaging: MessagingBackend,
    /// Traces, metrics and logs.
    pub telemetry: Telemetry,
    /// Whether only the connections that are needed are allowed.
    pub network_policies: bool,
    /// Whether the services call each other over TLS.
    pub tls: bool,
    /// After how long the services' logins are replaced, if they are.
    pub rotation: Option<Duration>,
    /// Whether data outlives the Shop.
    pub retain: bool,
}

/// How many of a program there are, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct Deployed {
    /// Fixed, or by autoscaling.
    pub replicas: Replicas,
    /// What a pod may use.
    pub resources: ResourceRequirements,
    /// Its further environment variables, as asked for.
    pub env: Vec<EnvVar>,
    /// Where its pods run.
    pub placement: Placement,
}

/// Which nodes the Shop wants pods to run on.
#[derive(Clone, Debug, PartialEq)]
pub struct Placement {
    /// Labels that a node must have.
    pub node_selector: BTreeMap<String, String>,
    /// Taints of nodes to put up with.
    pub tolerations: Vec<Toleration>,
    /// Which nodes and which neighbours are preferred or required.
    pub affinity: Option<Affinity>,
}

impl Placement {
    /// Whether the Shop says anything of it.
    pub fn is_chosen(&self) -> bool {
        !self.node_selector.is_empty() || !self.tolerations.is_empty() || self.affinity.is_some()
    }
}

/// How many pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replicas {
    /// So many.
    Fixed(i32),
    /// As many as an autoscaler finds right.
    Autoscaled(Autoscaling),
}

impl Validated {
    /// Whether some of its data is where Kubernetes can't remove it.
    pub fn is_on_others_servers(&self) -> bool {
        matches!(self.database, DatabaseBackend::External(_))
            || matches!(self.messaging, MessagingBackend::External(_))
    }

    /// What its objects are known by.
    pub fn shop_name(&self) -> ShopName {
        ShopName {
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }
}

impl Replicas {
    /// The fewest that there will be.
    pub fn least(self) -> i32 {
        match self {
            Self::Fixed(replicas) => replicas,
            Self::Autoscaled(autoscaling) => autoscaling.min_replicas,
        }
    }
}

/// PostgreSQL.
#[derive(Clone, Debug, PartialEq)]
pub enum DatabaseBackend {
    /// In a pod of the Shop.
    Embedded(Box<DataStore>),
    /// Run by CloudNativePG.
    CloudNativePg(CloudNativePg),
    /// There already.
    External(ExternalDatabase),
}

impl DatabaseBackend {
    /// How connections to it are encrypted. CloudNativePG gives each server a certificate of an authority of its own, for
    /// the names of its Services: there is nothing that a person has to do for the safest way.
    /// <https://cloudnative-pg.io/documentation/current/certificates/>
    pub fn tls(&self) -> TlsMode {
        match self {
            Self::Embedded(_) => TlsMode::Disable,
            Self::CloudNativePg(_) => TlsMode::VerifyFull,
            Self::External(external) => external.tls,
        }
    }
}

/// RabbitMQ.
#[derive(Clone, Debug, PartialEq)]
pub enum MessagingBackend {
    /// In a pod of the Shop.
    Embedded(Box<DataStore>),
    /// Run by the RabbitMQ Cluster Operator.
    RabbitmqCluster(RabbitmqCluster),
    /// There already.
    External(ExternalMessaging),
}

/// A data store in a pod.
#[derive(Clone, Debug, PartialEq)]
pub struct DataStore {
    /// The whole name of its image.
    pub image: String,
    /// The size of its volume.
    pub storage: Quantity,
    /// Which storage class makes the volume, if not the default one.
    pub storage_class_name: Option<String>,
    /// What its pod may use, if that is said.
    pub resources: Option<ResourceRequirements>,
    /// Where its pod runs.
    pub placement: Placement,
}

/// Decides everything.
pub fn validate(shop: &Shop) -> Result<Validated, ValidationError> {
    let spec = &shop.spec;
    let workload = |field: &'static str, workload: &Workload| deployed(field, workload);
    let workloads = [
        (
            Program::UserService,
            workload("services.users", &spec.services.users)?,
        ),
        (
            Program::InventoryService,
            workload("services.inventory", &spec.services.inventory)?,
        ),
        (
            Program::ProducerService,
            workload("services.producer", &spec.services.producer)?,
        ),
        (
            Program::OrderService,
            workload("services.orders", &spec.services.orders)?,
        ),
        (
            Program::ConsumerService,
            workload("services.consumer", &spec.services.consumer)?,
        ),
        (Program::ApiGateway, workload("gateway", &spec.gateway.workload)?),
    ];
    Ok(Validated {
        name: shop.name_any(),
        namespace: shop.namespace().ok_or(ValidationError::Incomplete("namespace"))?,
        owner: shop
            .controller_owner_ref(&())
            .ok_or(ValidationError::Incomplete("uid"))?,
        identity: shop.status.as_ref().and_then(|status| status.identity.clone()),
        version: spec.version.clone().unwrap_or_else(|| DEFAULT_VERSION.to_owned()),
        image: spec.image.clone(),
        workloads: workloads.into(),
        ingress: spec.gateway.ingress.clone(),
        database: database(&spec.database)?,
        messaging: messaging(&spec.messaging)?,
        telemetry: spec.telemetry.clone(),
        network_policies: spec.network_policy.enabled,
        tls: spec.tls.enabled,
        rotation: rotation(spec.credentials.rotation.as_deref())?,
        retain: spec.deletion_policy == DeletionPolicy::Retain,
    })
}

fn rotation(text: Option<&str>) -> Result<Option<Duration>, ValidationError> {
    let parse = |text: &str| {
        let parsed = humantime::parse_duration(text).ok();
        parsed
            .filter(|rotation| *rotation >= SHORTEST_ROTATION)
            .ok_or_else(|| ValidationError::Rotation(text.to_owned()))
    };
    text.map(parse).transpose()
}

fn deployed(field: &'static str, workload: &Workload) -> Result<Deployed, ValidationError> {
    if let Some(variable) = workload.env.iter().find(|variable| is_own(&variable.name)) {
        let variable = variable.name.clone();
        return Err(ValidationError::OwnVariable { field, variable });
    }
    let mut seen = BTreeSet::new();
    if let Some(variable) = workload
        .env
        .iter()
        .find(|variable| !seen.insert(variable.name.as_str()))
    {
        let variable = variable.name.clone();
        return Err(ValidationError::RepeatedVariable { field, variable });
    }
    Ok(Deployed {
        replicas: match workload.autoscaling {
            Some(autoscaling) => Replicas::Autoscaled(autoscaling),
            None => Replicas::Fixed(workload.replicas.unwrap_or(1)),
        },
        resources: workload.resources.clone().unwrap_or_else(default_resources),
        env: workload.env.clone(),
        placement: Placement {
            node_selector: workload.node_selector.clone(),
            tolerations: workload.tolerations.clone(),
            affinity: workload.affinity.clone(),
        },
    })
}

/// Whether the operator decides about a variable.
fn is_own(variable: &str) -> bool {
    const NAMES: [&str; 20] = [
        "GATEWAY_REPLICAS",
        "LISTEN_ADDR",
        "ADMIN_ADDR",
        "DATABASE_URL",
        "AMQP_URL",
        "ADMIN_EMAIL",
        "ADMIN_PASSWORD",
        "TOKEN_SIGNING_KEYS_FILE",
        "AMQP_DECLARE_TOPOLOGY",
        "TLS_CERT_FILE",
        "TLS_KEY_FILE",
        "TLS_CA_FILE",
        "LOG_FORMAT",
        "RUST_LOG",
        "SHUTDOWN_GRACE",
        "POD_NAME",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_RESOURCE_ATTRIBUTES",
        "OTEL_TRACES_SAMPLER",
        "OTEL_TRACES_SAMPLER_ARG",
    ];
    NAMES.contains(&variable)
        || variable.ends_with("_SERVICE_URL")
        || variable
            .strip_suffix("_FILE")
            .is_some_and(|name| NAMES.contains(&name))
}

/// What the services need at rest, with room for a load that a shop on trial sees. They are bounded in memory by
/// themselves; CPU is not limited, since a limit only makes answers late.
fn default_resources() -> ResourceRequirements {
    let quantity = |name: &str, value: &str| (name.to_owned(), Quantity(value.to_owned()));
    ResourceRequirements {
        requests: Some([quantity("cpu", "50m"), quantity("memory", "64Mi")].into()),
        limits: Some([quantity("memory", "256Mi")].into()),
        ..ResourceRequirements::default()
    }
}

fn database(database: &Database) -> Result<DatabaseBackend, ValidationError> {
    match (&database.embedded, &database.cloud_native_pg, &database.external) {
        (Some(embedded), None, None) => Ok(DatabaseBackend::Embedded(Box::new(data_store(
            embedded,
            POSTGRES_IMAGE,
        )))),
        (None, Some(cluster), None) => Ok(DatabaseBackend::CloudNativePg(cluster.clone())),
        (None, None, Some(external)) => Ok(DatabaseBackend::External(external.clone())),
        _ => Err(ValidationError::NotExactlyOne {
            field: "database",
            cluster: "cloudNativePg",
        }),
    }
}

fn messaging(messaging: &Messaging) -> Result<MessagingBackend, ValidationError> {
    match (
        &messaging.embedded,
        &messaging.rabbitmq_cluster,
        &messaging.external,
    ) {
        (Some(embedded), None, None) => Ok(MessagingBackend::Embedded(Box::new(data_store(
            embedded,
            RABBITMQ_IMAGE,
        )))),
        (None, Some(cluster), None) => Ok(MessagingBackend::RabbitmqCluster(cluster.clone())),
        (None, None, Some(external)) => Ok(MessagingBackend::External(external.clone())),
        _ => Err(ValidationError::NotExactlyOne {
            field: "messaging",
            cluster: "rabbitmqCluster",
        }),
    }
}

fn data_store(embedded: &Embedded, image: &str) -> DataStore {
    DataStore {
        image: embedded.image.clone().unwrap_or_else(|| image.to_owned()),
        storage: embedded
            .storage
            .clone()
            .unwrap_or_else(|| Quantity(DEFAULT_STORAGE.to_owned())),
        storage_class_name: embedded.storage_class_name.clone(),
        resources: embedded.resources.clone(),
        placement: Placement {
            node_selector: embedded.node_selector.clone(),
            tolerations: embedded.tolerations.clone(),
            affinity: embedded.affinity.clone(),
        },
    }
}
