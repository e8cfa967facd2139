//! The `RabbitmqCluster` of the RabbitMQ Cluster Operator.

use kube::api::DynamicObject;
use serde_json::json;

use super::of_data;
use crate::{
    clusters::{Kind, rabbitmq},
    crd::RabbitmqCluster,
    names,
    validate::Validated,
};

/// Queues that were made while there were fewer nodes get a copy on those that come, until there are three. RabbitMQ 3.13
/// and later. <https://www.rabbitmq.com/docs/quorum-queues#member-reconciliation>
const MORE_COPIES: &str = "quorum_queue.continuous_membership_reconciliation.enabled = true\n\
                           quorum_queue.continuous_membership_reconciliation.target_group_size = 3\n";

/// <https://www.rabbitmq.com/kubernetes/operator/using-operator#configure>
pub(super) fn cluster(shop: &Validated, wanted: &RabbitmqCluster) -> DynamicObject {
    let mut persistence = json!({"storage": wanted.storage});
    if let Some(class) = &wanted.storage_class_name {
        persistence["storageClassName"] = json!(class);
    }
    // Preferred, so that a cluster of one machine can have three nodes, too.
    let apart = json!({
        "weight": 100,
        "podAffinityTerm": {
            "topologyKey": "kubernetes.io/hostname",
            "labelSelector": {"matchLabels": rabbitmq::pod_labels(&shop.name)},
        },
    });
    let spec = json!({
        "replicas": wanted.replicas,
        "persistence": persistence,
        "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [apart]}},
        "rabbitmq": {"additionalConfig": MORE_COPIES},
    });
    let name = rabbitmq::cluster(&shop.name);
    DynamicObject {
        metadata: of_data(shop, name.clone(), names::RABBITMQ),
        ..DynamicObject::new(&name, &Kind::RabbitmqCluster.resource()).data(json!({"spec": spec}))
    }
}
