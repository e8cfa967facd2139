//! `charts/shop`, as Helm renders it.

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
    ] {
        let error = text(CHART, values).unwrap_err();
        assert!(error.contains(names), "{values}: {error}");
    }
}
