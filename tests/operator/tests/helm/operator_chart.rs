//! `charts/shop-operator`, as Helm renders it.

use std::collections::BTreeSet;

use serde_json::Value;
use shop_operator::{build, crd, names};

use crate::{template, text};

const CHART: &str = "shop-operator";

fn of_kind<'a>(documents: &'a [Value], kind: &str) -> Vec<&'a Value> {
    documents
        .iter()
        .filter(|document| document["kind"] == kind)
        .collect()
}

/// The rights of roles: group, resource and verb, one by one.
fn rights(roles: &[&Value]) -> BTreeSet<(String, String, String)> {
    let texts = |value: &Value| -> Vec<String> {
        let texts = value.as_array().into_iter().flatten();
        texts.map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let mut rights = BTreeSet::new();
    for rule in roles
        .iter()
        .flat_map(|role| role["rules"].as_array().into_iter().flatten())
    {
        for group in texts(&rule["apiGroups"]) {
            for resource in texts(&rule["resources"]) {
                for verb in texts(&rule["verbs"]) {
                    rights.insert((group.clone(), resource.clone(), verb));
                }
            }
        }
    }
    rights
}

#[test]
fn it_is_rendered_as_it_was() {
    let all = "
        crd: { install: false }
        replicas: 2
        watchNamespace: team
        image: { registry: registry.example/shop, tag: 1.2.3, pullPolicy: Always, pullSecrets: [login] }
        telemetry: { otlpEndpoint: 'http://collector:4317' }
        metrics: { serviceMonitor: { enabled: true, labels: { release: prometheus } } }
        serviceAccount: { name: operator, annotations: { a: b } }
        env: [{ name: HTTPS_PROXY, value: 'http://proxy:3128' }]
        podAnnotations: { a: b }
        priorityClassName: system-cluster-critical
        nodeSelector: { pool: system }
        tolerations: [{ key: pool, operator: Exists }]
        affinity: { nodeAffinity: {} }
    ";
    insta::assert_snapshot!(
        "operator-default",
        text(CHART, "crd: { install: false }").unwrap()
    );
    insta::assert_snapshot!("operator-all-values", text(CHART, all).unwrap());
}

#[test]
fn the_definition_is_that_of_the_program_and_stays() {
    let documents = template(CHART, "").unwrap();
    let [definition] = of_kind(&documents, "CustomResourceDefinition")[..] else {
        panic!("not one definition");
    };
    assert_eq!(
        definition["metadata"]["annotations"]["helm.sh/resource-policy"],
        "keep"
    );
    let ours = serde_json::to_value(crd::definition()).unwrap();
    assert_eq!(difference(&definition["spec"], &ours["spec"]), None);
    assert_eq!(definition["metadata"]["name"], ours["metadata"]["name"]);
}

/// Where two values differ first. Helm writes a number as it likes: 1 for 1.0.
fn difference(one: &Value, other: &Value) -> Option<String> {
    let inside = |name: &str, one: Option<&Value>, other: Option<&Value>| match (one, other) {
        (Some(one), Some(other)) => difference(one, other).map(|path| format!(".{name}{path}")),
        _ => Some(format!(".{name}")),
    };
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => one
            .keys()
            // Each name once: twice at every level would be a million times in the depths of an affinity.
            .chain(other.keys().filter(|name| !one.contains_key(*name)))
            .find_map(|name| inside(name, one.get(name), other.get(name))),
        (Value::Array(one), Value::Array(other)) => {
            (0..one.len().max(other.len())).find_map(|n| inside(&n.to_string(), one.get(n), other.get(n)))
        }
        (Value::Number(number), Value::Number(wanted)) => {
            (number.as_f64() != wanted.as_f64()).then(|| format!(": {number} and not {wanted}"))
        }
        _ => (one != other).then(|| format!(": {one} and not {other}")),
    }
}

#[test]
fn the_network_policies_of_shops_know_the_operator_whatever_the_release_is_called() {
    let documents = template(CHART, "").unwrap();
    let deployment = of_kind(&documents, "Deployment")[0];
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    assert_eq!(labels["app.kubernetes.io/name"], "shop-operator");
    assert_eq!(deployment["metadata"]["name"], "demo-shop-operator");
}

