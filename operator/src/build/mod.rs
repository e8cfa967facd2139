//! The objects of a Shop: pure, from what was asked for and what is secret.
//!
//! Every object has the labels of [`labels`] and, unless it outlives its Shop, an owner reference.

mod access;
mod availability;
mod certificates;
mod cloud_native_pg;
mod deployments;
mod network;
mod pod;
mod postgres;
mod rabbitmq;
mod rabbitmq_cluster;
mod secrets;

pub use access::url;
use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    autoscaling::v2::HorizontalPodAutoscaler,
    core::v1::{Secret, Service, ServiceAccount},
    networking::v1::{Ingress, NetworkPolicy},
    policy::v1::PodDisruptionBudget,
};
use kube::{api::DynamicObject, core::ObjectMeta};
pub use secrets::Endpoints;

use crate::{
    credentials::Credentials,
    names::{self, Program},
    validate::{DatabaseBackend, MessagingBackend, Validated},
};

/// What the cluster and the back ends add to what a Shop asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Whether a volume can be had: the cluster has a default storage class.
    pub has_default_storage_class: bool,
    /// Who is beside it in the cluster.
    pub neighbours: Neighbours,
    /// The authority of the certificate of a PostgreSQL that is not embedded, in PEM.
    pub database_ca: Option<String>,
    /// The authority of an external RabbitMQ's certificate, in PEM.
    pub messaging_ca: Option<String>,
}

/// Namespaces whose pods reach into that of a Shop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Neighbours {
    /// Where this operator runs.
    pub operator: String,
    /// From where metrics are scraped.
    pub scrapers: Vec<String>,
}

/// All objects of a Shop, in the order in which they are needed.
#[derive(Clone, Debug, PartialEq)]
pub struct Resources {
    /// What pods run as, read, and may connect to.
    pub foundation: Foundation,
    /// PostgreSQL and RabbitMQ.
    pub data_stores: DataStores,
    /// The six services.
    pub services: Services,
}

/// What pods run as, read, and may connect to.
#[derive(Clone, Debug, PartialEq)]
pub struct Foundation {
    /// Credentials.
    pub secrets: Vec<Secret>,
    /// One for each program.
    pub service_accounts: Vec<ServiceAccount>,
    /// The arrows of the architecture.
    pub network_policies: Vec<NetworkPolicy>,
}

/// PostgreSQL and RabbitMQ; nothing where they are external.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DataStores {
    /// The addresses of embedded ones.
    pub services: Vec<Service>,
    /// Embedded ones.
    pub stateful_sets: Vec<StatefulSet>,
    /// The `Cluster` of CloudNativePG.
    pub postgres_cluster: Option<DynamicObject>,
    /// The `RabbitmqCluster` of the RabbitMQ Cluster Operator.
    pub rabbitmq_cluster: Option<DynamicObject>,
}

/// The six services.
#[derive(Clone, Debug, PartialEq)]
pub struct Services {
    /// Their addresses.
    pub services: Vec<Service>,
    /// Themselves, in the order in which a new version rolls out.
    pub deployments: Vec<(Program, Deployment)>,
    /// How many may be away.
    pub pod_disruption_budgets: Vec<PodDisruptionBudget>,
    /// How many there are, where that is not fixed.
    pub autoscalers: Vec<HorizontalPodAutoscaler>,
    /// The way in.
    pub ingresses: Vec<Ingress>,
}

/// All objects of a Shop.
pub fn build(shop: &Validated, credentials: &Credentials, surroundings: &Surroundings) -> Resources {
    let secrets = secrets::secrets(shop, credentials, surroundings);
    let deployments = Program::ALL
        .into_iter()
        .map(|program| (program, deployments::deployment(shop, program, &secrets)))
        .collect();
    Resources {
        services: Services {
            services: Program::ALL
                .into_iter()
                .map(|program| access::service(shop, program))
                .chain([access::gateways(shop)])
                .collect(),
            deployments,
            pod_disruption_budgets: availability::budgets(shop),
            autoscalers: availability::autoscalers(shop),
            ingresses: access::ingress(shop).into_iter().collect(),
        },
        foundation: Foundation {
            service_accounts: access::service_accounts(shop),
            network_policies: network::policies(shop, &surroundings.neighbours),
            secrets,
        },
        data_stores: data_stores(shop, surroundings.has_default_storage_class),
    }
}

fn data_stores(shop: &Validated, has_default_class: bool) -> DataStores {
    let mut stores = DataStores::default();
    match &shop.database {
        DatabaseBackend::Embedded(store) => {
            let set = postgres::stateful_set(shop, store, has_default_class);
            stores.services.push(postgres::service(shop));
            stores.stateful_sets.push(set);
        }
        DatabaseBackend::CloudNativePg(wanted) => {
            stores.postgres_cluster = Some(cloud_native_pg::cluster(shop, wanted));
        }
        DatabaseBackend::External(_) => {}
    }
    match &shop.messaging {
        MessagingBackend::Embedded(store) => {
            let set = rabbitmq::stateful_set(shop, store, has_default_class);
            stores.services.push(rabbitmq::service(shop));
            stores.stateful_sets.push(set);
        }
        MessagingBackend::RabbitmqCluster(wanted) => {
            stores.rabbitmq_cluster = Some(rabbitmq_cluster::cluster(shop, wanted));
        }
        MessagingBackend::External(_) => {}
    }
    stores
}

/// The labels that say which objects are a part of which Shop; they never change, so that they can select pods.
pub fn labels(shop: &str, part: &str) -> std::collections::BTreeMap<String, String> {
    [
        (names::PART, part),
        (names::INSTANCE, shop),
        ("app.kubernetes.io/part-of", "shop"),
        (names::MANAGED_BY, names::OPERATOR),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

/// The metadata of an object that goes with its Shop.
fn owned(shop: &Validated, name: String, part: &str) -> ObjectMeta {
    ObjectMeta {
        owner_references: Some(vec![shop.owner.clone()]),
        ..retained(shop, name, part)
    }
}

/// The metadata of an object that outlives its Shop.
fn retained(shop: &Validated, name: String, part: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(shop.namespace.clone()),
        labels: Some(labels(&shop.name, part)),
        ..ObjectMeta::default()
    }
}

/// The metadata of what holds data or the way to it: it outlives its Shop if that was asked for.
fn of_data(shop: &Validated, name: String, part: &str) -> ObjectMeta {
    if shop.retain {
        retained(shop, name, part)
    } else {
        owned(shop, name, part)
    }
}

/// The selector of a part's pods.
fn selector(shop: &Validated, part: &str) -> k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector {
    k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector {
        match_labels: Some(labels(&shop.name, part)),
        ..Default::default()
    }
}

/// The host name of a part inside the cluster.
fn host(shop: &Validated, part: &str) -> String {
    host_of_service(shop, &names::object(&shop.name, part))
}

/// The host name of a Service.
fn host_of_service(shop: &Validated, service: &str) -> String {
    names::host(service, &shop.namespace)
}
