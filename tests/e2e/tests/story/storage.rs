//! Where a Shop's data is.

use anyhow::{Context as _, ensure};
use e2e::kubernetes::{Namespace, kubectl};

use super::{DEMO, World, file, place_an_order};

const IS_DEFAULT: &str = "storageclass.kubernetes.io/is-default-class";

/// In a cluster without a default storage class a Shop works all the same, and says what that means. The demo, which has
/// its volumes, keeps them.
pub(crate) async fn without_a_class(world: &World) -> anyhow::Result<()> {
    let namespace = Namespace::create("ephemeral").await?;
    let class = default_class().await?;
    set_default(&class, false).await?;
    let told = told(&namespace).await;
    set_default(&class, true).await?;
    told?;
    world.namespace.ready(DEMO).await?;
    for store in ["DatabaseReady", "MessagingReady"] {
        let condition = world.namespace.condition(DEMO, store).await?;
        ensure!(condition.reason != "NotPersistent", "the demo: {condition:?}");
    }
    namespace.delete().await
}

async fn told(namespace: &Namespace) -> anyhow::Result<()> {
    namespace
        .kubectl(&["apply", "--filename", &file("deploy/examples/minimal.yaml")])
        .await?;
    namespace.ready(DEMO).await?;
    for (store, pod) in [
        ("DatabaseReady", "demo-postgres"),
        ("MessagingReady", "demo-rabbitmq"),
    ] {
        let condition = namespace.condition(DEMO, store).await?;
        ensure!(
            (condition.status.as_str(), condition.reason.as_str()) == ("True", "NotPersistent")
                && condition.message.contains(pod),
            "{condition:?}"
        );
    }
    let claims = namespace.names("persistentvolumeclaims").await?;
    ensure!(claims.is_empty(), "{claims:?}");
    let (_forward, shop) = namespace.shop(DEMO).await?;
    place_an_order(&shop).await?;
    Ok(())
}

async fn default_class() -> anyhow::Result<String> {
    let template = format!(
        "jsonpath={{.items[?(@.metadata.annotations.{}==\"true\")].metadata.name}}",
        IS_DEFAULT.replace('.', "\\.")
    );
    let names = kubectl(["get", "storageclasses", "--output", &template]).await?;
    let name = names.split(' ').find(|name| !name.is_empty());
    Ok(name
        .context("the cluster has no default storage class")?
        .to_owned())
}

async fn set_default(class: &str, default: bool) -> anyhow::Result<()> {
    let annotation = format!("{IS_DEFAULT}={default}");
    kubectl(["annotate", "--overwrite", "storageclass", class, &annotation]).await?;
    Ok(())
}
