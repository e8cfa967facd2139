//! The yardstick: what the same cluster does with the same objects when helm installs them as static manifests and nobody
//! has to decide anything. They are read from a Shop that is ready, whose databases and queues are then there.

use std::{fs, time::Duration};

use anyhow::ensure;
use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    autoscaling::v2::HorizontalPodAutoscaler,
    core::v1::{PersistentVolumeClaim, Pod, Service, ServiceAccount},
    networking::v1::{Ingress, NetworkPolicy},
    policy::v1::PodDisruptionBudget,
};
use kube::{
    Api, Client, ResourceExt as _,
    api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use shop_operator::{crd::Shop, names};

use super::cluster::{self, HELM_TIMEOUT, helm};

/// How long pods or volumes may take to go.
const ENDING: Duration = Duration::from_mins(2);
/// How long the operator may take to see that a Shop is paused.
const PAUSING: Duration = Duration::from_secs(30);

/// How long helm took.
pub(super) struct Floor {
    /// The six services, on databases that are there and filled.
    pub(super) services: Duration,
    /// PostgreSQL and RabbitMQ, empty.
    pub(super) stores: Duration,
}

/// Measures it on a Shop that is ready. The Shop is no longer whole afterwards.
pub(super) async fn measure(client: &Client, namespace: &str, shop: &str) -> anyhow::Result<Floor> {
    pause(client, namespace, shop).await?;
    let (stores, services): (Vec<_>, Vec<_>) = objects(client, namespace, shop)
        .await?
        .into_iter()
        .partition(Live::is_of_a_store);
    ensure!(
        !stores.is_empty() && !services.is_empty(),
        "{namespace} has {} objects of data stores and {} of services",
        stores.len(),
        services.len()
    );
    let of_a_store = format!("{} in ({}, {})", names::PART, names::POSTGRES, names::RABBITMQ);
    let of_a_service = format!("{} notin ({}, {})", names::PART, names::POSTGRES, names::RABBITMQ);

    remove(client, namespace, &services, &of_a_service).await?;
    let took_services = install("services", namespace, &services).await?;
    let uninstall = ["uninstall", "services", "--namespace", namespace];
    helm(&[&uninstall[..], &["--wait", "--timeout", HELM_TIMEOUT]].concat()).await?;
    cluster::until_gone::<Pod>(client, namespace, &of_a_service, ENDING).await?;

    remove(client, namespace, &stores, &of_a_store).await?;
    let volumes: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), namespace);
    let all = ListParams::default();
    volumes.delete_collection(&DeleteParams::default(), &all).await?;
    cluster::until_gone::<PersistentVolumeClaim>(client, namespace, "", ENDING).await?;
    Ok(Floor {
        services: took_services,
        stores: install("stores", namespace, &stores).await?,
    })
}

/// Has the operator leave the Shop alone.
async fn pause(client: &Client, namespace: &str, shop: &str) -> anyhow::Result<()> {
    let shops: Api<Shop> = Api::namespaced(client.clone(), namespace);
    let patch = Patch::Merge(json!({ "spec": { "paused": true } }));
    shops.patch(shop, &PatchParams::default(), &patch).await?;
    cluster::until_nothing_is_missing(PAUSING, || async {
        let shop = shops.get(shop).await?;
        let seen = shop.status.as_ref().and_then(|status| status.observed_generation);
        let is_paused = seen == shop.metadata.generation;
        Ok((!is_paused).then(|| "the operator has not seen that the Shop is paused".to_owned()))
    })
    .await
}

/// An object of the Shop as the API server has it.
struct Live {
    resource: ApiResource,
    object: DynamicObject,
}

impl Live {
    fn is_of_a_store(&self) -> bool {
        let part = self.object.labels().get(names::PART).map(String::as_str);
        part == Some(names::POSTGRES) || part == Some(names::RABBITMQ)
    }
}

/// All that the Shop's pods need but the Secrets, which stay where they are: with them the databases are the same.
async fn objects(client: &Client, namespace: &str, shop: &str) -> anyhow::Result<Vec<Live>> {
    let kinds = [
        ApiResource::erase::<ServiceAccount>(&()),
        ApiResource::erase::<NetworkPolicy>(&()),
        ApiResource::erase::<Service>(&()),
        ApiResource::erase::<PodDisruptionBudget>(&()),
        ApiResource::erase::<HorizontalPodAutoscaler>(&()),
        ApiResource::erase::<Ingress>(&()),
        ApiResource::erase::<StatefulSet>(&()),
        ApiResource::erase::<Deployment>(&()),
    ];
    let of_the_shop = ListParams::default().labels(&format!("{}={shop}", names::INSTANCE));
    let mut found = Vec::new();
    for resource in kinds {
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
        let objects = api.list(&of_the_shop).await?;
        found.extend(objects.into_iter().map(|object| Live {
            resource: resource.clone(),
            object,
        }));
    }
    Ok(found)
}

