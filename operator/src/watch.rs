//! What the operator remembers of the objects that it owns: their metadata, and of workloads their status too.
//!
//! Only objects with the operator's label are watched, so a cluster's other Secrets cost no memory, and what is kept is
//! stripped ([`crate::revision`]).

use std::{fmt::Debug, pin::Pin, sync::Arc};

use futures::{Stream, StreamExt as _};
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
        reflector::{self, ObjectRef, Store},
        watcher,
    },
};
use serde::de::DeserializeOwned;

use crate::{names, revision, validate::Validated};

/// Which objects are the operator's.
pub const SELECTOR: &str = "app.kubernetes.io/managed-by=shop-operator";

/// Objects of a kind that were touched, as they are now.
pub type Touched<K> = Pin<Box<dyn Stream<Item = Result<K, watcher::Error>> + Send>>;

/// What is known of the objects of each kind.
#[derive(Clone)]
pub struct Known {
    /// Secrets.
    pub secrets: Store<PartialObjectMeta<Secret>>,
    /// ServiceAccounts.
    pub service_accounts: Store<PartialObjectMeta<ServiceAccount>>,
    /// NetworkPolicies.
    pub network_policies: Store<PartialObjectMeta<NetworkPolicy>>,
    /// Services.
    pub services: Store<PartialObjectMeta<Service>>,
    /// StatefulSets, without their pods' template.
    pub stateful_sets: Store<StatefulSet>,
    /// Deployments, without their pods' template but for its images.
    pub deployments: Store<Deployment>,
    /// PodDisruptionBudgets.
    pub pod_disruption_budgets: Store<PartialObjectMeta<PodDisruptionBudget>>,
    /// HorizontalPodAutoscalers.
    pub autoscalers: Store<PartialObjectMeta<HorizontalPodAutoscaler>>,
    /// Ingresses.
    pub ingresses: Store<PartialObjectMeta<Ingress>>,
}

/// The changes to the objects of each kind: whoever polls them keeps [`Known`] up to date.
pub struct Changes {
    /// Of Secrets.
    pub secrets: Touched<PartialObjectMeta<Secret>>,
    /// Of ServiceAccounts.
    pub service_accounts: Touched<PartialObjectMeta<ServiceAccount>>,
    /// Of NetworkPolicies.
    pub network_policies: Touched<PartialObjectMeta<NetworkPolicy>>,
    /// Of Services.
    pub services: Touched<PartialObjectMeta<Service>>,
    /// Of StatefulSets.
    pub stateful_sets: Touched<StatefulSet>,
    /// Of Deployments.
    pub deployments: Touched<Deployment>,
    /// Of PodDisruptionBudgets.
    pub pod_disruption_budgets: Touched<PartialObjectMeta<PodDisruptionBudget>>,
    /// Of HorizontalPodAutoscalers.
    pub autoscalers: Touched<PartialObjectMeta<HorizontalPodAutoscaler>>,
    /// Of Ingresses.
    pub ingresses: Touched<PartialObjectMeta<Ingress>>,
}

/// Watches the operator's objects of one namespace, or of all.
pub fn watch(client: &Client, namespace: Option<&str>) -> (Known, Changes) {
    let (secrets, secret_changes) = watch_kind(client, namespace, |_| {});
    let (service_accounts, service_account_changes) = watch_kind(client, namespace, |_| {});
    let (network_policies, network_policy_changes) = watch_kind(client, namespace, |_| {});
    let (services, service_changes) = watch_kind(client, namespace, |_| {});
    let (stateful_sets, stateful_set_changes) = watch_kind(client, namespace, |set: &mut StatefulSet| {
        set.spec.template.spec = None;
        // That there are any is kept: it can't be changed any more.
        for claim in set.spec.volume_claim_templates.iter_mut().flatten() {
            *claim = k8s_openapi::api::core::v1::PersistentVolumeClaim::default();
        }
    });
    let (deployments, deployment_changes) = watch_kind(client, namespace, |deployment: &mut Deployment| {
        let pod = deployment.spec.template.spec.as_mut();
        for container in pod.into_iter().flat_map(|pod| &mut pod.containers) {
            *container = k8s_openapi::api::core::v1::Container {
                name: std::mem::take(&mut container.name),
                image: container.image.take(),
                ..Default::default()
            };
        }
    });
    let (pod_disruption_budgets, pod_disruption_budget_changes) = watch_kind(client, namespace, |_| {});
    let (autoscalers, autoscaler_changes) = watch_kind(client, namespace, |_| {});
    let (ingresses, ingress_changes) = watch_kind(client, namespace, |_| {});
    let known = Known {
        secrets,
        service_accounts,
        network_policies,
        services,
        stateful_sets,
        deployments,
        pod_disruption_budgets,
        autoscalers,
        ingresses,
    };
    let changes = Changes {
        secrets: secret_changes,
        service_accounts: service_account_changes,
        network_policies: network_policy_changes,
        services: service_changes,
        stateful_sets: stateful_set_changes,
        deployments: deployment_changes,
        pod_disruption_budgets: pod_disruption_budget_changes,
        autoscalers: autoscaler_changes,
        ingresses: ingress_changes,
    };
    (known, changes)
}

fn watch_kind<K>(
    client: &Client,
    namespace: Option<&str>,
    slim: impl Fn(&mut K) + Send + 'static,
) -> (Store<K>, Touched<K>)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + Debug
        + Send
        + Sync
        + 'static,
{
    let api: Api<K> = match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    let (store, writer) = reflector::store();
    let touched = watcher(api, watcher::Config::default().labels(SELECTOR))
        .default_backoff()
        .modify(move |object| {
            revision::strip(object);
            slim(object);
        })
        .reflect(writer)
        .touched_objects()
        .boxed();
    (store, touched)
}

impl Known {
    /// The StatefulSet of a Shop's data store.
    pub fn stateful_set(&self, shop: &Validated, part: &str) -> Option<Arc<StatefulSet>> {
        let reference = ObjectRef::new(&names::object(&shop.name, part)).within(&shop.namespace);
        self.stateful_sets.get(&reference)
    }

    /// The Deployment of that name.
    pub fn deployment(&self, shop: &Validated, name: &str) -> Option<Arc<Deployment>> {
        self.deployments
            .get(&ObjectRef::new(name).within(&shop.namespace))
    }

    /// Waits until each kind was listed once.
    pub async fn wait_until_listed(&self) -> Result<(), reflector::store::WriterDropped> {
        self.secrets.wait_until_ready().await?;
        self.service_accounts.wait_until_ready().await?;
        self.network_policies.wait_until_ready().await?;
        self.services.wait_until_ready().await?;
        self.stateful_sets.wait_until_ready().await?;
        self.deployments.wait_until_ready().await?;
        self.pod_disruption_budgets.wait_until_ready().await?;
        self.autoscalers.wait_until_ready().await?;
        self.ingresses.wait_until_ready().await
    }
}
