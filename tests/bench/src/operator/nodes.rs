//! Nodes that are none: kwok says of them, and of the pods on them, what a kubelet would.

use std::time::Duration;

use anyhow::Context as _;
use k8s_openapi::api::core::v1::Node;
use kube::{
    Api, Client, ResourceExt as _,
    api::{ListParams, PostParams},
};
use serde_json::json;

use super::cluster;

/// By this label kwok knows its nodes: `kwok.yaml`.
const SIMULATED: &str = "shop-operator.io/simulated";
/// As many as large nodes have.
const PODS: usize = 500;
/// How long kwok may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// Makes as many simulated nodes as so many pods need, and leaves no other for them. Returns how many there are.
pub(super) async fn simulate(client: &Client, pods: usize) -> anyhow::Result<usize> {
    let nodes: Api<Node> = Api::all(client.clone());
    for node in nodes.list(&ListParams::default()).await? {
        if !node.labels().contains_key(SIMULATED) {
            nodes.cordon(&node.name_any()).await?;
        }
    }
    let count = pods.div_ceil(PODS);
    for number in 0..count {
        let name = format!("simulated-{number}");
        let room = json!({ "cpu": "1000", "memory": "4Ti", "pods": PODS.to_string() });
        let node: Node = serde_json::from_value(json!({
            "metadata": {
                "name": name,
                "labels": { SIMULATED: "true", "kubernetes.io/hostname": name, "kubernetes.io/os": "linux" },
            },
            "status": { "allocatable": room, "capacity": room },
        }))?;
        let created = nodes.create(&PostParams::default(), &node).await;
        created.with_context(|| format!("the node {name}"))?;
    }
    let simulated = ListParams::default().labels(SIMULATED);
    let waiting = cluster::until_nothing_is_missing(PATIENCE, || async {
        let nodes = nodes.list(&simulated).await?;
        let ready = nodes.iter().filter(|node| is_ready(node)).count();
        Ok((ready < count).then(|| format!("{ready} of {count} simulated nodes were ready")))
    });
    waiting
        .await
        .context("kwok does not play its nodes: does it run?")?;
    Ok(count)
}

fn is_ready(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    let mut conditions = conditions.into_iter().flatten();
    let is_ready = conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True");
    // Its taint goes a moment later.
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_ref());
    is_ready && taints.is_none_or(Vec::is_empty)
}