/// Deletes objects, and waits until their pods are gone.
async fn remove(client: &Client, namespace: &str, objects: &[Live], pods: &str) -> anyhow::Result<()> {
    for Live { resource, object } in objects {
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, resource);
        api.delete(&object.name_any(), &DeleteParams::background())
            .await?;
    }
    cluster::until_gone::<Pod>(client, namespace, pods, ENDING).await
}

/// Has helm install objects, and wait for them.
async fn install(release: &str, namespace: &str, objects: &[Live]) -> anyhow::Result<Duration> {
    let chart = tempfile::tempdir()?;
    let manifests: Vec<_> = objects
        .iter()
        .map(manifest)
        .map(|object| object.to_string())
        .collect();
    let manifests = manifests.join("\n---\n");
    ensure!(!manifests.contains("{{"), "helm would take {{{{ for its own");
    fs::write(
        chart.path().join("Chart.yaml"),
        "{apiVersion: v2, name: floor, version: 0.0.0}",
    )?;
    fs::create_dir(chart.path().join("templates"))?;
    fs::write(chart.path().join("templates/objects.yaml"), manifests)?;
    let chart = chart.path().to_string_lossy();
    let what = ["install", release, &chart, "--namespace", namespace];
    helm(&[&what[..], &["--wait", "--timeout", HELM_TIMEOUT]].concat()).await
}

/// What one would have written to get this object: nothing that the API server or a controller has added.
fn manifest(live: &Live) -> Value {
    let Live { resource, object } = live;
    let mut annotations = object.annotations().clone();
    annotations.retain(|key, _| !key.starts_with("deployment.kubernetes.io/"));
    let mut manifest = object.data.clone();
    if let Some(fields) = manifest.as_object_mut() {
        fields.remove("status");
    }
    if let Some(spec) = manifest.get_mut("spec") {
        strip(spec);
    }
    manifest["apiVersion"] = json!(resource.api_version);
    manifest["kind"] = json!(resource.kind);
    manifest["metadata"] = json!({
        "name": object.name_any(),
        "labels": object.labels(),
        "annotations": annotations,
    });
    manifest
}

fn strip(spec: &mut Value) {
    // A Service without an address of its own says so itself.
    let is_headless = spec.get("clusterIP").is_some_and(|address| address == "None");
    if let Some(fields) = spec.as_object_mut() {
        fields.remove("clusterIPs");
        if !is_headless {
            fields.remove("clusterIP");
        }
    }
    let claims = spec.get_mut("volumeClaimTemplates").and_then(Value::as_array_mut);
    for claim in claims.into_iter().flatten().filter_map(Value::as_object_mut) {
        claim.remove("status");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_has_what_somebody_wrote_and_no_more() {
        let object: DynamicObject = serde_json::from_value(json!({
            "metadata": {
                "name": "demo-api-gateway", "namespace": "shop", "uid": "u", "resourceVersion": "7", "generation": 1,
                "labels": { "app.kubernetes.io/name": "api-gateway" },
                "annotations": { "deployment.kubernetes.io/revision": "1", "kept": "yes" },
                "ownerReferences": [{ "apiVersion": "v1", "kind": "Shop", "name": "demo", "uid": "s" }],
                "managedFields": [{ "manager": "shop-operator" }],
            },
            "spec": { "clusterIP": "10.96.1.2", "clusterIPs": ["10.96.1.2"], "ports": [{ "port": 8080 }] },
            "status": { "loadBalancer": {} },
        }))
        .unwrap();
        let live = Live {
            resource: ApiResource::erase::<Service>(&()),
            object,
        };
        assert!(!live.is_of_a_store());
        let expected = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {
                "name": "demo-api-gateway",
                "labels": { "app.kubernetes.io/name": "api-gateway" },
                "annotations": { "kept": "yes" },
            },
            "spec": { "ports": [{ "port": 8080 }] },
        });
        assert_eq!(manifest(&live), expected);
    }

    #[test]
    fn a_headless_service_and_a_claim_keep_what_makes_them_so() {
        let mut spec = json!({
            "clusterIP": "None", "clusterIPs": ["None"],
            "volumeClaimTemplates": [{ "spec": { "accessModes": ["ReadWriteOnce"] }, "status": { "phase": "Pending" } }],
        });
        strip(&mut spec);
        let expected = json!({
            "clusterIP": "None",
            "volumeClaimTemplates": [{ "spec": { "accessModes": ["ReadWriteOnce"] } }],
        });
        assert_eq!(spec, expected);
    }
}
