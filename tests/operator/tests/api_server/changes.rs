//! What of a Shop can be changed, and what it says to the rest.

use kube::{
    Api,
    api::{DynamicObject, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::{
    cluster::{TestNamespace, connect},
    manifests::{manifest, shops},
};

async fn change(shops: &Api<DynamicObject>, name: &str, spec: &str) -> kube::Result<DynamicObject> {
    let change = json!({"spec": serde_saphyr::from_str::<Value>(spec).unwrap()});
    shops
        .patch(name, &PatchParams::default(), &Patch::Merge(&change))
        .await
}

#[tokio::test]
async fn what_holds_data_can_not_be_exchanged() {
    let client = connect().await;
    let namespace = TestNamespace::create(&client).await;
    let shops = shops(&client, &namespace.name);
    let spec = "{database: {embedded: {storage: 1Gi}}}";
    shops
        .create(&PostParams::default(), &manifest("demo", spec))
        .await
        .unwrap();
    for (spec, says) in [
        (
            "{database: {embedded: null, external: {host: a, adminSecret: {name: b}}}}",
            "embedded, cloudNativePg and external can't be exchanged",
        ),
        (
            "{messaging: {embedded: null, external: {amqp: 'amqp://a', management: 'http://a', adminSecret: {name: b}}}}",
            "embedded, rabbitmqCluster and external can't be exchanged",
        ),
        (
            "{database: {embedded: null, cloudNativePg: {}}}",
            "embedded, cloudNativePg and external can't be exchanged",
        ),
        (
            "{messaging: {embedded: null, rabbitmqCluster: {}}}",
            "embedded, rabbitmqCluster and external can't be exchanged",
        ),
        (
            "{database: {embedded: {storage: 2Gi}}}",
            "storage can't be changed",
        ),
        (
            "{database: {embedded: {storageClassName: fast}}}",
            "storageClassName can't be changed",
        ),
    ] {
        let error = change(&shops, "demo", spec).await.unwrap_err().to_string();
        assert!(error.contains(says), "{spec}: {error}");
    }
    let scaled = json!({"spec": {"gateway": {"replicas": 3}}});
    shops
        .patch("demo", &PatchParams::default(), &Patch::Merge(&scaled))
        .await
        .unwrap();
    assert_eq!(
        shops.get_scale("demo").await.unwrap().spec.unwrap().replicas,
        Some(3)
    );
    namespace.delete().await;
}

#[tokio::test]
async fn a_cluster_only_grows() {
    let client = connect().await;
    let namespace = TestNamespace::create(&client).await;
    let shops = shops(&client, &namespace.name);
    let spec = "{database: {cloudNativePg: {instances: 3}}, messaging: {rabbitmqCluster: {}}}";
    let created = shops
        .create(&PostParams::default(), &manifest("demo", spec))
        .await
        .unwrap();
    assert_eq!(
        created.data["spec"]["messaging"],
        json!({"rabbitmqCluster": {"replicas": 3, "storage": "10Gi"}})
    );
    for (spec, says) in [
        (
            "{database: {cloudNativePg: null, embedded: {}}}",
            "embedded, cloudNativePg and external can't be exchanged",
        ),
        (
            "{database: {cloudNativePg: null, external: {host: a, adminSecret: {name: b}}}}",
            "embedded, cloudNativePg and external can't be exchanged",
        ),
        (
            "{messaging: {rabbitmqCluster: null, embedded: {}}}",
            "embedded, rabbitmqCluster and external can't be exchanged",
        ),
        (
            "{database: {cloudNativePg: {storage: 9Gi}}}",
            "storage can't be made smaller",
        ),
        (
            "{messaging: {rabbitmqCluster: {storage: 9Gi}}}",
            "storage can't be made smaller",
        ),
        (
            "{database: {cloudNativePg: {storageClassName: fast}}}",
            "storageClassName can't be changed",
        ),
        (
            "{messaging: {rabbitmqCluster: {storageClassName: fast}}}",
            "storageClassName can't be changed",
        ),
        (
            "{messaging: {rabbitmqCluster: {replicas: 1}}}",
            "replicas can't be lowered",
        ),
    ] {
        let error = change(&shops, "demo", spec).await.unwrap_err().to_string();
        assert!(error.contains(says), "{spec}: {error}");
    }
    for spec in [
        "{database: {cloudNativePg: {instances: 1, storage: 20Gi}}}",
        "{messaging: {rabbitmqCluster: {replicas: 5, storage: 11Gi}}}",
    ] {
        change(&shops, "demo", spec).await.unwrap();
    }
    namespace.delete().await;
}
