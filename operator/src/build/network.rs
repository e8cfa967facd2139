//! NetworkPolicies: the arrows of the architecture, and no others.

mod clusters;

use std::collections::BTreeMap;

use k8s_openapi::{
    api::networking::v1::{
        NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer,
        NetworkPolicyPort, NetworkPolicySpec,
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};

use super::{Neighbours, labels, owned, selector};
use crate::{
    clusters::{cloud_native_pg, rabbitmq},
    names::{self, Program},
    validate::{DatabaseBackend, MessagingBackend, Validated},
};

const POSTGRES: u16 = 5432;
const AMQP: u16 = 5672;
const MANAGEMENT: u16 = 15672;
/// Where DNS answers: a policy is about the pods' own port, and OpenShift's have another one than their Service.
const DNS: [u16; 2] = [53, 5353];

pub(super) fn policies(shop: &Validated, neighbours: &Neighbours) -> Vec<NetworkPolicy> {
    if !shop.network_policies {
        return Vec::new();
    }
    let mut policies: Vec<_> = Program::ALL
        .into_iter()
        .map(|program| of_program(shop, neighbours, program))
        .collect();
    match &shop.database {
        DatabaseBackend::Embedded(_) => policies.push(embedded_postgres(shop, neighbours)),
        DatabaseBackend::CloudNativePg(_) => policies.push(clusters::cloud_native_pg(shop, neighbours)),
        DatabaseBackend::External(_) => {}
    }
    match &shop.messaging {
        MessagingBackend::Embedded(_) => policies.push(embedded_rabbitmq(shop, neighbours)),
        MessagingBackend::RabbitmqCluster(_) => policies.push(clusters::rabbitmq_cluster(shop, neighbours)),
        MessagingBackend::External(_) => {}
    }
    policies
}

fn embedded_postgres(shop: &Validated, neighbours: &Neighbours) -> NetworkPolicy {
    let users = Program::ALL
        .into_iter()
        .filter(|program| program.database().is_some());
    let mut from: Vec<_> = users.map(|program| part(shop, program.name())).collect();
    from.push(operator(neighbours));
    policy(
        shop,
        names::POSTGRES,
        vec![allow(Some(from), &[POSTGRES])],
        Vec::new(),
    )
}

fn embedded_rabbitmq(shop: &Validated, neighbours: &Neighbours) -> NetworkPolicy {
    let users = Program::ALL.into_iter().filter(|program| program.uses_broker());
    let from = users.map(|program| part(shop, program.name())).collect();
    let ingress = vec![
        allow(Some(from), &[AMQP]),
        allow(Some(vec![operator(neighbours)]), &[MANAGEMENT]),
    ];
    policy(shop, names::RABBITMQ, ingress, Vec::new())
}

fn of_program(shop: &Validated, neighbours: &Neighbours, program: Program) -> NetworkPolicy {
    let mut ingress = vec![allow(Some(scrapers(neighbours)), &[program.admin_port()])];
    ingress.push(if program == Program::ApiGateway {
        allow(None, &[program.port()])
    } else {
        let callers = Program::ALL
            .into_iter()
            .filter(|caller| caller.calls().iter().any(|(callee, _)| *callee == program));
        let from = callers.map(|caller| part(shop, caller.name())).collect();
        allow(Some(from), &[program.port()])
    });
    let mut egress = vec![dns()];
    for (callee, _) in program.calls() {
        egress.push(to(Some(vec![part(shop, callee.name())]), Some(callee.port())));
    }
    if program.database().is_some() {
        egress.push(match &shop.database {
            DatabaseBackend::Embedded(_) => to(Some(vec![part(shop, names::POSTGRES)]), Some(POSTGRES)),
            DatabaseBackend::CloudNativePg(_) => {
                let servers = pods(cloud_native_pg::pod_labels(&shop.name));
                to(Some(vec![servers]), Some(cloud_native_pg::POSTGRES))
            }
            // A policy knows addresses and not names.
            DatabaseBackend::External(external) => to(None, Some(external.port)),
        });
    }
    if program.uses_broker() {
        egress.push(match &shop.messaging {
            MessagingBackend::Embedded(_) => to(Some(vec![part(shop, names::RABBITMQ)]), Some(AMQP)),
            MessagingBackend::RabbitmqCluster(_) => {
                let nodes = pods(rabbitmq::pod_labels(&shop.name));
                to(Some(vec![nodes]), Some(rabbitmq::AMQP))
            }
            MessagingBackend::External(external) => to(None, Some(amqp_port(&external.amqp))),
        });
    }
    if let Some(port) = shop.telemetry.otlp_endpoint.as_deref().map(otlp_port) {
        egress.push(to(None, Some(port)));
    }
    policy(shop, program.name(), ingress, egress)
}

fn policy(
    shop: &Validated,
    name: &str,
    ingress: Vec<NetworkPolicyIngressRule>,
    egress: Vec<NetworkPolicyEgressRule>,
) -> NetworkPolicy {
    NetworkPolicy {
        metadata: owned(shop, names::object(&shop.name, name), name),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(selector(shop, name)),
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
            ingress: Some(ingress).filter(|rules| !rules.is_empty()),
            egress: Some(egress).filter(|rules| !rules.is_empty()),
        }),
    }
}

