//! `spec`, but for the workloads and back ends.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Database, Gateway, Messaging, Services, ShopStatus};

/// An e-commerce back end: six services, their databases and their message broker.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "shop-operator.io",
    version = "v1alpha1",
    kind = "Shop",
    namespaced,
    doc = "An e-commerce back end: six services, their databases and their message broker. `spec: {}` is a working one.",
    status = "ShopStatus",
    derive = "PartialEq",
    shortname = "shp",
    category = "all",
    scale(
        spec_replicas_path = ".spec.gateway.replicas",
        status_replicas_path = ".status.gatewayReplicas",
        label_selector_path = ".status.gatewaySelector"
    ),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Status", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "URL", type_ = "string", json_path = ".status.url"),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.version"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name.size() <= 40")
        .message("metadata.name must have at most 40 characters: the names of the shop's objects begin with it"),
    validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')")
        .message("metadata.name must begin with a letter and have only a-z, 0-9 and '-': the names of Services begin with it"),
    validation = Rule::new("!has(self.spec.messaging.rabbitmqCluster) || self.metadata.name.size() <= 36")
        .message("metadata.name must have at most 36 characters with a rabbitmqCluster: the name of a StatefulSet of at most 52 begins with it")
)]
#[serde(rename_all = "camelCase")]
pub struct ShopSpec {
    /// The version of the services: the tag of their images. The operator's own version by default. A change rolls the
    /// services one after the other.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Where the images come from.
    #[serde(default)]
    pub image: Image,
    /// The api-gateway.
    #[serde(default)]
    pub gateway: Gateway,
    /// The services behind it.
    #[serde(default)]
    pub services: Services,
    /// PostgreSQL: exactly one of `embedded`, `cloudNativePg` and `external`.
    #[serde(default)]
    pub database: Database,
    /// RabbitMQ: exactly one of `embedded`, `rabbitmqCluster` and `external`.
    #[serde(default)]
    pub messaging: Messaging,
    /// Traces, metrics and logs.
    #[serde(default)]
    #[x_kube(validation = Rule::new("!has(self.otlpEndpoint) || isURL(self.otlpEndpoint)")
        .message("otlpEndpoint must be a URL, for example http://collector.monitoring:4317"))]
    pub telemetry: Telemetry,
    /// Which connections are allowed.
    #[serde(default)]
    pub network_policy: NetworkPolicies,
    /// How the services call each other.
    #[serde(default)]
    pub tls: Tls,
    /// The logins of the services at PostgreSQL and RabbitMQ.
    #[serde(default)]
    pub credentials: CredentialsPolicy,
    /// Leaves everything as it is until it is false again.
    #[serde(default)]
    pub paused: bool,
    /// What happens to the data and its credentials when the Shop is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

/// Where the images of the services come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Image {
    /// The part of an image's name before the service's: `ghcr.io/shop-operator` for `ghcr.io/shop-operator/api-gateway`.
    #[schemars(
        length(min = 1, max = 200),
        regex(pattern = r"^[a-z0-9]([a-z0-9._:/-]*[a-z0-9])?$")
    )]
    pub registry: String,
    /// When a node pulls an image.
    pub pull_policy: PullPolicy,
    /// Names of Secrets of type kubernetes.io/dockerconfigjson in the Shop's namespace.
    #[schemars(length(max = 10), inner(length(min = 1, max = 253)))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pull_secrets: Vec<String>,
}

impl Default for Image {
    fn default() -> Self {
        Self {
            registry: "ghcr.io/shop-operator".to_owned(),
            pull_policy: PullPolicy::default(),
            pull_secrets: Vec::new(),
        }
    }
}

/// When a node pulls an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PullPolicy {
    /// At each start of a pod.
    Always,
    /// Where the node has it not.
    #[default]
    IfNotPresent,
    /// Never: the node must have it.
    Never,
}

impl PullPolicy {
    /// As Kubernetes spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
    }
}

/// Traces, metrics and logs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Telemetry {
    /// Where traces, metrics and logs go by OTLP over gRPC, for example http://collector.monitoring:4317. Nowhere by
    /// default; Prometheus can scrape every service all the same.
    #[schemars(length(max = 500), regex(pattern = "^https?://[^ ]+$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp_endpoint: Option<String>,
    /// The share of requests that are traced, from 0 to 1. A request that arrives with a sampled trace is traced anyway.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub sampling_ratio: f64,
    /// Which log lines to write.
    pub log_level: LogLevel,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            otlp_endpoint: None,
            sampling_ratio: 1.0,
            log_level: LogLevel::default(),
        }
    }
}

/// The least severe log lines to write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum LogLevel {
    /// Failures that need a person.
    Error,
    /// What may become one.
    Warn,
    /// What a service does.
    #[default]
    Info,
    /// How it does it.
    Debug,
    /// All there is.
    Trace,
}

impl LogLevel {
    /// As `RUST_LOG` spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// Which connections are allowed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NetworkPolicies {
    /// Allows the connections that the services make, and no others. A cluster whose network enforces no policies
    /// ignores them.
    pub enabled: bool,
}

impl Default for NetworkPolicies {
    fn default() -> Self {
        Self { enabled: true }
    }
}

/// How the services call each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Tls {
    /// Over mutual TLS, with certificates that the operator makes and renews. A change of it fails calls until all pods
    /// have rolled.
    pub enabled: bool,
}

impl Default for Tls {
    fn default() -> Self {
        Self { enabled: true }
    }
}

/// The logins of the services at PostgreSQL and RabbitMQ.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CredentialsPolicy {
    /// After how long they are replaced by new ones, for example 720h; 1h at least. By default only when the annotation
    /// shop-operator.io/rotate-credentials asks for it.
    #[schemars(length(max = 20), regex(pattern = "^([0-9]+(h|m|s))+$"))]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1h')").message("rotation must be 1h or longer"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<String>,
}

/// What happens to the data and its credentials when the Shop is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// The volumes of embedded data stores, the clusters of CloudNativePG and RabbitMQ, the databases and virtual host of
    /// external ones, and the Secrets with their credentials stay: a Shop of the same name finds them again.
    #[default]
    Retain,
    /// Nothing stays.
    Delete,
}
