//! What is kept in memory of an object that the operator owns: whose it is, whether somebody has been at it, and what the
//! operator decides by. A Shop has some forty objects, so what is kept of each decides how much memory many Shops take.

use std::{borrow::Cow, marker::PhantomData};

use k8s_openapi::{
    api::apps::v1::StatefulSet,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use kube::{
    Resource,
    runtime::reflector::{Lookup, ObjectRef, Store},
};

use crate::{
    names::{INSTANCE, MANAGED_BY, OPERATOR},
    revision::Revision,
};

/// The objects of a kind, as they were seen last.
pub type Observations<K, F = ()> = Store<Observed<K, F>>;

/// An object of the kind `K` as it was seen last. `F` is what the operator has to know of its kind beyond that.
///
/// Two that are equal are the same to the operator: a change from one to the other is no news.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed<K, F = ()> {
    /// Its namespace.
    pub namespace: Box<str>,
    /// Its name.
    pub name: Box<str>,
    /// A digest of the uid of its controller.
    pub controller: Option<Revision>,
    /// The name of the Shop that it belongs to by its labels.
    pub shop: Option<Box<str>>,
    /// Whether it is being deleted.
    pub is_ending: bool,
    /// Who set what in it.
    pub revision: Revision,
    /// What else is to be known.
    pub facts: F,
    kind: PhantomData<fn() -> K>,
}

impl<K, F> Observed<K, F> {
    /// What is to be kept of an object.
    pub fn of(meta: &ObjectMeta, facts: F) -> Self {
        let text = |text: &Option<String>| text.as_deref().unwrap_or_default().into();
        let label = |key: &str| meta.labels.as_ref()?.get(key).map(String::as_str);
        let is_own = label(MANAGED_BY) == Some(OPERATOR);
        let references = meta.owner_references.as_deref().unwrap_or_default();
        let controls = |reference: &&OwnerReference| reference.controller == Some(true);
        Self {
            namespace: text(&meta.namespace),
            name: text(&meta.name),
            controller: references
                .iter()
                .find(controls)
                .map(|controller| Revision::of_bytes(controller.uid.as_bytes())),
            shop: label(INSTANCE).filter(|_| is_own).map(Into::into),
            is_ending: meta.deletion_timestamp.is_some(),
            revision: Revision::of(meta),
            facts,
            kind: PhantomData,
        }
    }
}

/// What a cache of kube's finds it by. It has no resource version: that is no news by itself.
impl<K: Resource<DynamicType = ()>, F> Lookup for Observed<K, F> {
    type DynamicType = ();

    fn kind((): &()) -> Cow<'_, str> {
        K::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        K::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        K::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        K::plural(&())
    }

    fn name(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed(&self.name))
    }

    fn namespace(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed(&self.namespace))
    }

    fn resource_version(&self) -> Option<Cow<'_, str>> {
        None
    }

    fn uid(&self) -> Option<Cow<'_, str>> {
        None
    }
}

/// The key of an object in [`Observations`].
pub fn key<K: Resource<DynamicType = ()>, F>(namespace: &str, name: &str) -> ObjectRef<Observed<K, F>> {
    ObjectRef::new(name).within(namespace)
}

/// How the StatefulSet of a data store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataStore {
    /// Whether its pod has a volume that outlives it. That can't be changed any more.
    pub has_claims: bool,
    /// Whether its pod answers.
    pub is_ready: bool,
}

impl DataStore {
    /// As a StatefulSet says.
    pub fn of(set: &StatefulSet) -> Self {
        let claims = set.spec.volume_claim_templates.as_ref();
        let generation = set.metadata.generation.unwrap_or_default();
        Self {
            has_claims: claims.is_some_and(|claims| !claims.is_empty()),
            is_ready: set.status.as_ref().is_some_and(|status| {
                status.observed_generation.unwrap_or_default() >= generation
                    && status.ready_replicas.unwrap_or(0) > 0
            }),
        }
    }
}
