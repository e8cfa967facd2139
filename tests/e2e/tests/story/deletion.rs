//! What is left in the end.

use anyhow::ensure;
use e2e::{
    kubernetes::{Namespace, helm, kubectl},
    wait_until,
};

use super::{DEMO, OPERATOR, World, file, neighbours::nothing_of, place_an_order};

/// `deletionPolicy: Retain`, which is the default: volumes and credentials stay, and a Shop of the name finds them again.
pub(crate) async fn retain(world: &World) -> anyhow::Result<()> {
    let namespace = &world.namespace;
    let (forward, shop) = world.demo().await?;
    let product = place_an_order(&shop).await?.product;
    drop(forward);
    namespace
        .kubectl(&["delete", "shop", DEMO, "--timeout=60s"])
        .await?;
    let kinds = "all,configmaps,serviceaccounts,networkpolicies,poddisruptionbudgets";
    let selector = "--selector=app.kubernetes.io/instance=demo";
    let get = ["get", kinds, selector, "--output", "name"];
    let left = || namespace.kubectl(&get);
    wait_until("only what is retained is left", left, String::is_empty).await?;
    // Certificates go with the Shop, credentials stay.
    let get = ["get", "secrets", selector, "--output", "name"];
    let left = || namespace.kubectl(&get);
    wait_until("only credentials are left", left, |secrets| {
        secrets.lines().count() == 10
    })
    .await?;
    let claims = namespace.names("persistentvolumeclaims").await?;
    ensure!(claims.len() == 2, "{claims:?}");

    namespace
        .kubectl(&["apply", "--filename", &file("deploy/examples/minimal.yaml")])
        .await?;
    namespace.ready(DEMO).await?;
    let (_forward, shop) = world.demo().await?;
    let admin = shop.admin().await?;
    ensure!(
        admin.stock_of(&product).await? == 7,
        "the stock is not what it was"
    );
    place_an_order(&shop).await?;
    Ok(())
}

/// The chart of a Shop: install, upgrade, rollback, uninstall with all its data.
pub(crate) async fn release(_: &World) -> anyhow::Result<()> {
    let namespace = Namespace::create("released").await?;
    let chart = file("charts/shop");
    let release = ["release", &chart, "--namespace", namespace.name()];
    let notes = helm([&["install"], &release[..], &["--set", "deletionPolicy=Delete"]].concat()).await?;
    ensure!(
        notes.contains("kubectl --namespace released wait shop/release"),
        "{notes}"
    );
    namespace.ready("release").await?;
    let (forward, shop) = namespace.shop("release").await?;
    place_an_order(&shop).await?;
    drop(forward);
    let replicas = || async {
        let consumer = namespace.get("deployment/release-consumer-service").await?;
        Ok(consumer["spec"]["replicas"].as_i64())
    };
    helm(
        [
            &["upgrade"],
            &release[..],
            &["--reuse-values", "--set", "services.consumer.replicas=2"],
        ]
        .concat(),
    )
    .await?;
    wait_until("the upgrade is there", replicas, |replicas| *replicas == Some(2)).await?;
    namespace.ready("release").await?;
    helm(["rollback", "release", "1", "--namespace", namespace.name()]).await?;
    wait_until("the rollback is there", replicas, |replicas| *replicas == Some(1)).await?;
    namespace.ready("release").await?;
    helm(["uninstall", "release", "--namespace", namespace.name()]).await?;
    nothing_of(&namespace, "release").await?;
    namespace.delete().await
}

/// The definition of the resource stays, and so the Shops.
pub(crate) async fn operator(world: &World) -> anyhow::Result<()> {
    helm(["uninstall", "shop-operator", "--namespace", OPERATOR, "--wait"]).await?;
    kubectl(["get", "customresourcedefinition", "shops.shop-operator.io"]).await?;
    let (_forward, shop) = world.demo().await?;
    place_an_order(&shop).await?;
    world
        .namespace
        .kubectl(&["delete", "shop", DEMO, "--timeout=60s"])
        .await?;
    kubectl(["delete", "namespace", OPERATOR, "--timeout=120s"]).await?;
    world.namespace.clone().delete().await
}
