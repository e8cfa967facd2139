//! What the operator knows of the objects that it owns, and which Shop it has to look at because one of them changed.
//!
//! Only objects with the operator's label are watched, so a cluster's other Secrets cost no memory, and of most kinds only
//! the metadata is asked for: the operator's memory never holds a Secret that it only watches. What is kept of an object
//! is small ([`crate::observed`]), and a change that changes nothing of it is no news.

use std::{fmt::Debug, pin::Pin};

use futures::{
    Stream, StreamExt as _, TryStreamExt as _,
    stream::{self, BoxStream},
};
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::{Deployment, StatefulSet},
        autoscaling::v2::HorizontalPodAutoscaler,
        core::v1::{Secret, Service, ServiceAccount},
        networking::v1::{Ingress, NetworkPolicy},
        policy::v1::PodDisruptionBudget,
    },
};
use kube::{
    Api, Client, Resource,
    core::PartialObjectMeta,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event, watcher},
    },
};
use serde::de::DeserializeOwned;

use crate::{
    names,
    observed::{DataStore, Observations, Observer, ShopName, Sighting},
    rollout::Running,
};

/// Which objects are the operator's.
pub const SELECTOR: &str = "app.kubernetes.io/managed-by=shop-operator";
/// How many objects a list is asked for at once. They come with their managed fields, which are most of an object and are
/// not kept.
const PAGE: u32 = 100;

/// The Shops whose objects changed: whoever polls it keeps [`Known`] up to date. It goes on after an error.
pub type Changes = Pin<Box<dyn Stream<Item = Result<ShopName, watcher::Error>> + Send>>;

/// What is known of the objects of each kind.
#[derive(Clone)]
pub struct Known {
    /// Secrets.
    pub secrets: Observations<Secret>,
    /// ServiceAccounts.
    pub service_accounts: Observations<ServiceAccount>,
    /// NetworkPolicies.
    pub network_policies: Observations<NetworkPolicy>,
    /// Services.
    pub services: Observations<Service>,
    /// StatefulSets.
    pub stateful_sets: Observations<StatefulSet, DataStore>,
    /// Deployments.
    pub deployments: Observations<Deployment, Running>,
    /// PodDisruptionBudgets.
    pub pod_disruption_budgets: Observations<PodDisruptionBudget>,
    /// HorizontalPodAutoscalers.
    pub autoscalers: Observations<HorizontalPodAutoscaler>,
    /// Ingresses.
    pub ingresses: Observations<Ingress>,
}

/// Watches the operator's objects of one namespace, or of all.
pub fn watch(client: &Client, namespace: Option<&str>) -> (Known, Changes) {
    let mut changes = Vec::new();
    let known = Known {
        secrets: metadata(client, namespace, &mut changes),
        service_accounts: metadata(client, namespace, &mut changes),
        network_policies: metadata(client, namespace, &mut changes),
        services: metadata(client, namespace, &mut changes),
        stateful_sets: whole(client, namespace, DataStore::of, &mut changes),
        deployments: whole(client, namespace, Running::of, &mut changes),
        pod_disruption_budgets: metadata(client, namespace, &mut changes),
        autoscalers: metadata(client, namespace, &mut changes),
        ingresses: metadata(client, namespace, &mut changes),
    };
    (known, Box::pin(stream::select_all(changes)))
}

/// The Shops that changes of one kind are about.
type ChangesOfKind = BoxStream<'static, Result<ShopName, watcher::Error>>;

/// Watches a kind of which nothing but the metadata matters.
fn metadata<K>(client: &Client, namespace: Option<&str>, changes: &mut Vec<ChangesOfKind>) -> Observations<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    K: Clone + DeserializeOwned + Debug + Send + 'static,
{
    observe::<PartialObjectMeta<K>, K, ()>(client, namespace, |_| (), changes)
}

/// Watches a kind of which more is to be known.
fn whole<K, F>(
    client: &Client,
    namespace: Option<&str>,
    facts: fn(&K) -> F,
    changes: &mut Vec<ChangesOfKind>,
) -> Observations<K, F>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    K: Clone + DeserializeOwned + Debug + Send + 'static,
    F: Clone + PartialEq + Send + Sync + 'static,
{
    observe::<K, K, F>(client, namespace, facts, changes)
}

/// Asks for the objects of the kind `K` as `A`, keeps what is to be known of them, and passes on whom a change is about if
/// it is any news.
fn observe<A, K, F>(
    client: &Client,
    namespace: Option<&str>,
    facts: fn(&A) -> F,
    changes: &mut Vec<ChangesOfKind>,
) -> Observations<K, F>
where
    A: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    A: Clone + DeserializeOwned + Debug + Send + 'static,
    K: 'static,
    F: Clone + PartialEq + Send + Sync + 'static,
{
    let (mut observer, known) = Observer::new();
    let news = watcher(api::<A>(client, namespace), config())
        .default_backoff()
        .map_ok(move |event| map(event, |object| Sighting::of(object.meta(), facts(object))))
        .map_ok(move |event| stream::iter(observer.see(event)).map(Ok))
        .try_flatten();
    changes.push(news.boxed());
    known
}

fn api<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

fn config() -> watcher::Config {
    watcher::Config::default().labels(SELECTOR).page_size(PAGE)
}

fn map<A, B>(event: Event<A>, of: impl Fn(&A) -> B) -> Event<B> {
    match event {
        Event::Apply(object) => Event::Apply(of(&object)),
        Event::Delete(object) => Event::Delete(of(&object)),
        Event::Init => Event::Init,
        Event::InitApply(object) => Event::InitApply(of(&object)),
        Event::InitDone => Event::InitDone,
    }
}

impl Known {
    /// How the StatefulSet of a Shop's data store is.
    pub fn data_store(&self, shop: &ShopName, part: &str) -> Option<DataStore> {
        let set = self.stateful_sets.get(shop, &names::object(&shop.name, part))?;
        Some(set.facts)
    }

    /// How the Deployment of that name is.
    pub fn running(&self, shop: &ShopName, name: &str) -> Option<Running> {
        Some(self.deployments.get(shop, name)?.facts)
    }

    /// Waits until each kind was listed once.
    pub async fn wait_until_listed(&self) {
        self.secrets.wait_until_listed().await;
        self.service_accounts.wait_until_listed().await;
        self.network_policies.wait_until_listed().await;
        self.services.wait_until_listed().await;
        self.stateful_sets.wait_until_listed().await;
        self.deployments.wait_until_listed().await;
        self.pod_disruption_budgets.wait_until_listed().await;
        self.autoscalers.wait_until_listed().await;
        self.ingresses.wait_until_listed().await;
    }
}
