//! A new Shop from its creation to Ready, as a watch sees it.

use std::{
    collections::BTreeMap,
    pin::pin,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use kube::{
    Api, Client, Resource, ResourceExt as _,
    api::PostParams,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event},
    },
};
use serde::{Serialize, de::DeserializeOwned};
use shop_operator::crd::{Shop, ShopSpec};

use super::{SERVICES, cluster};

/// PostgreSQL and RabbitMQ.
const STORES: usize = 2;
/// How long a Shop may take.
const PATIENCE: Duration = Duration::from_mins(5);

/// How long after its creation a Shop was how far, in seconds.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Timeline {
    /// Until the first data store was there.
    pub(super) stores_made: f64,
    /// Until both answered.
    pub(super) stores_ready: f64,
    /// Until the last of the services was there.
    pub(super) services_made: f64,
    /// Until all of them had their pods.
    pub(super) services_available: f64,
    /// Until the Shop said that it is ready.
    pub(super) ready: f64,
    /// Until each `StatefulSet` and Deployment had its pod.
    pub(super) parts: BTreeMap<String, f64>,
}

impl Timeline {
    /// What the data stores took by themselves.
    pub(super) fn stores(&self) -> f64 {
        self.stores_ready - self.stores_made
    }
}

/// Creates a Shop with an empty spec, and watches it until it is ready.
pub(super) async fn of_new_shop(client: &Client, namespace: &str, name: &str) -> anyhow::Result<Timeline> {
    let shops: Api<Shop> = Api::namespaced(client.clone(), namespace);
    let watched = stream::select_all([
        watch(shops.clone(), Seen::Shop).boxed(),
        watch(Api::namespaced(client.clone(), namespace), Seen::Store).boxed(),
        watch(Api::namespaced(client.clone(), namespace), Seen::Service).boxed(),
    ]);
    let mut watched = pin!(watched);
    let mut lists = 0;
    // Nothing is missed, and nothing is late because its watch has still to begin.
    while lists < 3 {
        let next = tokio::time::timeout(PATIENCE, watched.try_next()).await;
        if let Some(Seen::Listed) = next.context("the API server lists nothing")?? {
            lists += 1;
        }
    }
    let mut progress = Progress::begin();
    shops
        .create(&PostParams::default(), &Shop::new(name, ShopSpec::default()))
        .await?;
    let watching = async {
        while !progress.is_complete() {
            let seen = watched.try_next().await?.context("a watch ended")?;
            progress.note(seen);
        }
        anyhow::Ok(())
    };
    if let Ok(ended) = tokio::time::timeout(PATIENCE, watching).await {
        ended?;
        return progress.timeline().context("all of it has happened");
    }
    let shop = shops.get(name).await?;
    bail!(
        "after {} the Shop {namespace}/{name} is not ready: {}; {}",
        humantime::format_duration(PATIENCE),
        cluster::why_not(&shop),
        progress.missing()
    )
}

/// What a watch tells.
enum Seen {
    /// It has begun.
    Listed,
    Shop(Box<Shop>),
    Store(Box<StatefulSet>),
    Service(Box<Deployment>),
}

fn watch<K>(api: Api<K>, seen: fn(Box<K>) -> Seen) -> impl Stream<Item = Result<Seen, watcher::Error>> + Send
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    let events = watcher::watcher(api, watcher::Config::default()).default_backoff();
    events.try_filter_map(move |event| async move {
        Ok(match event {
            Event::Apply(object) | Event::InitApply(object) => Some(seen(Box::new(object))),
            Event::InitDone => Some(Seen::Listed),
            Event::Init | Event::Delete(_) => None,
        })
    })
}

/// What has happened so far, and when.
struct Progress {
    began: Instant,
    /// Those that are there, and since when they have their pod.
    stores: BTreeMap<String, Option<Duration>>,
    services: BTreeMap<String, Option<Duration>>,
    stores_made: Option<Duration>,
    stores_ready: Option<Duration>,
    services_made: Option<Duration>,
    services_available: Option<Duration>,
    ready: Option<Duration>,
}

impl Progress {
    fn begin() -> Self {
        Self {
            began: Instant::now(),
            stores: BTreeMap::new(),
            services: BTreeMap::new(),
            stores_made: None,
            stores_ready: None,
            services_made: None,
            services_available: None,
            ready: None,
        }
    }

    fn note(&mut self, seen: Seen) {
        let now = self.began.elapsed();
        match seen {
            Seen::Listed => {}
            Seen::Shop(shop) => {
                if cluster::is_ready(&shop) {
                    self.ready.get_or_insert(now);
                }
            }
            Seen::Store(set) => {
                let status = set.status.as_ref();
                let ready = status.and_then(|status| status.ready_replicas).unwrap_or(0);
                note(&mut self.stores, set.name_any(), ready, now);
                self.stores_made.get_or_insert(now);
                if are_all(&self.stores, STORES) {
                    self.stores_ready.get_or_insert(now);
                }
            }
            Seen::Service(deployment) => {
                let status = deployment.status.as_ref();
                let available = status.and_then(|status| status.available_replicas).unwrap_or(0);
                note(&mut self.services, deployment.name_any(), available, now);
                if self.services.len() == SERVICES {
                    self.services_made.get_or_insert(now);
                }
                if are_all(&self.services, SERVICES) {
                    self.services_available.get_or_insert(now);
                }
            }
        }
    }

    fn timeline(&self) -> Option<Timeline> {
        let all = self.stores.iter().chain(&self.services);
        let parts = all.map(|(name, since)| Some((name.clone(), (*since)?.as_secs_f64())));
        Some(Timeline {
            parts: parts.collect::<Option<_>>()?,
            stores_made: self.stores_made?.as_secs_f64(),
            stores_ready: self.stores_ready?.as_secs_f64(),
            services_made: self.services_made?.as_secs_f64(),
            services_available: self.services_available?.as_secs_f64(),
            ready: self.ready?.as_secs_f64(),
        })
    }

    fn is_complete(&self) -> bool {
        self.timeline().is_some()
    }

    /// Whose pods were not ready in the end.
    fn missing(&self) -> String {
        let all = self.stores.iter().chain(&self.services);
        let not_ready: Vec<_> = all
            .filter(|(_, since)| since.is_none())
            .map(|(name, _)| name.as_str())
            .collect();
        format!(
            "{} of {STORES} StatefulSets and {} of {SERVICES} Deployments are there, and without ready pods: {}",
            self.stores.len(),
            self.services.len(),
            if not_ready.is_empty() {
                "none".to_owned()
            } else {
                not_ready.join(", ")
            }
        )
    }
}

fn note(parts: &mut BTreeMap<String, Option<Duration>>, name: String, pods: i32, now: Duration) {
    let since = parts.entry(name).or_default();
    if pods > 0 {
        since.get_or_insert(now);
    }
}

fn are_all(parts: &BTreeMap<String, Option<Duration>>, count: usize) -> bool {
    parts.len() == count && parts.values().all(Option::is_some)
}
