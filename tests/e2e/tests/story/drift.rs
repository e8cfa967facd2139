//! What others change is changed back.

use anyhow::ensure;
use e2e::wait_until;

use super::{DEMO, World, place_an_order};

/// By the watch, at once.
pub(crate) async fn in_kubernetes(world: &World) -> anyhow::Result<()> {
    let namespace = &world.namespace;
    let generation = namespace.get("shop/demo").await?["metadata"]["generation"].clone();
    let uid = namespace.get("deployment/demo-order-service").await?["metadata"]["uid"].clone();
    let gone = [
        "deployment/demo-order-service",
        "networkpolicy/demo-order-service",
        "secret/demo-order-service-credentials",
    ];
    let password = namespace
        .secret("demo-order-service-credentials", "password")
        .await?;
    namespace
        .kubectl(&[&["delete", "--wait=false"], &gone[..]].concat())
        .await?;
    let edit = r#"{"spec":{"ports":[{"name":"http","port":8081}]}}"#;
    namespace
        .kubectl(&[
            "patch",
            "service",
            "demo-api-gateway",
            "--type=merge",
            "--patch",
            edit,
        ])
        .await?;
    for what in gone {
        let again = || async {
            Ok(namespace
                .get(what)
                .await
                .is_ok_and(|found| found["metadata"]["uid"] != uid))
        };
        wait_until(&format!("{what} is there again"), again, |there| *there).await?;
    }
    let get = [
        "get",
        "service",
        "demo-api-gateway",
        "--output",
        "jsonpath={.spec.ports[*].port}",
    ];
    let read = || namespace.kubectl(&get);
    wait_until("its port is 8080 alone", read, |ports| ports == "8080").await?;
    ensure!(
        password
            != namespace
                .secret("demo-order-service-credentials", "password")
                .await?,
        "a Secret that was deleted came back with the password that somebody may have wanted gone"
    );
    ensure!(
        namespace.get("shop/demo").await?["metadata"]["generation"] == generation,
        "the spec was written"
    );
    namespace.ready(DEMO).await?;
    let (_forward, shop) = world.demo().await?;
    place_an_order(&shop).await?;
    Ok(())
}

/// By looking, since nobody tells.
pub(crate) async fn in_back_ends(world: &World) -> anyhow::Result<()> {
    let namespace = &world.namespace;
    let vhost = rabbitmq(world, &["list_vhosts", "--silent", "--no-table-headers"]).await?;
    let vhost = vhost
        .lines()
        .find(|name| name.starts_with("demo-"))
        .unwrap_or_default()
        .to_owned();
    let queues = [
        "list_queues",
        "--vhost",
        &vhost,
        "--silent",
        "--no-table-headers",
        "name",
    ];
    ensure!(
        rabbitmq(world, &queues)
            .await?
            .contains("consumer-service.orders"),
        "no queue in {vhost}"
    );
    rabbitmq(
        world,
        &["delete_queue", "--vhost", &vhost, "consumer-service.orders"],
    )
    .await?;
    let roles =
        "select string_agg(rolname, ' ') from pg_roles where rolname like 'demo-orders-%' and rolcanlogin";
    let role = namespace.sql(DEMO, "postgres", roles).await?;
    namespace
        .sql(
            DEMO,
            "postgres",
            &format!("alter role \"{role}\" password 'stolen'"),
        )
        .await?;
    namespace
        .sql(DEMO, "postgres", &format!("alter role \"{role}\" nologin"))
        .await?;

    let there = || rabbitmq(world, &queues);
    wait_until("the queue is there again", there, |names| {
        names.lines().any(|name| name == "consumer-service.orders")
    })
    .await?;
    let login = || namespace.sql(DEMO, "postgres", roles);
    wait_until("the role may log in again", login, |found| *found == role).await?;
    let (_forward, shop) = world.demo().await?;
    place_an_order(&shop).await?;
    Ok(())
}

async fn rabbitmq(world: &World, arguments: &[&str]) -> anyhow::Result<String> {
    let exec = ["exec", "demo-rabbitmq-0", "--", "rabbitmqctl"];
    world.namespace.kubectl(&[&exec[..], arguments].concat()).await
}
