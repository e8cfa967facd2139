//! What the API server takes for a Shop, and what it says to the rest.

use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, PostParams},
    core::Request,
};
use serde_json::{Value, json};
use shop_operator::crd::Shop;

use crate::cluster::connect;

pub(crate) fn shops(client: &Client, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &ApiResource::erase::<Shop>(&()))
}

pub(crate) fn manifest(name: &str, spec: &str) -> DynamicObject {
    let spec: Value = serde_saphyr::from_str(spec).unwrap();
    serde_json::from_value(json!({
        "apiVersion": "shop-operator.io/v1alpha1", "kind": "Shop", "metadata": {"name": name}, "spec": spec,
    }))
    .unwrap()
}

/// What the API server says to a Shop, as `kubectl create` asks it: an unknown field is an error, and not dropped.
async fn create_strictly(client: &Client, shop: &DynamicObject) -> kube::Result<DynamicObject> {
    let parameters = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let mut request = Request::new(shops(client, "default").resource_url())
        .create(&parameters, serde_json::to_vec(shop).unwrap())
        .unwrap();
    *request.uri_mut() = format!("{}&fieldValidation=Strict", request.uri())
        .parse()
        .unwrap();
    client.request(request).await
}

/// A spec that is refused, and what the answer must name.
const REFUSED: [(&str, &str); 61] = [
    ("{version: ''}", "spec.version"),
    ("{version: 'not a tag'}", "spec.version"),
    ("{version: 1.5}", "spec.version"),
    ("{image: {registry: ''}}", "spec.image.registry"),
    ("{image: {registry: 'Not A Registry'}}", "spec.image.registry"),
    ("{image: {pullPolicy: Sometimes}}", "spec.image.pullPolicy"),
    ("{image: {pullSecrets: ['']}}", "spec.image.pullSecrets[0]"),
    ("{image: {pullSecrets: name}}", "spec.image.pullSecrets"),
    ("{gateway: {replicas: -1}}", "spec.gateway.replicas"),
    ("{gateway: {replicas: 101}}", "spec.gateway.replicas"),
    ("{gateway: {replicas: two}}", "spec.gateway.replicas"),
    (
        "{gateway: {replicas: 1, autoscaling: {maxReplicas: 2}}}",
        "give replicas or autoscaling, not both",
    ),
    (
        "{gateway: {autoscaling: {}}}",
        "spec.gateway.autoscaling.maxReplicas",
    ),
    (
        "{gateway: {autoscaling: {minReplicas: 0, maxReplicas: 2}}}",
        "spec.gateway.autoscaling.minReplicas",
    ),
    (
        "{gateway: {autoscaling: {minReplicas: 3, maxReplicas: 2}}}",
        "minReplicas must not be more than maxReplicas",
    ),
    ("{gateway: {ingress: {}}}", "spec.gateway.ingress.host"),
    (
        "{gateway: {ingress: {host: 'http://shop.example'}}}",
        "spec.gateway.ingress.host",
    ),
    (
        "{gateway: {ingress: {host: shop.example, tls: {}}}}",
        "spec.gateway.ingress.tls.secretName",
    ),
    (
        "{services: {users: {replicas: 1000}}}",
        "spec.services.users.replicas",
    ),
    (
        "{services: {orders: {replicas: 2, autoscaling: {maxReplicas: 3}}}}",
        "give replicas or autoscaling, not both",
    ),
    (
        "{services: {orders: {env: [{value: x}]}}}",
        "spec.services.orders.env[0].name",
    ),
    (
        "{services: {orders: {resources: 1}}}",
        "spec.services.orders.resources",
    ),
    (
        "{services: {orders: {tolerations: [{tolerationSeconds: soon}]}}}",
        "spec.services.orders.tolerations[0].tolerationSeconds",
    ),
    (
        "{services: {orders: {nodeSelector: {disk: 1}}}}",
        "spec.services.orders.nodeSelector.disk",
    ),
    (
        "{database: {}}",
        "give exactly one of embedded, cloudNativePg and external",
    ),
    (
        "{database: {embedded: {}, external: {host: a, adminSecret: {name: b}}}}",
        "give exactly one of embedded, cloudNativePg and external",
    ),
    (
        "{database: {embedded: {}, cloudNativePg: {}}}",
        "give exactly one of embedded, cloudNativePg and external",
    ),
    (
        "{database: {cloudNativePg: {instances: 0}}}",
        "spec.database.cloudNativePg.instances",
    ),
    (
        "{database: {cloudNativePg: {instances: 10}}}",
        "spec.database.cloudNativePg.instances",
    ),
    (
        "{database: {cloudNativePg: {storage: 0}}}",
        "storage must be a size above zero",
    ),
    (
        "{database: {cloudNativePg: {image: a}}}",
        "spec.database.cloudNativePg.image",
    ),
    (
        "{database: {external: {adminSecret: {name: b}}}}",
        "spec.database.external.host",
    ),
    (
        "{database: {external: {host: a}}}",
        "spec.database.external.adminSecret",
    ),
    (
        "{database: {external: {host: a, port: 0, adminSecret: {name: b}}}}",
        "spec.database.external.port",
    ),
    (
        "{database: {external: {host: a, port: 65536, adminSecret: {name: b}}}}",
        "spec.database.external.port",
    ),
    (
        "{database: {external: {host: a, tls: maybe, adminSecret: {name: b}}}}",
        "spec.database.external.tls",
    ),
    (
        "{messaging: {external: {amqp: 'http://a', management: 'http://a', adminSecret: {name: b}}}}",
        "spec.messaging.external.amqp",
    ),
    (
        "{messaging: {external: {amqp: 'amqp://user:secret@a', management: 'http://a', adminSecret: {name: b}}}}",
        "spec.messaging.external.amqp",
    ),
    (
        "{telemetry: {samplingRatio: 1.5}}",
        "spec.telemetry.samplingRatio",
    ),
    ("{telemetry: {logLevel: loud}}", "spec.telemetry.logLevel"),
    ("{deletionPolicy: Keep}", "spec.deletionPolicy"),
    (
        "{gateway: {autoscaling: {maxReplicas: 2}, resources: {requests: {memory: 64Mi}}}}",
        "autoscaling needs resources.requests.cpu",
    ),
    (
        "{services: {users: {env: [{name: A, value: x}, {name: A, value: y}]}}}",
        "spec.services.users.env[1]",
    ),
    (
        "{database: {embedded: {storage: plenty}}}",
        "storage must be a size above zero",
    ),
    (
        "{database: {embedded: {storage: 0}}}",
        "storage must be a size above zero",
    ),
    (
        "{messaging: {embedded: {storage: -1Gi}}}",
        "storage must be a size above zero",
    ),
    (
        "{messaging: {}}",
        "give exactly one of embedded, rabbitmqCluster and external",
    ),
    (
        "{messaging: {embedded: {}, rabbitmqCluster: {}}}",
        "give exactly one of embedded, rabbitmqCluster and external",
    ),
    (
        "{messaging: {rabbitmqCluster: {replicas: 2}}}",
        "spec.messaging.rabbitmqCluster.replicas",
    ),
    (
        "{messaging: {rabbitmqCluster: {replicas: 7}}}",
        "spec.messaging.rabbitmqCluster.replicas",
    ),
    (
        "{messaging: {rabbitmqCluster: {storage: 2G}}}",
        "storage must be a size above 2G",
    ),
    (
        "{messaging: {rabbitmqCluster: {storage: plenty}}}",
        "storage must be a size above 2G",
    ),
    (
        "{messaging: {external: {amqp: 'amqp://a:65536', management: 'http://a', adminSecret: {name: b}}}}",
        "amqp must have a port from 1 to 65535",
    ),
    (
        "{messaging: {external: {amqp: 'amqp://a', management: 'http://a:0', adminSecret: {name: b}}}}",
        "management must have a port from 1 to 65535",
    ),
    (
        "{telemetry: {otlpEndpoint: 'collector:4317'}}",
        "spec.telemetry.otlpEndpoint",
    ),
    (
        "{telemetry: {otlpEndpoint: 'http://[collector'}}",
        "otlpEndpoint must be a URL",
    ),
    ("{paused: maybe}", "spec.paused"),
    ("{networkPolicy: {enabled: 1}}", "spec.networkPolicy.enabled"),
    ("{tls: {enabled: 'yes'}}", "spec.tls.enabled"),
    // Nothing is worse than a setting that is taken and does nothing.
    ("{tls: {secretName: mine}}", "spec.tls.secretName"),
    ("{credentials: {rotation: 30d}}", "spec.credentials"),
];

