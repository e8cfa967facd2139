//! The cluster as this program uses it: the API server, helm, namespaces, and waiting that has an end.

use std::{
    fmt,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use k8s_openapi::{
    NamespaceResourceScope, api::core::v1::Namespace, apimachinery::pkg::apis::meta::v1::Condition,
};
use kube::{
    Api, Client, Resource,
    api::{DeleteParams, ListParams, PostParams},
    core::PartialObjectMeta,
};
use serde::de::DeserializeOwned;
use serde_json::json;
use shop_operator::crd::Shop;
use tokio::process::Command;

/// How long helm itself waits, as it is told.
pub(super) const HELM_TIMEOUT: &str = "180s";
/// How long helm may take with what it does before and after.
const HELM: Duration = Duration::from_mins(4);
/// How long a namespace may take to go.
const NAMESPACE: Duration = Duration::from_mins(4);
/// How often something is looked for that no figure depends on.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// A client of the cluster that `KUBECONFIG` names.
pub(super) async fn connect() -> anyhow::Result<Client> {
    // rustls asks the process for its cryptography, since more than one is compiled in. It may have been installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::try_default().await.context("KUBECONFIG names a cluster")
}

/// A folder or file of the checkout that this program was built from.
pub(super) fn file(path: &str) -> String {
    format!("{}/../../{path}", env!("CARGO_MANIFEST_DIR"))
}

/// Runs helm, and tells how long it took.
pub(super) async fn helm(arguments: &[&str]) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let mut command = Command::new("helm");
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let shown = format!("helm {}", arguments.join(" "));
    let child = command.spawn().context("helm can't be started")?;
    let output = tokio::time::timeout(HELM, child.wait_with_output())
        .await
        .with_context(|| format!("{shown} hangs"))??;
    let took = began.elapsed();
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{shown}: {}", error.trim());
    Ok(took)
}

/// Makes a namespace in which pods have to keep to the restricted rules of Kubernetes.
pub(super) async fn create_namespace(client: &Client, name: &str) -> anyhow::Result<()> {
    let namespace: Namespace = serde_json::from_value(json!({
        "metadata": { "name": name, "labels": { "pod-security.kubernetes.io/enforce": "restricted" } }
    }))?;
    let created = Api::all(client.clone())
        .create(&PostParams::default(), &namespace)
        .await;
    created.with_context(|| format!("the namespace {name}"))?;
    Ok(())
}

/// Deletes a namespace and waits until it is gone with all that was in it.
pub(super) async fn delete_namespace(client: &Client, name: &str) -> anyhow::Result<()> {
    let api: Api<Namespace> = Api::all(client.clone());
    api.delete(name, &DeleteParams::background()).await?;
    until_nothing_is_missing(NAMESPACE, || async {
        let there = api.get_opt(name).await?;
        Ok(there.map(|_| format!("the namespace {name} was still there")))
    })
    .await
}

/// Waits until no object of a kind is left that a selector selects.
pub(super) async fn until_gone<K>(
    client: &Client,
    namespace: &str,
    selector: &str,
    patience: Duration,
) -> anyhow::Result<()>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + fmt::Debug + DeserializeOwned,
{
    let api: Api<PartialObjectMeta<K>> = Api::namespaced(client.clone(), namespace);
    let parameters = ListParams::default().labels(selector);
    until_nothing_is_missing(patience, || async {
        let left = api.list_metadata(&parameters).await?.items;
        let names: Vec<_> = left
            .into_iter()
            .filter_map(|object| object.metadata.name)
            .collect();
        let what = K::plural(&());
        Ok((!names.is_empty())
            .then(|| format!("there were still {what} in {namespace}: {}", names.join(", "))))
    })
    .await
}

/// Asks again and again until nothing is missing. The error tells what was missing in the end.
pub(super) async fn until_nothing_is_missing(
    patience: Duration,
    ask: impl AsyncFn() -> anyhow::Result<Option<String>>,
) -> anyhow::Result<()> {
    let mut missing = String::from("the API server had not answered");
    let waiting = async {
        while let Some(answer) = ask().await? {
            missing = answer;
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(())
    };
    match tokio::time::timeout(patience, waiting).await {
        Ok(ended) => ended,
        Err(_) => bail!("after {}: {missing}", humantime::format_duration(patience)),
    }
}

/// Whether a Shop is ready for its latest spec.
pub(super) fn is_ready(shop: &Shop) -> bool {
    let observed = shop.status.as_ref().and_then(|status| status.observed_generation);
    observed == shop.metadata.generation && ready(shop).is_some_and(|ready| ready.status == "True")
}

/// Why a Shop is not ready, as it says itself.
pub(super) fn why_not(shop: &Shop) -> String {
    ready(shop).map_or_else(
        || "it has no status: does an operator run?".to_owned(),
        |condition| format!("{}: {}", condition.reason, condition.message),
    )
}

fn ready(shop: &Shop) -> Option<&Condition> {
    let mut conditions = shop.status.iter().flat_map(|status| &status.conditions);
    conditions.find(|condition| condition.type_ == "Ready")
}
