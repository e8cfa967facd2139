//! What is built of each example, word for word, and what must hold of any.

use k8s_openapi::api::core::v1::PodSpec;
use serde::Serialize;
use shop_operator::{build::Resources, names::Program};

use crate::support::{NOW, example, objects, with_spec};

const EXAMPLES: [&str; 6] = [
    "minimal",
    "production",
    "embedded",
    "external-database",
    "scheduling",
    "cloud-native",
];

fn yaml<T: Serialize>(objects: &[T]) -> String {
    let documents = objects
        .iter()
        .map(|object| serde_saphyr::to_string(object).unwrap());
    documents.collect::<Vec<_>>().join("---\n")
}

#[test]
fn the_examples_are_built_as_they_were() {
    for name in EXAMPLES {
        let (
            _,
            Resources {
                foundation,
                data_stores,
                services,
            },
        ) = objects(&example(name));
        let deployments: Vec<_> = services
            .deployments
            .iter()
            .map(|(_, deployment)| deployment)
            .collect();
        let clusters = [&data_stores.postgres_cluster, &data_stores.rabbitmq_cluster];
        let clusters: Vec<_> = clusters.into_iter().flatten().collect();
        let parts = [
            ("secrets", yaml(&foundation.secrets)),
            ("service-accounts", yaml(&foundation.service_accounts)),
            ("network-policies", yaml(&foundation.network_policies)),
            ("data-store-services", yaml(&data_stores.services)),
            ("stateful-sets", yaml(&data_stores.stateful_sets)),
            ("clusters", yaml(&clusters)),
            ("services", yaml(&services.services)),
            ("deployments", yaml(&deployments)),
            ("pod-disruption-budgets", yaml(&services.pod_disruption_budgets)),
            ("autoscalers", yaml(&services.autoscalers)),
            ("ingresses", yaml(&services.ingresses)),
        ];
        for (part, text) in parts {
            insta::assert_snapshot!(format!("{name}-{part}"), text);
        }
    }
}

fn pods(resources: &Resources) -> Vec<PodSpec> {
    let deployments = resources.services.deployments.iter();
    let deployed = deployments.filter_map(|(_, deployment)| deployment.spec.template.spec.clone());
    let sets = resources.data_stores.stateful_sets.iter();
    deployed
        .chain(sets.filter_map(|set| set.spec.template.spec.clone()))
        .collect()
}

#[test]
fn every_pod_keeps_to_the_restricted_rules() {
    for name in EXAMPLES {
        let pods = pods(&objects(&example(name)).1);
        assert!(pods.len() >= 6);
        for pod in pods {
            let security = pod.security_context.unwrap();
            assert_eq!(security.run_as_non_root, Some(true));
            assert_eq!(security.seccomp_profile.unwrap().type_, "RuntimeDefault");
            assert_eq!(pod.automount_service_account_token, Some(false));
            for container in pod.containers {
                let security = container.security_context.unwrap();
                assert_eq!(security.allow_privilege_escalation, Some(false));
                assert_eq!(security.read_only_root_filesystem, Some(true));
                assert_eq!(security.capabilities.unwrap().drop.unwrap(), ["ALL"]);
                assert!(container.readiness_probe.is_some() && container.startup_probe.is_some());
                assert!(container.liveness_probe.is_some());
                assert!(container.resources.unwrap().requests.is_some());
            }
        }
    }
}

#[test]
fn what_the_operator_sets_can_not_be_set_again() {
    use shop_operator::validate::{ValidationError, validate};
    for (field, program) in [
        ("services.users", Program::UserService),
        ("services.inventory", Program::InventoryService),
        ("services.orders", Program::OrderService),
        ("services.producer", Program::ProducerService),
        ("services.consumer", Program::ConsumerService),
        ("gateway", Program::ApiGateway),
    ] {
        let (_, resources) = objects(&with_spec("{telemetry: {otlpEndpoint: 'http://collector:4317'}}"));
        let deployments = resources.services.deployments.into_iter();
        let (_, deployment) = deployments.into_iter().find(|(of, _)| *of == program).unwrap();
        let container = deployment.spec.template.spec.unwrap().containers.remove(0);
        for set in container.env.unwrap() {
            let env = format!("{{env: [{{name: {}, value: x}}]}}", set.name);
            let spec = match field.strip_prefix("services.") {
                Some(service) => format!("{{services: {{{service}: {env}}}}}"),
                None => format!("{{gateway: {env}}}"),
            };
            let error = validate(&with_spec(&spec)).unwrap_err();
            let expected = ValidationError::OwnVariable {
                field,
                variable: set.name,
            };
            assert_eq!(error, expected);
        }
    }
}

#[test]
fn no_secret_is_in_anything_but_a_secret() {
    for name in EXAMPLES {
        let (_, resources) = objects(&example(name));
        let mut others = resources.clone();
        others.foundation.secrets.clear();
        let text = format!("{others:?}");
        assert!(
            !text.contains("s-password") && !text.contains("(a signing key)"),
            "{name}"
        );
        assert!(!resources.foundation.secrets.is_empty());
    }
}