#[tokio::test]
async fn what_is_wrong_is_refused_by_its_name() {
    let client = connect().await;
    for (spec, names) in REFUSED {
        match create_strictly(&client, &manifest("demo", spec)).await {
            Ok(_) => panic!("accepted: {spec}"),
            Err(kube::Error::Api(status)) => {
                assert!(status.message.contains(names), "{spec}: {}", status.message);
            }
            Err(error) => panic!("{spec}: {error}"),
        }
    }
    for (name, says) in [
        ("a".repeat(41), "at most 40 characters"),
        ("1st".to_owned(), "must begin with a letter"),
        ("my.shop".to_owned(), "must begin with a letter"),
    ] {
        let error = create_strictly(&client, &manifest(&name, "{}"))
            .await
            .unwrap_err();
        assert!(error.to_string().contains(says), "{name}: {error}");
    }
}

#[tokio::test]
async fn the_examples_are_accepted() {
    let client = connect().await;
    for text in [
        include_str!("../../../../deploy/examples/minimal.yaml"),
        include_str!("../../../../deploy/examples/production.yaml"),
        include_str!("../../../../deploy/examples/embedded.yaml"),
        include_str!("../../../../deploy/examples/external-database.yaml"),
        include_str!("../../../../deploy/examples/scheduling.yaml"),
        include_str!("../../../../deploy/examples/cloud-native.yaml"),
    ] {
        let mut shop: DynamicObject = serde_saphyr::from_str(text).unwrap();
        shop.metadata.namespace = None;
        let accepted = create_strictly(&client, &shop).await.unwrap();
        // What the API server filled in is what the operator's own defaults are.
        let ours: Shop = serde_saphyr::from_str(text).unwrap();
        let theirs: Shop = serde_json::from_value(serde_json::to_value(&accepted).unwrap()).unwrap();
        assert_eq!(theirs.spec, ours.spec);
    }
}

#[tokio::test]
async fn a_null_is_a_field_that_is_not_there() {
    let client = connect().await;
    let spec = "{version: null, gateway: {replicas: null, autoscaling: {maxReplicas: 2}}, \
                database: {embedded: null, external: {host: a, adminSecret: {name: b}}}}";
    let accepted = create_strictly(&client, &manifest("demo", spec)).await.unwrap();
    assert_eq!(
        accepted.data["spec"]["database"],
        json!({"external": {"host": "a", "port": 5432, "tls": "verify-full", "adminSecret": {"name": "b"}}})
    );
}

#[tokio::test]
async fn a_name_leaves_room_for_that_of_a_stateful_set() {
    let client = connect().await;
    let of = |length: usize| manifest(&"a".repeat(length), "{messaging: {rabbitmqCluster: {}}}");
    create_strictly(&client, &of(36)).await.unwrap();
    let error = create_strictly(&client, &of(37)).await.unwrap_err();
    assert!(error.to_string().contains("at most 36 characters"), "{error}");
}
