//! What a Shop tells about itself.

use std::net::{IpAddr, SocketAddr};

use anyhow::Context as _;
use e2e::{one_order_is_one_trace, otlp::Receiver};

use super::{DEMO, World, place_an_order};

/// The address of this machine as pods see it: `tests/cluster/up` prints it.
const MACHINE: &str = "CLUSTER_MACHINE_ADDRESS";

/// `spec.telemetry` leads to a collector, here one on this machine, and an order is one trace through all pods.
pub(crate) async fn trace(world: &World) -> anyhow::Result<()> {
    let machine = std::env::var(MACHINE).with_context(|| format!("{MACHINE} is not set"))?;
    let machine: IpAddr = machine.parse().with_context(|| format!("{MACHINE}={machine}"))?;
    let receiver = Receiver::listen(SocketAddr::from((machine, 0))).await?;
    export(world, &format!("{:?}", receiver.endpoint())).await?;
    let (_forward, shop) = world.demo().await?;
    let order = place_an_order(&shop).await?.order;
    one_order_is_one_trace(&receiver, &order).await?;
    export(world, "null").await
}

/// Sends the demo's telemetry there, a value of JSON.
async fn export(world: &World, endpoint: &str) -> anyhow::Result<()> {
    world
        .patch(&format!(
            r#"{{"spec":{{"telemetry":{{"otlpEndpoint":{endpoint}}}}}}}"#
        ))
        .await?;
    world.namespace.ready(DEMO).await?;
    world.namespace.no_pod_is_ending(DEMO).await
}
