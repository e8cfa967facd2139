//! The policies as a network would enforce them, against the arrows of the architecture.

use k8s_openapi::{
    api::networking::v1::{NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort},
    apimachinery::pkg::util::intstr::IntOrString,
};
use shop_operator::{
    build::labels,
    clusters::{cloud_native_pg, rabbitmq},
    names::{POSTGRES, Program, RABBITMQ},
};

use crate::support::{OPERATOR_NAMESPACE, SCRAPER_NAMESPACE, objects, with_spec};

/// Whose pod: of a Shop in the namespace, or of nobody's.
#[derive(Clone, Copy, Debug)]
enum Pod {
    Part(&'static str),
    /// Of a `Cluster` or `RabbitmqCluster` of the Shop with that name.
    PostgresServer(&'static str),
    RabbitmqNode(&'static str),
    OtherShop(&'static str),
    Operator,
    CloudNativePg,
    RabbitmqOperator,
    /// Has the operator's label, and is in a namespace of somebody else.
    FalseOperator,
    /// In the namespace from which metrics are scraped.
    Scraper,
    Stranger,
    /// In another namespace.
    StrangerElsewhere,
}

impl Pod {
    fn labels(self) -> std::collections::BTreeMap<String, String> {
        match self {
            Self::Part(part) => labels("demo", part),
            Self::PostgresServer(shop) => cloud_native_pg::pod_labels(shop),
            Self::RabbitmqNode(shop) => rabbitmq::pod_labels(shop),
            Self::OtherShop(part) => labels("other", part),
            Self::CloudNativePg => cloud_native_pg::operator_labels(),
            Self::RabbitmqOperator => rabbitmq::operator_labels(),
            Self::Operator | Self::FalseOperator => {
                [("app.kubernetes.io/name".to_owned(), "shop-operator".to_owned())].into()
            }
            Self::Stranger | Self::Scraper | Self::StrangerElsewhere => {
                [("app".to_owned(), "stranger".to_owned())].into()
            }
        }
    }

    fn namespace(self) -> &'static str {
        match self {
            Self::Operator => OPERATOR_NAMESPACE,
            Self::Scraper => SCRAPER_NAMESPACE,
            Self::CloudNativePg | Self::RabbitmqOperator | Self::FalseOperator | Self::StrangerElsewhere => {
                "elsewhere"
            }
            _ => "default",
        }
    }

    fn is_picked_by(self, peer: &NetworkPolicyPeer) -> bool {
        let is_there = match &peer.namespace_selector {
            None => self.namespace() == "default",
            Some(selector) => selector.match_labels.iter().flatten().all(|(label, name)| {
                assert_eq!(label, "kubernetes.io/metadata.name");
                name == self.namespace()
            }),
        };
        if !is_there {
            return false;
        }
        let wanted = peer
            .pod_selector
            .as_ref()
            .and_then(|selector| selector.match_labels.clone());
        let labels = self.labels();
        wanted
            .unwrap_or_default()
            .iter()
            .all(|(key, value)| labels.get(key) == Some(value))
    }
}

fn lets(
    peers: Option<&Vec<NetworkPolicyPeer>>,
    ports: Option<&Vec<NetworkPolicyPort>>,
    pod: Pod,
    port: u16,
) -> bool {
    let port_fits = |wanted: &NetworkPolicyPort| {
        let Some(IntOrString::Int(first)) = wanted.port else {
            return false;
        };
        let ports = first..=wanted.end_port.unwrap_or(first);
        wanted.protocol.as_deref() == Some("TCP") && ports.contains(&i32::from(port))
    };
    peers.is_none_or(|peers| peers.iter().any(|peer| pod.is_picked_by(peer)))
        && ports.is_none_or(|ports| ports.iter().any(port_fits))
}

/// A connection is made if the policies of both ends allow it; who has no policy for a direction may everything.
fn allowed(policies: &[NetworkPolicy], from: Pod, to: Pod, port: u16) -> bool {
    let of = |pod: Pod, direction: &'static str| {
        policies.iter().filter(move |policy| {
            let types = policy.spec.as_ref().and_then(|spec| spec.policy_types.as_ref());
            if !types.is_some_and(|types| types.iter().any(|kind| kind == direction)) {
                return false;
            }
            let selector = policy.spec.as_ref().and_then(|spec| spec.pod_selector.clone());
            let wanted = selector
                .and_then(|selector| selector.match_labels)
                .unwrap_or_default();
            let labels = pod.labels();
            wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
        })
    };
    let leaves = of(from, "Egress").next().is_none()
        || of(from, "Egress").any(|policy| {
            let rules = policy.spec.iter().flat_map(|spec| spec.egress.iter().flatten());
            rules
                .into_iter()
                .any(|rule| lets(rule.to.as_ref(), rule.ports.as_ref(), to, port))
        });
    let enters = of(to, "Ingress").next().is_none()
        || of(to, "Ingress").any(|policy| {
            let rules = policy.spec.iter().flat_map(|spec| spec.ingress.iter().flatten());
            rules
                .into_iter()
                .any(|rule| lets(rule.from.as_ref(), rule.ports.as_ref(), from, port))
        });
    leaves && enters
}

const STORES: [(&str, &[u16]); 2] = [(POSTGRES, &[5432]), (RABBITMQ, &[5672, 15672])];

/// Every connection that the picture has.
fn arrows() -> Vec<(&'static str, &'static str, u16)> {
    vec![
        ("api-gateway", "user-service", 50052),
        ("api-gateway", "inventory-service", 50055),
        ("api-gateway", "order-service", 50051),
        ("api-gateway", "consumer-service", 50053),
        ("user-service", "producer-service", 50054),
        ("inventory-service", "producer-service", 50054),
        ("order-service", "inventory-service", 50055),
        ("order-service", "producer-service", 50054),
        ("consumer-service", "inventory-service", 50055),
        ("consumer-service", "order-service", 50051),
        ("user-service", POSTGRES, 5432),
        ("inventory-service", POSTGRES, 5432),
        ("order-service", POSTGRES, 5432),
        ("producer-service", RABBITMQ, 5672),
        ("consumer-service", RABBITMQ, 5672),
    ]
}

#[test]
fn the_arrows_are_allowed_and_nothing_else_between_the_parts() {
    let policies = objects(&with_spec("{}")).1.foundation.network_policies;
    let programs = Program::ALL.map(Program::name);
    let mut targets: Vec<(&str, u16)> = Program::ALL
        .into_iter()
        .filter(|program| *program != Program::ApiGateway)
        .map(|program| (program.name(), program.port()))
        .collect();
    targets.extend(
        STORES
            .iter()
            .flat_map(|(store, ports)| ports.iter().map(|port| (*store, *port))),
    );
    let mut seen = 0;
    for from in programs.into_iter().chain([POSTGRES, RABBITMQ]) {
        for (to, port) in &targets {
            let expected = arrows().contains(&(from, *to, *port));
            let found = allowed(&policies, Pod::Part(from), Pod::Part(to), *port);
            assert_eq!(found, expected, "{from} -> {to}:{port}");
            seen += usize::from(found);
        }
    }
    assert_eq!(seen, arrows().len());
}

#[test]
fn strangers_reach_the_gateway_only() {
    let policies = objects(&with_spec("{}")).1.foundation.network_policies;
    for stranger in [
        Pod::Stranger,
        Pod::OtherShop("order-service"),
        Pod::OtherShop("api-gateway"),
        Pod::StrangerElsewhere,
        Pod::FalseOperator,
        Pod::Scraper,
    ] {
        assert!(allowed(&policies, stranger, Pod::Part("api-gateway"), 8080));
        for program in Program::ALL {
            if program != Program::ApiGateway {
                let port = program.port();
                assert!(!allowed(&policies, stranger, Pod::Part(program.name()), port));
            }
        }
        for (store, ports) in STORES {
            assert!(
                ports
                    .iter()
                    .all(|port| !allowed(&policies, stranger, Pod::Part(store), *port))
            );
        }
    }
}

/// Health and metrics: pods beside the shop's, and those of namespaces that the operator is told of.
#[test]
fn metrics_are_read_by_who_is_named() {
    let spec = "{database: {cloudNativePg: {}}, messaging: {rabbitmqCluster: {}}}";
    let policies = objects(&with_spec(spec)).1.foundation.network_policies;
    let mut targets: Vec<_> = Program::ALL
        .map(|program| (Pod::Part(program.name()), program.admin_port()))
        .into();
    targets.push((Pod::PostgresServer("demo"), cloud_native_pg::METRICS));
    targets.push((Pod::RabbitmqNode("demo"), rabbitmq::METRICS));
    for (to, port) in targets {
        for (from, expected) in [
            (Pod::Scraper, true),
            (Pod::Stranger, true),
            (Pod::StrangerElsewhere, false),
            (Pod::FalseOperator, false),
            (Pod::Operator, false),
        ] {
            assert_eq!(
                allowed(&policies, from, to, port),
                expected,
                "{from:?} -> {to:?}:{port}"
            );
        }
    }
}

/// A policy is about the port of the pod that answers, which is 5353 where `OpenShift`'s DNS is.
#[test]
fn names_are_looked_up_wherever_dns_listens() {
    let policies = objects(&with_spec("{}")).1.foundation.network_policies;
    for program in Program::ALL {
        for port in [53, 5353] {
            assert!(allowed(
                &policies,
                Pod::Part(program.name()),
                Pod::StrangerElsewhere,
                port
            ));
        }
    }
}

#[test]
fn the_operator_reaches_the_data_stores() {
    let policies = objects(&with_spec("{}")).1.foundation.network_policies;
    assert!(allowed(&policies, Pod::Operator, Pod::Part(POSTGRES), 5432));
    assert!(allowed(&policies, Pod::Operator, Pod::Part(RABBITMQ), 15672));
    assert!(!allowed(&policies, Pod::Operator, Pod::Part(RABBITMQ), 5672));
    assert!(!allowed(
        &policies,
        Pod::Operator,
        Pod::Part("order-service"),
        50051
    ));
}

#[test]
fn external_back_ends_are_reached_by_port() {
    let spec = "{database: {external: {host: db.example, port: 6432, adminSecret: {name: a}}}, \
                messaging: {external: {amqp: 'amqps://mq.example', management: 'https://mq.example', adminSecret: {name: b}}}, \
                telemetry: {otlpEndpoint: 'http://collector:4317'}}";
    let policies = objects(&with_spec(spec)).1.foundation.network_policies;
    assert!(allowed(
        &policies,
        Pod::Part("order-service"),
        Pod::Stranger,
        6432
    ));
    assert!(!allowed(
        &policies,
        Pod::Part("producer-service"),
        Pod::Stranger,
        6432
    ));
    assert!(allowed(
        &policies,
        Pod::Part("producer-service"),
        Pod::Stranger,
        5671
    ));
    assert!(!allowed(&policies, Pod::Part("api-gateway"), Pod::Stranger, 5671));
    assert!(allowed(&policies, Pod::Part("api-gateway"), Pod::Stranger, 4317));
    assert_eq!(policies.len(), 6);
}

#[test]
fn policies_can_be_switched_off() {
    assert_eq!(
        objects(&with_spec("{networkPolicy: {enabled: false}}"))
            .1
            .foundation
            .network_policies,
        []
    );
}

#[test]
fn clusters_are_reached_by_who_needs_them_and_nobody_else() {
    let spec = "{database: {cloudNativePg: {}}, messaging: {rabbitmqCluster: {}}}";
    let policies = objects(&with_spec(spec)).1.foundation.network_policies;
    assert_eq!(policies.len(), 8);
    let (server, node) = (Pod::PostgresServer("demo"), Pod::RabbitmqNode("demo"));
    let sources = Program::ALL
        .map(|program| Pod::Part(program.name()))
        .into_iter()
        .chain([
            server,
            node,
            Pod::PostgresServer("other"),
            Pod::RabbitmqNode("other"),
            Pod::OtherShop("order-service"),
            Pod::OtherShop("producer-service"),
            Pod::Operator,
            Pod::CloudNativePg,
            Pod::RabbitmqOperator,
            Pod::FalseOperator,
            Pod::Stranger,
            Pod::StrangerElsewhere,
        ]);
    for from in sources {
        let (uses_database, uses_broker) = match from {
            Pod::Part(name) => {
                let program = Program::ALL.into_iter().find(|program| program.name() == name);
                let program = program.unwrap();
                (program.database().is_some(), program.uses_broker())
            }
            _ => (false, false),
        };
        let follows = matches!(from, Pod::PostgresServer("demo") | Pod::CloudNativePg);
        let is_node = matches!(from, Pod::RabbitmqNode("demo"));
        let administers = matches!(from, Pod::Operator);
        let manages = administers || matches!(from, Pod::RabbitmqOperator);
        for (to, port, expected) in [
            (server, 5432, uses_database || follows || administers),
            (server, 8000, follows),
            (node, 5672, uses_broker),
            (node, 15672, manages),
            (node, 4369, is_node),
            (node, 25672, is_node),
            (node, 35672, is_node),
            (node, 35682, is_node),
            (node, 35683, false),
        ] {
            assert_eq!(
                allowed(&policies, from, to, port),
                expected,
                "{from:?} -> {to:?}:{port}"
            );
        }
    }
}

#[test]
fn clusters_of_other_shops_are_out_of_reach() {
    let spec = "{database: {cloudNativePg: {}}, messaging: {rabbitmqCluster: {}}}";
    let policies = objects(&with_spec(spec)).1.foundation.network_policies;
    let (server, node) = (Pod::PostgresServer("other"), Pod::RabbitmqNode("other"));
    assert!(!allowed(&policies, Pod::Part("order-service"), server, 5432));
    assert!(!allowed(&policies, Pod::Part("producer-service"), node, 5672));
    // Their own way out is not narrowed: they need the API server, and backups go anywhere.
    assert!(allowed(
        &policies,
        Pod::PostgresServer("demo"),
        Pod::Stranger,
        443
    ));
}
