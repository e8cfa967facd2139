//! What a spec can be changed to.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::wait_until;
use serde_json::Value;

use super::{DEMO, PROGRAMS, World, traffic::Traffic};

/// By the scale subresource, and back.
pub(crate) async fn scale(world: &World) -> anyhow::Result<()> {
    let namespace = &world.namespace;
    namespace
        .kubectl(&["scale", "shop", DEMO, "--replicas=2"])
        .await?;
    namespace.ready(DEMO).await?;
    let shop = namespace.get("shop/demo").await?;
    ensure!(
        shop["status"]["services"]["api-gateway"]["ready"] == 2,
        "{}",
        shop["status"]
    );
    let selector = shop["status"]["gatewaySelector"]
        .as_str()
        .context("no selector")?;
    let pods = [
        "get",
        "pods",
        "--selector",
        selector,
        "--field-selector=status.phase=Running",
        "--output=name",
    ];
    let pods = namespace.kubectl(&pods).await?;
    ensure!(pods.lines().count() == 2, "{pods}");
    namespace
        .kubectl(&["scale", "shop", DEMO, "--replicas=1"])
        .await?;
    namespace.ready(DEMO).await
}

/// The first service can't start; all the others go on with the version that they have, and the shop with them.
pub(crate) async fn missing_version(world: &World) -> anyhow::Result<()> {
    let namespace = &world.namespace;
    let before = images(world).await?;
    world.patch(r#"{"spec":{"version":"0.0.0-missing"}}"#).await?;
    let ready = || namespace.condition(DEMO, "Ready");
    let ready = wait_until("the Shop says why", ready, |ready| ready.reason.contains("Image")).await?;
    ensure!(ready.message.contains("demo-producer-service-"), "{ready:?}");
    let now = images(world).await?;
    ensure!(now[0].ends_with("producer-service:0.0.0-missing"), "{now:?}");
    ensure!(
        now[1..] == before[1..],
        "more than the first service changed: {now:?}"
    );
    let status = namespace.get("shop/demo").await?["status"].clone();
    ensure!(status["version"] == env!("CARGO_PKG_VERSION"), "{status}");
    let (_forward, shop) = world.demo().await?;
    super::place_an_order(&shop).await?;

    world.patch(r#"{"spec":{"version":null}}"#).await?;
    namespace.ready(DEMO).await?;
    ensure!(images(world).await? == before, "not what there was before");
    Ok(())
}

/// Another tag of the same images: each service after those that it calls, while customers go on buying.
pub(crate) async fn version(world: &World) -> anyhow::Result<()> {
    let namespace = &world.namespace;
    let Ok(next) = std::env::var("SHOP_NEXT_VERSION") else {
        anyhow::bail!("SHOP_NEXT_VERSION names no second tag of the images: see tests/run");
    };
    namespace
        .kubectl(&["scale", "shop", DEMO, "--replicas=2"])
        .await?;
    namespace.ready(DEMO).await?;
    let started = |world: &World| {
        let namespace = world.namespace.clone();
        async move {
            let read = "jsonpath={range .items[*]}{.metadata.creationTimestamp}{' '}{.spec.template.spec.containers[0].image}{'\\n'}{end}";
            namespace
                .kubectl(&[
                    "get",
                    "replicasets",
                    "--sort-by=.metadata.creationTimestamp",
                    "--output",
                    read,
                ])
                .await
        }
    };
    let traffic = Traffic::start(namespace, DEMO).await?;
    world
        .patch(&format!(r#"{{"spec":{{"version":"{next}"}}}}"#))
        .await?;
    namespace.ready(DEMO).await?;
    traffic.stop().await?;
    let sets = started(world).await?;
    let order: Vec<_> = sets
        .lines()
        .filter_map(|line| {
            Some(
                line.split_once(' ')?
                    .1
                    .strip_suffix(&format!(":{next}"))?
                    .rsplit('/')
                    .next()?
                    .to_owned(),
            )
        })
        .collect();
    ensure!(order == PROGRAMS, "they rolled in the order {order:?}");
    let status = namespace.get("shop/demo").await?["status"].clone();
    ensure!(status["version"] == next.as_str(), "{status}");
    let (_forward, shop) = world.demo().await?;
    super::place_an_order(&shop).await?;
    Ok(())
}

/// Each service gets a new login while it works, and the old ones are gone from the servers.
pub(crate) async fn credentials(world: &World) -> anyhow::Result<()> {
    let namespace = &world.namespace;
    let secret = "demo-inventory-service-credentials";
    let before = (
        namespace.secret(secret, "username").await?,
        namespace.secret(secret, "password").await?,
    );
    let traffic = Traffic::start(namespace, DEMO).await?;
    namespace
        .kubectl(&[
            "annotate",
            "shop",
            DEMO,
            "shop-operator.io/rotate-credentials=now",
        ])
        .await?;
    let names = || async {
        let secret = namespace.get(&format!("secret/{secret}")).await?;
        let keys = secret["data"].as_object().into_iter().flatten();
        let rotating = keys
            .clone()
            .any(|(key, _)| key.starts_with("next-") || key.starts_with("previous-"));
        Ok((
            rotating,
            namespace
                .secret("demo-inventory-service-credentials", "username")
                .await?,
        ))
    };
    let done = |(rotating, name): &(bool, String)| !rotating && *name != before.0;
    let (_, name) = wait_until(
        "the login is another one, and the old one is given up",
        names,
        done,
    )
    .await?;
    let roles =
        "select string_agg(rolname, ' ') from pg_roles where rolname like 'demo-inventory-%' and rolcanlogin";
    let left = || namespace.sql(DEMO, "postgres", roles);
    wait_until("the old role is dropped", left, |roles| *roles == name).await?;
    namespace.ready(DEMO).await?;
    traffic.stop().await?;
    ensure!(
        namespace.secret(secret, "password").await? != before.1,
        "the password is the old one"
    );
    let annotations = namespace.get("shop/demo").await?["metadata"]["annotations"].clone();
    ensure!(
        annotations.get("shop-operator.io/rotate-credentials").is_none(),
        "{annotations}"
    );
    let (_forward, shop) = world.demo().await?;
    super::place_an_order(&shop).await?;
    Ok(())
}

/// Nothing is repaired until it goes on.
pub(crate) async fn pause(world: &World) -> anyhow::Result<()> {
    let namespace = &world.namespace;
    world.patch(r#"{"spec":{"paused":true}}"#).await?;
    let ready = || namespace.condition(DEMO, "Ready");
    wait_until("the Shop says that it is paused", ready, |ready| {
        ready.reason == "Paused"
    })
    .await?;
    namespace
        .kubectl(&["delete", "service", "demo-user-service"])
        .await?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    ensure!(
        namespace.get("service/demo-user-service").await.is_err(),
        "a paused Shop was repaired"
    );
    world.patch(r#"{"spec":{"paused":false}}"#).await?;
    let there = || async { Ok(namespace.get("service/demo-user-service").await.is_ok()) };
    wait_until("the Service is there again", there, |there| *there).await?;
    namespace.ready(DEMO).await
}

/// Of the six services, in the order in which they roll.
async fn images(world: &World) -> anyhow::Result<Vec<String>> {
    let mut images = Vec::new();
    for program in PROGRAMS {
        let deployment: Value = world.namespace.get(&format!("deployment/demo-{program}")).await?;
        let image = &deployment["spec"]["template"]["spec"]["containers"][0]["image"];
        images.push(image.as_str().unwrap_or_default().to_owned());
    }
    Ok(images)
}
