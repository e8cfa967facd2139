//! The operator's own chart.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::Client;

use super::cluster::{HELM_TIMEOUT, file, helm, until_gone};

/// The release, and what the chart calls the Lease and the account after it.
pub(super) const NAME: &str = "shop-operator";
/// Where it is installed.
pub(super) const NAMESPACE: &str = "shop-system";
/// How long a pod may take to end.
const ENDING: Duration = Duration::from_mins(1);

/// Has helm install the operator, its definition of a Shop and its rights, with so many pods.
pub(super) async fn install(client: &Client, replicas: u8) -> anyhow::Result<()> {
    let chart = file("charts/shop-operator");
    let replicas_are = format!("replicas={replicas}");
    let release = [
        "upgrade",
        "--install",
        NAME,
        &chart,
        "--namespace",
        NAMESPACE,
        "--create-namespace",
    ];
    let how = ["--set", &replicas_are, "--wait", "--timeout", HELM_TIMEOUT];
    helm(&[&release[..], &how[..]].concat()).await?;
    if replicas == 0 {
        let pods = format!("app.kubernetes.io/name={NAME}");
        until_gone::<Pod>(client, NAMESPACE, &pods, ENDING).await?;
    }
    Ok(())
}