#[test]
fn an_autoscaled_service_has_no_replicas_and_a_single_one_no_budget() {
    let (_, resources) = objects(&with_spec(
        "{gateway: {autoscaling: {minReplicas: 1, maxReplicas: 3}}}",
    ));
    let gateway = resources.services.deployments.last().unwrap();
    assert_eq!(gateway.1.spec.replicas, None);
    assert_eq!(resources.services.autoscalers.len(), 1);
    assert_eq!(resources.services.pod_disruption_budgets, []);
    let (_, resources) = objects(&with_spec("{gateway: {replicas: 2}}"));
    assert_eq!(resources.services.pod_disruption_budgets.len(), 1);
    assert_eq!(resources.services.autoscalers, []);
}

#[test]
fn without_a_storage_class_the_data_goes_with_the_pod() {
    use shop_operator::{
        build::{Surroundings, build},
        credentials::Credentials,
        existing::Existing,
    };
    let (shop, with_class) = objects(&with_spec("{}"));
    let credentials = Credentials::complete(&shop, &Existing::new(), NOW).unwrap();
    let without_class = build(&shop, &credentials, &Surroundings::default());
    for (resources, claims) in [(with_class, true), (without_class, false)] {
        for set in resources.data_stores.stateful_sets {
            assert_eq!(set.spec.volume_claim_templates.is_some(), claims);
        }
    }
}

#[test]
fn what_outlives_a_shop_has_no_owner() {
    let owned = |spec: &str| {
        let secrets = objects(&with_spec(spec)).1.foundation.secrets;
        // Certificates are no data: they are made anew.
        secrets
            .iter()
            .filter(|secret| secret.type_.as_deref() != Some("kubernetes.io/tls"))
            .filter(|secret| secret.metadata.owner_references.is_some())
            .count()
    };
    assert_eq!(owned("{deletionPolicy: Retain}"), 0);
    assert!(owned("{deletionPolicy: Delete}") > 0);
}

#[test]
fn a_cluster_outlives_its_shop_if_that_was_asked_for() {
    let owned = |policy: &str| {
        let back_ends = "database: {cloudNativePg: {}}, messaging: {rabbitmqCluster: {}}";
        let stores = objects(&with_spec(&format!("{{deletionPolicy: {policy}, {back_ends}}}")))
            .1
            .data_stores;
        let clusters = [stores.postgres_cluster, stores.rabbitmq_cluster].map(Option::unwrap);
        clusters.map(|cluster| cluster.metadata.owner_references.is_some())
    };
    assert_eq!(owned("Retain"), [false, false]);
    assert_eq!(owned("Delete"), [true, true]);
}

#[test]
fn a_cluster_of_one_has_nobody_to_wait_for() {
    let spec = "{database: {cloudNativePg: {instances: 1}}, messaging: {rabbitmqCluster: {replicas: 1}}}";
    let (_, resources) = objects(&with_spec(spec));
    let cluster = resources.data_stores.postgres_cluster.unwrap();
    assert_eq!(cluster.data["spec"]["enablePDB"], false);
    assert!(cluster.data["spec"].get("postgresql").is_none());
    assert_eq!(resources.services.pod_disruption_budgets, []);
}

/// Its image may be in a registry of one's own, and its node one of its own.
#[test]
fn a_data_store_is_pulled_and_placed_as_its_shop_says() {
    let placed = "{nodeSelector: {disk: fast}, tolerations: [{key: data, operator: Exists}], resources: {limits: {memory: 4Gi}}, \
                   affinity: {nodeAffinity: {}}}";
    let spec = format!(
        "{{image: {{pullSecrets: [registry-login]}}, database: {{embedded: {placed}}}, messaging: {{embedded: {placed}}}}}"
    );
    let (_, resources) = objects(&with_spec(&spec));
    assert_eq!(resources.data_stores.stateful_sets.len(), 2);
    for set in resources.data_stores.stateful_sets {
        let pod = set.spec.template.spec.unwrap();
        assert_eq!(pod.image_pull_secrets.unwrap()[0].name, "registry-login");
        assert_eq!(pod.node_selector.unwrap()["disk"], "fast");
        assert_eq!(pod.tolerations.unwrap().len(), 1);
        assert!(pod.affinity.is_some());
        let resources = pod.containers[0].resources.clone().unwrap();
        assert_eq!(resources.limits.unwrap()["memory"].0, "4Gi");
        assert_eq!(resources.requests, None);
    }
}

/// A server that recovers for an hour is not killed for it: what starts a pod and what keeps it alive ask only whether
/// somebody listens, which PostgreSQL does from the beginning of a recovery on, and RabbitMQ at the end of one.
#[test]
fn a_data_store_may_recover_for_long() {
    for set in objects(&with_spec("{}")).1.data_stores.stateful_sets {
        let name = set.metadata.name.unwrap();
        let container = &set.spec.template.spec.unwrap().containers[0];
        let startup = container.startup_probe.as_ref().unwrap();
        let liveness = container.liveness_probe.as_ref().unwrap();
        assert!(
            startup.tcp_socket.is_some() && liveness.tcp_socket.is_some(),
            "{name}"
        );
        let seconds = startup.period_seconds.unwrap() * startup.failure_threshold.unwrap();
        let least = if name == "demo-rabbitmq" { 3600 } else { 600 };
        assert!(seconds >= least, "{name}: {seconds} s");
        assert!(container.readiness_probe.is_some());
    }
}
