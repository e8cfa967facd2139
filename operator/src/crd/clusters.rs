//! PostgreSQL and RabbitMQ on several machines, run by operators of their own.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// A PostgreSQL of several servers, run by CloudNativePG.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("isQuantity(string(self.storage)) \
        && quantity(string(self.storage)).isGreaterThan(quantity('0'))")
        .message("storage must be a size above zero, for example 10Gi"),
    validation = Rule::new("!isQuantity(string(self.storage)) \
        || quantity(string(self.storage)).compareTo(quantity(string(oldSelf.storage))) >= 0")
        .message("storage can't be made smaller: a volume only grows"),
    validation = Rule::new("has(self.storageClassName) == has(oldSelf.storageClassName) && (!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)")
        .message("storageClassName can't be changed: the volumes are made once")
)]
pub struct CloudNativePg {
    /// How many servers: one that is written to, and others that follow it and take its place; 3 by default.
    #[schemars(range(min = 1, max = 9))]
    #[serde(default = "three")]
    pub instances: i32,
    /// The size of each server's volume; 10Gi by default. It can grow where the storage class lets volumes grow.
    #[serde(default = "ten_gibibytes")]
    pub storage: Quantity,
    /// Which storage class makes the volumes. The cluster's default one by default.
    #[schemars(length(min = 1, max = 253))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_class_name: Option<String>,
}

/// A RabbitMQ of several nodes, run by the RabbitMQ Cluster Operator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("isQuantity(string(self.storage)) \
        && quantity(string(self.storage)).isGreaterThan(quantity('2G'))")
        .message("storage must be a size above 2G, for example 10Gi: RabbitMQ takes no messages where less is free"),
    validation = Rule::new("!isQuantity(string(self.storage)) \
        || quantity(string(self.storage)).compareTo(quantity(string(oldSelf.storage))) >= 0")
        .message("storage can't be made smaller: a volume only grows"),
    validation = Rule::new("has(self.storageClassName) == has(oldSelf.storageClassName) && (!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)")
        .message("storageClassName can't be changed: the volumes are made once"),
    validation = Rule::new("self.replicas >= oldSelf.replicas")
        .message("replicas can't be lowered: the RabbitMQ Cluster Operator takes no node out of a cluster")
)]
pub struct RabbitmqCluster {
    /// How many nodes; 3 by default. More can be added, and none taken away.
    #[schemars(extend("enum" = [1, 3, 5]))]
    #[serde(default = "three")]
    pub replicas: i32,
    /// The size of each node's volume; 10Gi by default. It can grow where the storage class lets volumes grow.
    #[serde(default = "ten_gibibytes")]
    pub storage: Quantity,
    /// Which storage class makes the volumes. The cluster's default one by default.
    #[schemars(length(min = 1, max = 253))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_class_name: Option<String>,
}

fn three() -> i32 {
    3
}

fn ten_gibibytes() -> Quantity {
    Quantity("10Gi".to_owned())
}
