//! What costs nothing when nothing changes.

use std::{collections::BTreeMap, time::Duration};

use anyhow::ensure;
use e2e::kubernetes::kubectl;

use super::World;

/// Longer than two looks at the back ends.
const WATCHED: Duration = Duration::from_secs(25);

/// The API server counts every request. Of those that write, none is about what a Shop is or is made of; that nobody else
/// writes these either shows that the count would show it: a change is made in the end.
pub(crate) async fn no_write(world: &World) -> anyhow::Result<()> {
    let before = writes().await?;
    tokio::time::sleep(WATCHED).await;
    let after = writes().await?;
    ensure!(
        before == after,
        "something was written: before {before:?}, after {after:?}"
    );
    world
        .namespace
        .kubectl(&["annotate", "shop", "demo", "test/nothing=1"])
        .await?;
    ensure!(
        writes().await? != after,
        "a change to the Shop is not seen in the counters"
    );
    Ok(())
}

/// How many requests that write there were, by resource: `apiserver_request_total`.
async fn writes() -> anyhow::Result<BTreeMap<String, f64>> {
    const OWN: [&str; 10] = [
        "shops",
        "secrets",
        "serviceaccounts",
        "services",
        "deployments",
        "statefulsets",
        "networkpolicies",
        "poddisruptionbudgets",
        "horizontalpodautoscalers",
        "ingresses",
    ];
    const WRITING: [&str; 5] = ["POST", "PUT", "PATCH", "APPLY", "DELETE"];
    let metrics = kubectl(["get", "--raw", "/metrics"]).await?;
    let mut writes = BTreeMap::new();
    for line in metrics
        .lines()
        .filter(|line| line.starts_with("apiserver_request_total{"))
    {
        let label = |name: &str| {
            let value = line.split_once(&format!("{name}=\""))?.1;
            Some(value.split_once('"')?.0)
        };
        let (Some(resource), Some(verb)) = (label("resource"), label("verb")) else {
            continue;
        };
        if OWN.contains(&resource) && WRITING.contains(&verb) {
            let count: f64 = line.rsplit(' ').next().unwrap_or_default().parse()?;
            *writes.entry(format!("{verb} {resource}")).or_insert(0.0) += count;
        }
    }
    Ok(writes)
}
