//! As docs/how-to/kubernetes.md says it.

use anyhow::ensure;
use e2e::kubernetes::{helm, kubectl};

use super::{DEMO, OPERATOR, PROGRAMS, World, file, place_an_order};

/// Helm installs the operator, looking at back ends more often than it does by default.
pub(crate) async fn operator(_: &World) -> anyhow::Result<()> {
    let chart = file("charts/shop-operator");
    let install = [
        "install",
        "shop-operator",
        &chart,
        "--namespace",
        OPERATOR,
        "--create-namespace",
    ];
    let often = [
        "--set",
        "env[0].name=RESYNC_INTERVAL",
        "--set",
        "env[0].value=10s",
    ];
    let wait = ["--wait", "--timeout", "120s"];
    let notes = helm([&install[..], &often[..], &wait[..]].concat()).await?;
    ensure!(
        notes.contains("kind: Shop"),
        "the notes do not say how to go on: {notes}"
    );
    Ok(())
}

/// `spec: {}` and nothing else.
pub(crate) async fn shop(world: &World) -> anyhow::Result<()> {
    let namespace = &world.namespace;
    namespace
        .kubectl(&["apply", "--filename", &file("deploy/examples/minimal.yaml")])
        .await?;
    namespace.ready(DEMO).await?;
    let shown = namespace.kubectl(&["get", "shop", DEMO, "--no-headers"]).await?;
    let columns: Vec<_> = shown.split_whitespace().collect();
    let url = format!("http://{DEMO}-api-gateway.{}.svc:8080", namespace.name());
    ensure!(
        columns[..5] == [DEMO, "True", "Ready", &url, env!("CARGO_PKG_VERSION")],
        "kubectl get shop shows {shown}"
    );
    let status = namespace.get("shop/demo").await?["status"].clone();
    for kind in ["DatabaseReady", "MessagingReady", "ServicesReady"] {
        let condition = namespace.condition(DEMO, kind).await?;
        ensure!(condition.status == "True", "{kind}: {condition:?}");
    }
    ensure!(status["deadLetters"] == 0, "{status}");
    for program in PROGRAMS {
        let service = &status["services"][program];
        ensure!(
            service["ready"] == 1 && service["desired"] == 1,
            "{program}: {status}"
        );
    }
    let events = namespace
        .kubectl(&[
            "get",
            "events.events.k8s.io",
            "--output",
            "jsonpath={.items[*].reason}",
        ])
        .await?;
    ensure!(
        events.contains("Provisioned") && events.contains("Ready"),
        "Events: {events}"
    );
    Ok(())
}

/// The event flow, and what an operator of the shop can see of it.
pub(crate) async fn order(world: &World) -> anyhow::Result<()> {
    let (_forward, shop) = world.demo().await?;
    place_an_order(&shop).await?;
    let logs = kubectl([
        "--namespace",
        OPERATOR,
        "logs",
        "--selector=app.kubernetes.io/name=shop-operator",
        "--tail=-1",
    ])
    .await?;
    let password = world
        .namespace
        .secret("demo-order-service-credentials", "password")
        .await?;
    ensure!(!logs.contains(&password), "a password is in the operator's log");
    Ok(())
}
