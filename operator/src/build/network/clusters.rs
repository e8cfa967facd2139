//! Who reaches the pods of `Cluster` and `RabbitmqCluster`, which their own operators make. What these pods connect to is
//! left open: the API server, each other, and wherever backups go.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::networking::v1::{NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPort, NetworkPolicySpec},
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};

use super::{allow, anywhere, operator, part, pods, scrapers, tcp};
use crate::{
    build::{Neighbours, owned},
    clusters::{cloud_native_pg, rabbitmq},
    names::{self, Program},
    validate::Validated,
};

/// Clients and this operator use PostgreSQL; its servers follow each other, and CloudNativePG asks how they are.
pub(super) fn cloud_native_pg(shop: &Validated, neighbours: &Neighbours) -> NetworkPolicy {
    let clients = Program::ALL
        .into_iter()
        .filter(|program| program.database().is_some());
    let mut from: Vec<_> = clients.map(|program| part(shop, program.name())).collect();
    from.push(operator(neighbours));
    let own = cloud_native_pg::pod_labels(&shop.name);
    let managers = vec![pods(own.clone()), anywhere(cloud_native_pg::operator_labels())];
    let ingress = vec![
        allow(Some(from), &[cloud_native_pg::POSTGRES]),
        allow(
            Some(managers),
            &[cloud_native_pg::POSTGRES, cloud_native_pg::STATUS],
        ),
        allow(Some(scrapers(neighbours)), &[cloud_native_pg::METRICS]),
    ];
    policy(shop, names::POSTGRES, own, ingress)
}

/// Clients use AMQP, this operator and RabbitMQ's the management API; the nodes speak with each other.
pub(super) fn rabbitmq_cluster(shop: &Validated, neighbours: &Neighbours) -> NetworkPolicy {
    let clients = Program::ALL.into_iter().filter(|program| program.uses_broker());
    let from = clients.map(|program| part(shop, program.name())).collect();
    let own = rabbitmq::pod_labels(&shop.name);
    let managers = vec![operator(neighbours), anywhere(rabbitmq::operator_labels())];
    let ingress = vec![
        allow(Some(from), &[rabbitmq::AMQP]),
        allow(Some(managers), &[rabbitmq::MANAGEMENT]),
        NetworkPolicyIngressRule {
            from: Some(vec![pods(own.clone())]),
            ports: Some(rabbitmq::BETWEEN_NODES.map(range).into()),
        },
        allow(Some(scrapers(neighbours)), &[rabbitmq::METRICS]),
    ];
    policy(shop, names::RABBITMQ, own, ingress)
}

fn policy(
    shop: &Validated,
    part: &str,
    labels: BTreeMap<String, String>,
    ingress: Vec<NetworkPolicyIngressRule>,
) -> NetworkPolicy {
    NetworkPolicy {
        metadata: owned(shop, names::object(&shop.name, part), part),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(LabelSelector {
                match_labels: Some(labels),
                ..LabelSelector::default()
            }),
            policy_types: Some(vec!["Ingress".to_owned()]),
            ingress: Some(ingress),
            ..NetworkPolicySpec::default()
        }),
    }
}

fn range((first, last): (u16, u16)) -> NetworkPolicyPort {
    NetworkPolicyPort {
        end_port: (last > first).then(|| i32::from(last)),
        ..tcp(first)
    }
}
