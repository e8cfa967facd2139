//! The operator's own life.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use e2e::{
    kubernetes::{Namespace, helm, kubectl},
    wait_until,
};

use super::{DEMO, OPERATOR, World, file};

const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(20);

/// Two replicas; the one that works is killed, and the other one repairs what breaks.
pub(crate) async fn leader(world: &World) -> anyhow::Result<()> {
    scale(2).await?;
    let leader = holder().await?;
    kubectl([
        "--namespace",
        OPERATOR,
        "delete",
        "pod",
        &leader,
        "--grace-period=0",
        "--force",
        "--wait=false",
    ])
    .await?;
    let killed = Instant::now();
    wait_until("another one leads", holder, |holder| {
        !holder.is_empty() && *holder != leader
    })
    .await?;
    let took = killed.elapsed();
    // What is promised is a time here, and not a speed: it is the length of the lease.
    ensure!(took < TAKEN_OVER_WITHIN, "it took {took:?}");
    world
        .namespace
        .kubectl(&["delete", "service", "demo-user-service"])
        .await?;
    let there = || async { Ok(world.namespace.get("service/demo-user-service").await.is_ok()) };
    wait_until("the Service is there again", there, |there| *there).await?;
    scale(1).await
}

/// It is killed at moments of a new Shop's making that are different each time; the Shop gets there, with one identity.
pub(crate) async fn killed(world: &World) -> anyhow::Result<()> {
    let namespace = Namespace::create("interrupted").await?;
    namespace
        .kubectl(&["apply", "--filename", &file("deploy/examples/minimal.yaml")])
        .await?;
    let mut identities = std::collections::BTreeSet::new();
    for pause in [200, 500, 900, 1500, 2500, 4000] {
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let selector = "--selector=app.kubernetes.io/name=shop-operator";
        kubectl([
            "--namespace",
            OPERATOR,
            "delete",
            "pod",
            selector,
            "--grace-period=0",
            "--force",
        ])
        .await?;
        if let Ok(identity) = namespace.secret("demo-identity", "identity").await {
            identities.insert(identity);
        }
    }
    kubectl([
        "--namespace",
        OPERATOR,
        "rollout",
        "status",
        "deployment/shop-operator",
        "--timeout=120s",
    ])
    .await?;
    namespace.ready(DEMO).await?;
    identities.insert(namespace.secret("demo-identity", "identity").await?);
    ensure!(identities.len() == 1, "its identity changed: {identities:?}");
    let databases = "select count(*) from pg_database where datname like 'demo-%'";
    ensure!(
        namespace.sql(DEMO, "postgres", databases).await? == "3",
        "more than its three databases"
    );
    let (_forward, shop) = namespace.shop(DEMO).await?;
    super::place_an_order(&shop).await?;
    world.namespace.ready(DEMO).await?;
    namespace.delete().await
}

async fn scale(replicas: u8) -> anyhow::Result<()> {
    let (chart, set) = (file("charts/shop-operator"), format!("replicas={replicas}"));
    let upgrade = [
        "upgrade",
        "shop-operator",
        &chart,
        "--namespace",
        OPERATOR,
        "--reuse-values",
    ];
    helm([&upgrade[..], &["--set", &set, "--wait", "--timeout", "120s"]].concat()).await?;
    Ok(())
}

/// The pod that has the Lease.
async fn holder() -> anyhow::Result<String> {
    let lease = [
        "--namespace",
        OPERATOR,
        "get",
        "lease",
        "shop-operator",
        "--output",
        "jsonpath={.spec.holderIdentity}",
    ];
    kubectl(lease).await.context("there is no Lease")
}
