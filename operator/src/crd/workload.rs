//! How many of each service there are, and where they run.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Affinity, EnvVar, ResourceRequirements, Toleration};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The services behind the gateway.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Services {
    /// user-service.
    pub users: Workload,
    /// inventory-service.
    pub inventory: Workload,
    /// order-service.
    pub orders: Workload,
    /// producer-service.
    pub producer: Workload,
    /// consumer-service.
    pub consumer: Workload,
}

/// The api-gateway: a workload that people reach.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Gateway {
    /// How many, and where.
    #[serde(flatten)]
    pub workload: Workload,
    /// Makes the gateway reachable from outside the cluster, by its ingress controller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<Ingress>,
}

/// An Ingress for the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ingress {
    /// The name that people know the shop by, for example shop.example.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
    )]
    pub host: String,
    /// Which ingress controller. The cluster's default one by default.
    #[schemars(length(min = 1, max = 253))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_name: Option<String>,
    /// TLS, ended by the ingress controller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<IngressTls>,
}

/// TLS of an Ingress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IngressTls {
    /// A Secret of type kubernetes.io/tls in the Shop's namespace.
    #[schemars(length(min = 1, max = 253))]
    pub secret_name: String,
}

/// How many of a service there are, and where they run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(has(self.replicas) && has(self.autoscaling))")
    .message("give replicas or autoscaling, not both"),
    validation = Rule::new("!has(self.autoscaling) || !has(self.resources) \
        || (has(self.resources.requests) && 'cpu' in self.resources.requests) \
        || (has(self.resources.limits) && 'cpu' in self.resources.limits)")
        .message("autoscaling needs resources.requests.cpu: the use of CPU is measured against it"))]
pub struct Workload {
    /// How many pods; 1 by default.
    #[schemars(range(min = 0, max = 100))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// As many pods as their use of CPU asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<Autoscaling>,
    /// What a pod may use; a modest request and limit by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
    /// Further environment variables of the service, for example DATABASE_MAX_CONNECTIONS. Those that the operator sets
    /// itself can't be set here.
    #[schemars(length(max = 50))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_owned()]))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<EnvVar>,
    /// Labels that a node must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints of nodes to put up with.
    #[schemars(length(max = 50))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tolerations: Vec<Toleration>,
    /// Which nodes and which neighbours are preferred or required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,
}

/// As many pods as their use of CPU asks for; needs the metrics server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.minReplicas <= self.maxReplicas")
    .message("minReplicas must not be more than maxReplicas"))]
pub struct Autoscaling {
    /// At least so many; 1 by default.
    #[schemars(range(min = 1, max = 100))]
    #[serde(default = "one")]
    pub min_replicas: i32,
    /// At most so many.
    #[schemars(range(min = 1, max = 100))]
    pub max_replicas: i32,
    /// The use of CPU to keep to, in percent of what a pod requests; 80 by default.
    #[schemars(range(min = 1, max = 1000))]
    #[serde(default = "eighty", rename = "targetCPUUtilizationPercentage")]
    pub target_cpu_utilization_percentage: i32,
}

fn one() -> i32 {
    1
}

fn eighty() -> i32 {
    80
}
