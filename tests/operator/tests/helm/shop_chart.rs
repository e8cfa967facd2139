//! `charts/shop`, as Helm renders it.

use k8s_openapi::api::batch::v1::Job;
use serde_json::{Value, json};
use shop_operator::crd::Shop;

use crate::{chart, template, text};

const CHART: &str = "shop";

fn shop(values: &str) -> Value {
    let mut documents = template(CHART, values).unwrap();
    assert_eq!(documents.len(), 1);
    documents.remove(0)
}

#[test]
fn without_values_it_is_a_shop_of_defaults() {
    let shop = shop("");
    assert_eq!(shop["metadata"]["name"], "demo");
    assert_eq!(shop["metadata"]["namespace"], "shops");
    assert_eq!(shop["spec"], json!({"deletionPolicy": "Retain"}));
    let shop: Shop = serde_json::from_value(shop).unwrap();
    assert_eq!(shop.spec, shop_operator::crd::ShopSpec::default());
}

/// The spec of each example can be given as values, and comes out as it went in.
#[test]
fn the_examples_can_be_values() {
    let folder = chart("..").join("deploy/examples");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let example: Value = serde_saphyr::from_str(&text).unwrap();
        let rendered: Shop = serde_json::from_value(shop(&example["spec"].to_string())).unwrap();
        let example: Shop = serde_json::from_value(example).unwrap();
        assert_eq!(rendered.spec, example.spec, "{}", path.display());
        seen += 1;
    }
    assert!(seen >= 6);
}

/// With demo data there is a Job beside the Shop, of the same version and registry, and the Shop's spec knows nothing of it.
#[test]
fn demo_data_come_by_a_job() {
    let values = "
        version: 1.2.3
        image: { registry: registry.example/shop, pullPolicy: Always, pullSecrets: [registry] }
        demoData: true
    ";
    let documents = template(CHART, values).unwrap();
    let of_kind = |kind: &str| {
        documents
            .iter()
            .find(|document| document["kind"] == kind)
            .unwrap()
    };
    assert_eq!(documents.len(), 2);
    assert_eq!(of_kind("Shop")["spec"].get("demoData"), None);
    let job: Job = serde_json::from_value(of_kind("Job").clone()).unwrap();
    assert!(job.spec.unwrap().template.spec.is_some());
    insta::assert_snapshot!("demo_data", text(CHART, values).unwrap());
    assert!(template(CHART, "demoData: false").unwrap().len() == 1);
}

/// A Job can't be changed: what would have to be is another one.
#[test]
fn a_job_of_another_version_has_another_name() {
    let name = |values: &str| {
        let documents = template(CHART, values).unwrap();
        let job = documents.iter().find(|document| document["kind"] == "Job");
        job.unwrap()["metadata"]["name"].as_str().unwrap().to_owned()
    };
    let first = name("{ demoData: true, version: 1.2.3 }");
    assert_eq!(
        first,
        name("{ demoData: true, version: 1.2.3, gateway: { replicas: 2 } }")
    );
    assert_ne!(first, name("{ demoData: true, version: 1.2.4 }"));
    assert!(
        first.starts_with("demo-demo-data-") && first.len() <= 63,
        "{first}"
    );
}

/// The pods of the Job are of no part that the operator's network policies select, and anybody may call the gateway.
#[test]
fn network_policies_leave_the_demo_data_alone() {
    let documents = template(CHART, "demoData: true").unwrap();
    let job = documents
        .iter()
        .find(|document| document["kind"] == "Job")
        .unwrap();
    let part = job["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"].as_str();
    let programs = shop_operator::names::Program::ALL.map(shop_operator::names::Program::name);
    assert!(!programs.contains(&part.unwrap()));
    let env = &job["spec"]["template"]["spec"]["containers"][0]["env"];
    let gateway = shop_operator::names::object("demo", "api-gateway");
    assert_eq!(env[0]["value"], format!("http://{gateway}:8080"));
    for (variable, key) in [(1, "username"), (2, "password")] {
        let secret = &env[variable]["valueFrom"]["secretKeyRef"];
        assert_eq!(
            (&secret["name"], &secret["key"]),
            (
                &json!(shop_operator::credentials::first_admin_secret("demo")),
                &json!(key)
            )
        );
    }
}

#[test]
fn it_is_rendered_as_it_was() {
    let values = "
        version: 1.2.3
        gateway: { replicas: 2, ingress: { host: shop.example, tls: { secretName: tls } } }
        services: { orders: { resources: { requests: { cpu: '1' } }, env: [{ name: A, value: '1' }] } }
        telemetry: { samplingRatio: 0.1 }
        networkPolicy: { enabled: false }
        paused: true
        global: { of: another chart }
    ";
    insta::assert_snapshot!("shop", text(CHART, values).unwrap());
}

#[test]
fn wrong_values_are_named() {
    for (values, names) in [
        ("replicas: 2", "replicas"),
        ("version: 'not a tag'", "version"),
        ("gateway: { replicas: two }", "replicas"),
        ("gateway: { autoscaling: { minReplicas: 2 } }", "maxReplicas"),
        ("gateway: { ingress: { hostname: a } }", "hostname"),
        ("services: { order: {} }", "order"),
        ("database: { external: { host: a } }", "adminSecret"),
        ("database: { cloudNativePg: { instances: 10 } }", "instances"),
        ("messaging: { rabbitmqCluster: { replicas: 2 } }", "replicas"),
        ("telemetry: { samplingRatio: 2 }", "samplingRatio"),
        ("deletionPolicy: Keep", "deletionPolicy"),
        ("demoData: sometimes", "demoData"),
    ] {
        let error = text(CHART, values).unwrap_err();
        assert!(error.contains(names), "{values}: {error}");
    }
}
