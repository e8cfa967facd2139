//! Objects of kinds that other operators define.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client, ResourceExt as _,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
    runtime::{conditions, wait::await_condition},
};
use serde_json::json;
use shop_operator::{
    apply::{Applier, ApplyError, Owner},
    clusters::Kind,
    observed::ShopName,
};

use crate::cluster::{TestNamespace, connect};

/// A kind of nobody's, so that a cluster with the real ones has the same in it as one without.
fn resource() -> ApiResource {
    ApiResource {
        group: "tests.shop-operator.io".to_owned(),
        version: "v1".to_owned(),
        api_version: "tests.shop-operator.io/v1".to_owned(),
        kind: "Cluster".to_owned(),
        plural: "clusters".to_owned(),
    }
}

async fn define(client: &Client) {
    let definition: CustomResourceDefinition = serde_json::from_value(json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "clusters.tests.shop-operator.io"},
        "spec": {
            "group": "tests.shop-operator.io",
            "scope": "Namespaced",
            "names": {"kind": "Cluster", "plural": "clusters"},
            "versions": [{
                "name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
            }],
        },
    }))
    .unwrap();
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let name = "clusters.tests.shop-operator.io";
    let parameters = PatchParams::apply("tests").force();
    definitions
        .patch(name, &parameters, &Patch::Apply(&definition))
        .await
        .unwrap();
    await_condition(definitions, name, conditions::is_crd_established())
        .await
        .unwrap();
}

/// What a Shop wants, as it is built: its labels, and no owner where it outlives the Shop.
fn desired(namespace: &str, instances: i32) -> DynamicObject {
    let mut object =
        DynamicObject::new("demo-postgres", &resource()).data(json!({"spec": {"instances": instances}}));
    object.metadata.namespace = Some(namespace.to_owned());
    object.metadata.labels = Some(shop_operator::build::labels("demo", "postgres"));
    object
}

fn owner(namespace: &str) -> Owner {
    Owner {
        shop: ShopName {
            namespace: namespace.to_owned(),
            name: "demo".to_owned(),
        },
        uid: "00000000-0000-7000-8000-000000000001".to_owned(),
    }
}

#[tokio::test]
async fn an_object_is_written_when_it_differs_and_comes_with_its_status() {
    let client = connect().await;
    define(&client).await;
    let namespace = TestNamespace::create(&client).await;
    let (resource, owner) = (resource(), owner(&namespace.name));
    let applier = Applier::new(client.clone());
    let absent = applier
        .get_dynamic(&owner, &resource, "demo-postgres")
        .await
        .unwrap();
    assert!(absent.is_none());

    let wanted = desired(&namespace.name, 3);
    let made = applier.apply_dynamic(&owner, &resource, &wanted).await.unwrap();
    assert_eq!(made.data["spec"]["instances"], 3);
    let again = applier.apply_dynamic(&owner, &resource, &wanted).await.unwrap();
    assert_eq!(again.resource_version(), made.resource_version());

    // The operator whose kind it is says how it is, and a person sets what is not this operator's.
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace.name, &resource);
    let healthy = Patch::Merge(json!({"status": {"phase": "Cluster in healthy state"}}));
    let reported = api
        .patch_status("demo-postgres", &PatchParams::default(), &healthy)
        .await
        .unwrap();
    let seen = applier.apply_dynamic(&owner, &resource, &wanted).await.unwrap();
    assert_eq!(seen.data["status"]["phase"], "Cluster in healthy state");
    assert_eq!(seen.resource_version(), reported.resource_version());

    let edited = Patch::Merge(json!({"spec": {"instances": 1, "resources": {"requests": {"cpu": "1"}}}}));
    api.patch("demo-postgres", &PatchParams::default(), &edited)
        .await
        .unwrap();
    let mended = applier.apply_dynamic(&owner, &resource, &wanted).await.unwrap();
    assert_eq!(
        mended.data["spec"],
        json!({"instances": 3, "resources": {"requests": {"cpu": "1"}}})
    );
    let more = applier
        .apply_dynamic(&owner, &resource, &desired(&namespace.name, 5))
        .await
        .unwrap();
    assert_eq!(more.data["spec"]["instances"], 5);
    namespace.delete().await;
}

#[tokio::test]
async fn somebody_elses_is_not_taken_over() {
    let client = connect().await;
    define(&client).await;
    let namespace = TestNamespace::create(&client).await;
    let (resource, owner) = (resource(), owner(&namespace.name));
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace.name, &resource);
    let mut foreign = desired(&namespace.name, 1);
    foreign.metadata.labels = None;
    api.create(&kube::api::PostParams::default(), &foreign)
        .await
        .unwrap();
    let applier = Applier::new(client.clone());
    let error = applier
        .apply_dynamic(&owner, &resource, &desired(&namespace.name, 3))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, ApplyError::Taken { kind, name } if kind == "Cluster" && name == "demo-postgres"),
        "{error}"
    );
    let untouched = api.get("demo-postgres").await.unwrap();
    assert_eq!(untouched.data["spec"]["instances"], 1);
    namespace.delete().await;
}

#[tokio::test]
async fn a_kind_that_is_not_there_is_told_from_an_object_that_is_not() {
    let client = connect().await;
    define(&client).await;
    let namespace = TestNamespace::create(&client).await;
    let applier = Applier::new(client.clone());
    let owner = owner(&namespace.name);
    let unknown_kind = ApiResource {
        kind: "Ship".to_owned(),
        plural: "ships".to_owned(),
        ..resource()
    };
    let unknown_group = ApiResource {
        group: "nowhere.example".to_owned(),
        api_version: "nowhere.example/v1".to_owned(),
        ..resource()
    };
    for resource in [unknown_kind, unknown_group] {
        let error = applier
            .apply_dynamic(&owner, &resource, &desired(&namespace.name, 3))
            .await
            .unwrap_err();
        assert!(
            matches!(&error, ApplyError::NoSuchKind { kind, .. } if *kind == resource.kind),
            "{error}"
        );
        let error = applier.get_dynamic(&owner, &resource, "demo").await.unwrap_err();
        assert!(matches!(error, ApplyError::NoSuchKind { .. }), "{error}");
    }
    // Whether the real ones are there or not.
    for kind in [Kind::CloudNativePg, Kind::RabbitmqCluster] {
        let found = applier.get_dynamic(&owner, &kind.resource(), "demo").await;
        assert!(
            matches!(found, Ok(None) | Err(ApplyError::NoSuchKind { .. })),
            "{found:?}"
        );
    }
    namespace.delete().await;
}
