//! How soon a change of a Shop's spec is in its objects.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use futures::TryStreamExt as _;
use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Api, Client, ResourceExt as _,
    api::{Patch, PatchParams},
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event},
    },
};
use serde_json::json;
use shop_operator::{crd::Shop, names, watch::SELECTOR};
use tokio::{
    sync::oneshot,
    time::{MissedTickBehavior, interval},
};

use super::SERVICES;
use crate::latency::Latencies;

/// What is changed: it is in the environment of every service.
const FIELD: &str = "RUST_LOG";
const VALUE: &str = "debug";
/// How long a change may take.
const PATIENCE: Duration = Duration::from_mins(2);
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// How long changes took.
pub(super) struct Changes {
    pub(super) latencies: Latencies,
    /// The Shop of the one that took longest.
    pub(super) slowest: String,
}

/// When each Deployment first had the new value, by the Shop's namespace and name.
type Seen = Arc<Mutex<HashMap<(String, String), HashMap<String, Instant>>>>;

/// Changes `spec.telemetry.logLevel` of one Shop after the other, one each `pace`. The time of each is from the API server's
/// answer until a watch has shown all six Deployments changed.
pub(super) async fn measure(
    client: &Client,
    shops: &[(String, String)],
    pace: Duration,
) -> anyhow::Result<Changes> {
    let seen = Seen::default();
    let (listed, has_listed) = oneshot::channel();
    let watching = tokio::spawn(watch(client.clone(), Arc::clone(&seen), listed));
    let has_listed = tokio::time::timeout(PATIENCE, has_listed).await;
    has_listed.context("the API server does not list the Deployments")??;

    let mut answered = Vec::with_capacity(shops.len());
    let mut ticks = interval(pace);
    // A change that takes long makes those after it no denser.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let patch = Patch::Merge(json!({ "spec": { "telemetry": { "logLevel": VALUE } } }));
    for shop in shops {
        ticks.tick().await;
        let (namespace, name) = shop;
        let api: Api<Shop> = Api::namespaced(client.clone(), namespace);
        let patched = api.patch(name, &PatchParams::default(), &patch).await;
        patched.with_context(|| format!("the Shop {namespace}/{name}"))?;
        answered.push((shop, Instant::now()));
    }
    let last = Instant::now();
    let mut latencies = Latencies::default();
    let mut slowest = (Duration::ZERO, String::new());
    for (shop, answered) in answered {
        let applied = loop {
            if let Some(applied) = all_changed(&seen, shop) {
                break applied;
            }
            if watching.is_finished() {
                watching.await??;
                bail!("the watch of the Deployments ended");
            }
            if last.elapsed() >= PATIENCE {
                let changed = lock(&seen).get(shop).map_or(0, HashMap::len);
                bail!(
                    "{} after the last change {changed} of {SERVICES} Deployments of {}/{} have {FIELD}={VALUE}",
                    humantime::format_duration(PATIENCE),
                    shop.0,
                    shop.1
                );
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        };
        // The watch may be quicker than the answer.
        let took = applied.saturating_duration_since(answered);
        latencies.add(took);
        if took >= slowest.0 {
            slowest = (took, format!("{}/{}", shop.0, shop.1));
        }
    }
    watching.abort();
    Ok(Changes {
        latencies,
        slowest: slowest.1,
    })
}

async fn watch(client: Client, seen: Seen, listed: oneshot::Sender<()>) -> anyhow::Result<()> {
    let deployments: Api<Deployment> = Api::all(client);
    let events = watcher::watcher(deployments, watcher::Config::default().labels(SELECTOR)).default_backoff();
    let mut events = pin!(events);
    let mut listed = Some(listed);
    while let Some(event) = events.try_next().await? {
        let now = Instant::now();
        match event {
            Event::Apply(deployment) | Event::InitApply(deployment) if has_changed(&deployment) => {
                let shop = deployment.labels().get(names::INSTANCE).cloned();
                let key = (
                    deployment.namespace().unwrap_or_default(),
                    shop.unwrap_or_default(),
                );
                let mut seen = lock(&seen);
                let of_shop = seen.entry(key).or_default();
                of_shop.entry(deployment.name_any()).or_insert(now);
            }
            Event::InitDone => {
                if let Some(listed) = listed.take() {
                    // Whoever waited for it has given up by itself.
                    let _ = listed.send(());
                }
            }
            _ => {}
        }
    }
    bail!("the API server ends every watch")
}

fn has_changed(deployment: &Deployment) -> bool {
    let pod = deployment.spec.template.spec.as_ref();
    let containers = pod.into_iter().flat_map(|pod| &pod.containers);
    let mut variables = containers.flat_map(|container| container.env.iter().flatten());
    variables.any(|variable| variable.name == FIELD && variable.value.as_deref() == Some(VALUE))
}

/// When the last of a Shop's Deployments changed.
fn all_changed(seen: &Seen, shop: &(String, String)) -> Option<Instant> {
    let seen = lock(seen);
    let of_shop = seen.get(shop).filter(|of_shop| of_shop.len() == SERVICES)?;
    of_shop.values().max().copied()
}

fn lock(seen: &Seen) -> std::sync::MutexGuard<'_, HashMap<(String, String), HashMap<String, Instant>>> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