#[test]
fn it_may_what_it_must_and_no_more() {
    let everywhere = template(CHART, "crd: { install: false }").unwrap();
    let granted = rights(&of_kind(&everywhere, "ClusterRole"));
    let has = |group: &str, resource: &str, verb: &str| {
        granted.contains(&(group.to_owned(), resource.to_owned(), verb.to_owned()))
    };
    // Each kind that a Shop is made of.
    for (group, resource) in [
        ("", "secrets"),
        ("", "serviceaccounts"),
        ("", "services"),
        ("apps", "deployments"),
        ("apps", "statefulsets"),
        ("autoscaling", "horizontalpodautoscalers"),
        ("networking.k8s.io", "ingresses"),
        ("networking.k8s.io", "networkpolicies"),
        ("policy", "poddisruptionbudgets"),
        ("postgresql.cnpg.io", "clusters"),
        ("rabbitmq.com", "rabbitmqclusters"),
    ] {
        for verb in ["get", "list", "watch", "create", "patch", "delete"] {
            assert!(has(group, resource, verb), "{group}/{resource} {verb}");
        }
    }
    // To say why a service is not ready; what a pod is, its Deployment says.
    assert!(has("", "pods", "list") && !has("", "pods", "create") && !has("", "pods", "delete"));
    // kube's recorder of events needs both.
    assert!(has("events.k8s.io", "events", "create") && has("events.k8s.io", "events", "patch"));
    for (group, resource, verb) in &granted {
        assert!(
            group != "*" && resource != "*" && verb != "*",
            "{group}/{resource} {verb}"
        );
        assert!(
            group != "rbac.authorization.k8s.io",
            "it could give itself rights"
        );
    }
    assert!(!has("shop-operator.io", "shops", "create") && !has("shop-operator.io", "shops", "delete"));
}

#[test]
fn in_one_namespace_it_has_rights_in_that_only() {
    let documents = template(CHART, "{ crd: { install: false }, watchNamespace: team }").unwrap();
    let cluster = rights(&of_kind(&documents, "ClusterRole"));
    assert!(
        cluster
            .iter()
            .all(|(group, resource, _)| group == "storage.k8s.io" && resource == "storageclasses")
    );
    let everywhere = template(CHART, "crd: { install: false }").unwrap();
    let both = [of_kind(&documents, "ClusterRole"), of_kind(&documents, "Role")].concat();
    let one_of_all = [of_kind(&everywhere, "ClusterRole"), of_kind(&everywhere, "Role")].concat();
    assert_eq!(rights(&both), rights(&one_of_all));
    for role in of_kind(&documents, "Role") {
        let namespace = role["metadata"]["namespace"].as_str().unwrap();
        assert!(["team", "shops"].contains(&namespace));
    }
}

#[test]
fn one_of_several_may_be_drained_and_a_single_one_too() {
    let budgets = |values: &str| of_kind(&template(CHART, values).unwrap(), "PodDisruptionBudget").len();
    assert_eq!((budgets("replicas: 1"), budgets("replicas: 2")), (0, 1));
}

/// The folder that the chart has copies of.
fn observability(name: &str) -> std::path::PathBuf {
    crate::chart("..").join("deploy/observability").join(name)
}

fn files(folder: &str, extension: &str) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(observability(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|of| of == extension))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

#[test]
fn what_observes_shops_is_installed_where_it_is_wanted() {
    let kinds = ["PodMonitor", "PrometheusRule", "ConfigMap"];
    let count = |values: &str| {
        let documents = template(CHART, values).unwrap();
        kinds.map(|kind| of_kind(&documents, kind).len())
    };
    let dashboards = files("dashboards", "json");
    assert_eq!(count(""), [0, 0, 0]);
    assert_eq!(
        count("observability: { podMonitor: { enabled: true } }"),
        [1, 0, 0]
    );
    assert_eq!(
        count("observability: { prometheusRule: { enabled: true } }"),
        [0, 1, 0]
    );
    assert_eq!(
        count("observability: { dashboards: { enabled: true } }"),
        [0, 0, dashboards.len()]
    );
}

#[test]
fn dashboards_are_found_by_grafana_and_are_those_of_the_checkout() {
    let documents = template(
        CHART,
        "observability: { dashboards: { enabled: true, annotations: { grafana_folder: Shop } } }",
    )
    .unwrap();
    let maps = of_kind(&documents, "ConfigMap");
    for path in files("dashboards", "json") {
        let file = path.file_name().unwrap().to_str().unwrap();
        let map = maps
            .iter()
            .find(|map| map["data"].get(file).is_some())
            .unwrap_or_else(|| panic!("{file}"));
        assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "1");
        assert_eq!(map["metadata"]["annotations"]["grafana_folder"], "Shop");
        let rendered: Value = serde_json::from_str(map["data"][file].as_str().unwrap()).unwrap();
        let ours: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert!(rendered == ours, "{file}");
    }
}

