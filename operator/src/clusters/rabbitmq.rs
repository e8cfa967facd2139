//! The RabbitMQ Cluster Operator: <https://www.rabbitmq.com/kubernetes/operator/operator-overview>.

use std::collections::BTreeMap;

use kube::{ResourceExt as _, api::DynamicObject};

use super::{condition, is_true, text};
use crate::{
    names,
    status::{Cause, Stage},
};

/// Where a node answers clients; without TLS, which this operator of RabbitMQ only does with a certificate that it is
/// given.
/// <https://www.rabbitmq.com/docs/networking#ports>
pub const AMQP: u16 = 5672;
/// Where a node answers the management API.
pub const MANAGEMENT: u16 = 15672;
/// Where a node answers for its metrics.
pub const METRICS: u16 = 15692;
/// Where the nodes find each other, speak with each other, and answer the command line tools, first and last port.
/// <https://github.com/rabbitmq/cluster-operator/blob/main/docs/examples/network-policies/allow-inter-node-traffic.yaml>
pub const BETWEEN_NODES: [(u16, u16); 3] = [(4369, 4369), (25672, 25672), (35672, 35682)];

/// Reasons of `ReconcileSuccess` that no waiting ends:
/// <https://github.com/rabbitmq/cluster-operator/tree/main/internal/controller>.
const STUCK: [&str; 3] = [
    "UnsupportedOperation",
    "InvalidConfiguration",
    "FailedReconcilePVC",
];
/// Those conditions that say what a cluster waits for.
/// <https://github.com/rabbitmq/cluster-operator/blob/main/api/v1beta1/rabbitmqcluster_status.go>
const CONDITIONS: [&str; 3] = ["AllReplicasReady", "ClusterAvailable", "ReconcileSuccess"];

/// The name of a Shop's `RabbitmqCluster`.
pub fn cluster(shop: &str) -> String {
    names::object(shop, names::RABBITMQ)
}

/// The name of the Service of all nodes, which is the cluster's own.
/// <https://www.rabbitmq.com/kubernetes/operator/using-operator#find>
pub fn service(shop: &str) -> String {
    cluster(shop)
}

/// The name of the Secret with the `username` and `password` of the default user, an administrator.
/// <https://www.rabbitmq.com/kubernetes/operator/using-operator#creds>
pub fn default_user_secret(shop: &str) -> String {
    format!("{}-default-user", cluster(shop))
}

/// The labels that the pods of a Shop's `RabbitmqCluster` have and no others.
/// <https://www.rabbitmq.com/kubernetes/operator/using-operator#internal-labels>
pub fn pod_labels(shop: &str) -> BTreeMap<String, String> {
    [
        ("app.kubernetes.io/name".to_owned(), cluster(shop)),
        ("app.kubernetes.io/component".to_owned(), "rabbitmq".to_owned()),
    ]
    .into()
}

/// The labels of the RabbitMQ Cluster Operator's own pods, in whichever namespace they are.
/// <https://github.com/rabbitmq/cluster-operator/blob/main/docs/examples/network-policies/allow-operator-traffic.yaml>
pub fn operator_labels() -> BTreeMap<String, String> {
    let component = "rabbitmq-operator".to_owned();
    [("app.kubernetes.io/component".to_owned(), component)].into()
}

/// Whether it can be used: clients are answered, and every node was ready at least once since the resource was last
/// changed. Before that, a queue would be made on the few nodes that have joined so far. A node that is away later harms
/// nobody: the queues have a quorum without it.
pub(super) fn stage(live: &DynamicObject) -> Stage {
    let status = &live.data["status"];
    // It is set when all is done: <https://github.com/rabbitmq/cluster-operator/blob/main/internal/controller/rabbitmqcluster_controller.go>
    let observed = status["observedGeneration"].as_i64();
    let is_done = observed.is_some_and(|observed| observed >= live.metadata.generation.unwrap_or(0));
    if is_done && is_true(live, "ClusterAvailable") {
        return Stage::Ready;
    }
    let name = live.name_any();
    let waiting = |what: &str| {
        let message = format!("RabbitmqCluster {name}: {what}");
        Stage::Waiting(Cause::new("RabbitmqClusterNotReady", message))
    };
    if status["conditions"].as_array().is_none_or(Vec::is_empty) {
        return waiting("the RabbitMQ Cluster Operator has not begun with it; does it run?");
    }
    let amiss = amiss(live);
    let stuck = condition(live, "ReconcileSuccess")
        .filter(|condition| condition["status"] == "False")
        .and_then(|condition| text(&condition["reason"]))
        .is_some_and(|reason| STUCK.contains(&reason));
    if stuck {
        let message = format!("RabbitmqCluster {name}: {amiss}");
        Stage::Failed(Cause::new("RabbitmqClusterFailed", message))
    } else if amiss.is_empty() {
        waiting("its last change is being made")
    } else {
        waiting(&amiss)
    }
}

/// What is not as it should be, where clients are answered all the same.
pub(super) fn remark(live: &DynamicObject) -> Option<Cause> {
    let amiss = Some(amiss(live)).filter(|amiss| !amiss.is_empty())?;
    let message = format!("RabbitmqCluster {}: {amiss}", live.name_any());
    Some(Cause::new("RabbitmqClusterDegraded", message))
}

/// The conditions that are not true, in words.
fn amiss(live: &DynamicObject) -> String {
    let kinds = CONDITIONS.into_iter().filter(|kind| !is_true(live, kind));
    kinds.map(|kind| told(live, kind)).collect::<Vec<_>>().join(", ")
}

/// A condition that is not true, in words.
fn told(live: &DynamicObject, kind: &str) -> String {
    let Some(condition) = condition(live, kind) else {
        return format!("{kind} is not known");
    };
    let status = text(&condition["status"]).unwrap_or("Unknown");
    let why = [text(&condition["reason"]), text(&condition["message"])];
    let why = why.into_iter().flatten().collect::<Vec<_>>().join(": ");
    if why.is_empty() {
        format!("{kind} is {status}")
    } else {
        format!("{kind} is {status} ({why})")
    }
}