fn allow(from: Option<Vec<NetworkPolicyPeer>>, ports: &[u16]) -> NetworkPolicyIngressRule {
    NetworkPolicyIngressRule {
        from,
        ports: Some(ports.iter().map(|port| tcp(*port)).collect()),
    }
}

fn to(peers: Option<Vec<NetworkPolicyPeer>>, port: Option<u16>) -> NetworkPolicyEgressRule {
    NetworkPolicyEgressRule {
        to: peers,
        ports: port.map(|port| vec![tcp(port)]),
    }
}

/// Names are looked up everywhere: where the cluster's DNS runs is not for a shop to know.
fn dns() -> NetworkPolicyEgressRule {
    let both = |port: u16| {
        let udp = NetworkPolicyPort {
            protocol: Some("UDP".to_owned()),
            ..tcp(port)
        };
        [udp, tcp(port)]
    };
    NetworkPolicyEgressRule {
        to: None,
        ports: Some(DNS.into_iter().flat_map(both).collect()),
    }
}

fn tcp(port: u16) -> NetworkPolicyPort {
    NetworkPolicyPort {
        port: Some(IntOrString::Int(i32::from(port))),
        protocol: Some("TCP".to_owned()),
        end_port: None,
    }
}

fn part(shop: &Validated, name: &str) -> NetworkPolicyPeer {
    pods(labels(&shop.name, name))
}

/// The operator, where it runs: the label alone is anybody's to give to a pod.
fn operator(neighbours: &Neighbours) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        pod_selector: Some(LabelSelector {
            match_labels: Some([("app.kubernetes.io/name".to_owned(), "shop-operator".to_owned())].into()),
            ..LabelSelector::default()
        }),
        ..namespace(&neighbours.operator)
    }
}

/// Who collects metrics: pods of the Shop's own namespace, and of those that the operator is told of. The kubelet, which
/// asks for a pod's health, is let through by every network.
fn scrapers(neighbours: &Neighbours) -> Vec<NetworkPolicyPeer> {
    let others = neighbours.scrapers.iter().map(|name| namespace(name));
    [pods(BTreeMap::new())].into_iter().chain(others).collect()
}

/// All pods of a namespace.
fn namespace(name: &str) -> NetworkPolicyPeer {
    let label = ("kubernetes.io/metadata.name".to_owned(), name.to_owned());
    NetworkPolicyPeer {
        namespace_selector: Some(LabelSelector {
            match_labels: Some([label].into()),
            ..LabelSelector::default()
        }),
        ..NetworkPolicyPeer::default()
    }
}

fn anywhere(labels: BTreeMap<String, String>) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        namespace_selector: Some(LabelSelector::default()),
        ..pods(labels)
    }
}

/// Pods of the Shop's namespace.
fn pods(labels: BTreeMap<String, String>) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        pod_selector: Some(LabelSelector {
            match_labels: Some(labels),
            ..LabelSelector::default()
        }),
        ..NetworkPolicyPeer::default()
    }
}

fn amqp_port(url: &str) -> u16 {
    port_of(url).unwrap_or(if url.starts_with("amqps:") { 5671 } else { AMQP })
}

fn otlp_port(url: &str) -> u16 {
    let standard = if url.starts_with("https:") { 443 } else { 80 };
    port_of(url).unwrap_or(standard)
}

fn port_of(url: &str) -> Option<u16> {
    url::Url::parse(url).ok()?.port()
}