#[test]
fn rules_are_those_of_the_checkout_and_lead_to_their_runbooks() {
    let groups = |values: &str| {
        let documents = template(CHART, values).unwrap();
        let [rule] = of_kind(&documents, "PrometheusRule")[..] else {
            panic!("not one PrometheusRule");
        };
        rule["spec"]["groups"].as_array().unwrap().clone()
    };
    let mut ours = Vec::new();
    for path in files("prometheus/rules", "yaml") {
        let file: Value = serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        ours.extend(file["groups"].as_array().unwrap().clone());
    }
    assert_eq!(
        groups("observability: { prometheusRule: { enabled: true } }"),
        ours
    );

    let linked = groups(
        "observability: { prometheusRule: { enabled: true, runbooksUrl: 'https://shop.example/runbooks/' } }",
    );
    let rules = |groups: &[Value]| -> Vec<Value> {
        groups
            .iter()
            .flat_map(|group| group["rules"].as_array().unwrap().clone())
            .collect()
    };
    for rule in rules(&linked).iter().filter(|rule| rule.get("alert").is_some()) {
        let name = rule["alert"].as_str().unwrap();
        assert_eq!(
            rule["annotations"]["runbook_url"],
            format!("https://shop.example/runbooks/{name}.md")
        );
        assert!(
            observability("runbooks").join(format!("{name}.md")).is_file(),
            "{name}"
        );
    }
}

/// The pods that the operator makes, and the labels that rules and dashboards ask for.
#[test]
fn every_service_of_a_shop_is_scraped_under_its_name() {
    let monitor = |values: &str| {
        let documents = template(CHART, values).unwrap();
        of_kind(&documents, "PodMonitor")[0]["spec"].clone()
    };
    let everywhere = monitor("observability: { podMonitor: { enabled: true, interval: 15s } }");
    assert_eq!(everywhere["namespaceSelector"]["any"], true);
    let one = monitor("{ watchNamespace: team, observability: { podMonitor: { enabled: true } } }");
    assert_eq!(
        one["namespaceSelector"]["matchNames"],
        serde_json::json!(["team"])
    );

    let of_a_pod = build::labels("demo", "order-service");
    for (label, value) in everywhere["selector"]["matchLabels"].as_object().unwrap() {
        assert_eq!(value, of_a_pod[label].as_str(), "{label}");
    }
    let by_name = &everywhere["selector"]["matchExpressions"][0];
    assert_eq!(by_name["key"], names::PART);
    let mut chosen: Vec<_> = by_name["values"].as_array().unwrap().iter().collect();
    let mut services: Vec<_> = names::Program::ALL.iter().map(|program| program.name()).collect();
    services.sort_unstable();
    chosen.sort_by_key(|name| name.as_str());
    assert_eq!(chosen, services);

    let endpoint = &everywhere["podMetricsEndpoints"][0];
    assert_eq!(
        (&endpoint["port"], &endpoint["interval"]),
        (&"admin".into(), &"15s".into())
    );
    let targets: Vec<_> = endpoint["relabelings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|relabeling| &relabeling["targetLabel"])
        .collect();
    assert_eq!(targets, ["job", "shop"]);
}

#[test]
fn wrong_values_are_named() {
    for (values, names) in [
        ("replicas: many", "replicas"),
        ("replicaCount: 2", "replicaCount"),
        ("image: { repository: a }", "repository"),
        ("image: { pullPolicy: Sometimes }", "pullPolicy"),
        ("watchNamespace: Team_A", "watchNamespace"),
        ("maxConcurrentReconciles: 0", "maxConcurrentReconciles"),
        ("log: { format: xml }", "format"),
        ("telemetry: { otlpEndpoint: collector }", "otlpEndpoint"),
        ("observability: { podMonitors: {} }", "podMonitors"),
        ("observability: { podMonitor: { interval: often } }", "interval"),
        (
            "observability: { prometheusRule: { runbooksUrl: here } }",
            "runbooksUrl",
        ),
    ] {
        let error = text(CHART, values).unwrap_err();
        assert!(error.contains(names), "{values}: {error}");
    }
}
