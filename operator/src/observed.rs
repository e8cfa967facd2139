//! What is kept in memory of the objects that the operator owns: whether somebody has been at one, and what the operator
//! decides by. A Shop has some forty objects, so what is kept of each decides how much memory many Shops take: a cache of
//! kube's, which keeps objects whole and by a reference that is longer than what is kept here, takes ten times as much.

use std::{
    collections::HashMap,
    marker::PhantomData,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use k8s_openapi::{
    api::apps::v1::StatefulSet,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use kube::runtime::watcher::Event;
use tokio::sync::watch;

use crate::{
    names::{INSTANCE, MANAGED_BY, OPERATOR},
    revision::Revision,
};

/// A Shop by its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ShopName {
    /// Its namespace, and that of its objects.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl ShopName {
    /// The Shop that an object belongs to. By its labels, since what outlives its Shop has no owner.
    pub fn of(meta: &ObjectMeta) -> Option<Self> {
        let label = |key: &str| meta.labels.as_ref()?.get(key);
        label(MANAGED_BY).filter(|manager| *manager == OPERATOR)?;
        Some(Self {
            namespace: meta.namespace.clone()?,
            name: label(INSTANCE)?.clone(),
        })
    }
}

/// An object as it was seen last. `F` is what the operator has to know of its kind.
///
/// Two that are equal are the same to the operator: a change from one to the other is no news.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed<F = ()> {
    /// A digest of the uid of its controller.
    pub controller: Option<Revision>,
    /// Whether it is being deleted.
    pub is_ending: bool,
    /// Who set what in it.
    pub revision: Revision,
    /// What else is to be known.
    pub facts: F,
}

impl<F> Observed<F> {
    /// What is to be kept of an object.
    pub fn of(meta: &ObjectMeta, facts: F) -> Self {
        let references = meta.owner_references.as_deref().unwrap_or_default();
        let controls = |reference: &&OwnerReference| reference.controller == Some(true);
        Self {
            controller: references
                .iter()
                .find(controls)
                .map(|controller| Revision::of_bytes(controller.uid.as_bytes())),
            is_ending: meta.deletion_timestamp.is_some(),
            revision: Revision::of(meta),
            facts,
        }
    }
}

/// An object that a watch tells of.
#[derive(Debug)]
pub struct Sighting<F = ()> {
    namespace: String,
    name: String,
    /// None if it has lost the labels that say so.
    shop: Option<ShopName>,
    object: Observed<F>,
}

impl<F> Sighting<F> {
    /// Of an object.
    pub fn of(meta: &ObjectMeta, facts: F) -> Self {
        Self {
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
            shop: ShopName::of(meta),
            object: Observed::of(meta, facts),
        }
    }
}

/// The objects of a Shop by name.
type OfShop<F> = HashMap<Box<str>, Observed<F>>;
type ByShop<F> = HashMap<ShopName, OfShop<F>>;

/// The objects of the kind `K` as they were seen last. Cheap to clone: all clones are the same.
pub struct Observations<K, F = ()> {
    inner: Arc<Inner<F>>,
    kind: PhantomData<fn() -> K>,
}

struct Inner<F> {
    objects: RwLock<ByShop<F>>,
    listed: watch::Sender<bool>,
}

impl<K, F> Clone for Observations<K, F> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            kind: PhantomData,
        }
    }
}

impl<K, F: Clone + PartialEq> Observations<K, F> {
    /// An object of a Shop.
    pub fn get(&self, shop: &ShopName, name: &str) -> Option<Observed<F>> {
        self.read().get(shop)?.get(name).cloned()
    }

    /// The names of a Shop's objects with a property.
    pub fn names(&self, shop: &ShopName, has: impl Fn(&str, &Observed<F>) -> bool) -> Vec<String> {
        let objects = self.read();
        let of_shop = objects.get(shop).into_iter().flatten();
        of_shop
            .filter(|(name, object)| has(name, object))
            .map(|(name, _)| name.to_string())
            .collect()
    }

    /// Waits until all objects were listed once.
    pub async fn wait_until_listed(&self) {
        // The sender lives as long as `self`.
        let _ = self.inner.listed.subscribe().wait_for(|listed| *listed).await;
    }

    fn read(&self) -> RwLockReadGuard<'_, ByShop<F>> {
        self.inner.objects.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, ByShop<F>> {
        self.inner.objects.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps [`Observations`] up to date.
pub struct Observer<K, F = ()> {
    known: Observations<K, F>,
    /// What a list that is not complete has told.
    list: ByShop<F>,
}

impl<K, F: Clone + PartialEq> Observer<K, F> {
    /// One who has seen nothing yet, and where it keeps what it sees.
    pub fn new() -> (Self, Observations<K, F>) {
        let inner = Inner {
            objects: RwLock::default(),
            listed: watch::Sender::new(false),
        };
        let known = Observations {
            inner: Arc::new(inner),
            kind: PhantomData,
        };
        let observer = Self {
            known: known.clone(),
            list: HashMap::new(),
        };
        (observer, known)
    }

    /// Takes in what a watch tells, and says which Shops are to be looked at because of it.
    pub fn see(&mut self, event: Event<Sighting<F>>) -> Vec<ShopName> {
        match event {
            Event::Apply(sighting) => self.changed(sighting).into_iter().collect(),
            Event::Delete(sighting) => self.remove(&sighting).into_iter().collect(),
            Event::Init => {
                self.list = HashMap::new();
                Vec::new()
            }
            Event::InitApply(sighting) => {
                if let Some(shop) = sighting.shop {
                    let of_shop = self.list.entry(shop).or_default();
                    of_shop.insert(sighting.name.into(), sighting.object);
                }
                Vec::new()
            }
            Event::InitDone => {
                let list = std::mem::take(&mut self.list);
                let before = std::mem::replace(&mut *self.known.write(), list);
                self.known.inner.listed.send_replace(true);
                self.differing_from(&before)
            }
        }
    }

    /// The Shops of which a list tells anything else than was known: while nobody watched, objects changed, came and went.
    fn differing_from(&self, before: &ByShop<F>) -> Vec<ShopName> {
        let now = self.known.read();
        let changed = now
            .iter()
            .filter(|(shop, objects)| before.get(shop) != Some(objects));
        let gone = before.iter().filter(|(shop, _)| !now.contains_key(shop));
        changed.chain(gone).map(|(shop, _)| shop.clone()).collect()
    }

    fn changed(&self, sighting: Sighting<F>) -> Option<ShopName> {
        let Some(shop) = &sighting.shop else {
            return self.remove(&sighting);
        };
        if self.known.get(shop, &sighting.name).as_ref() == Some(&sighting.object) {
            return None;
        }
        let mut objects = self.known.write();
        let of_shop = objects.entry(shop.clone()).or_default();
        of_shop.insert(sighting.name.into(), sighting.object);
        sighting.shop
    }

    /// An object is gone, or nobody's any more; then it may have been any Shop's.
    fn remove(&self, sighting: &Sighting<F>) -> Option<ShopName> {
        let mut objects = self.known.write();
        let had = |(shop, of_shop): (&ShopName, &OfShop<F>)| {
            let has = shop.namespace == sighting.namespace && of_shop.contains_key(&*sighting.name);
            has.then(|| shop.clone())
        };
        let shop = match &sighting.shop {
            Some(shop) => shop.clone(),
            None => objects.iter().find_map(had)?,
        };
        let of_shop = objects.get_mut(&shop)?;
        of_shop.remove(&*sighting.name);
        if of_shop.is_empty() {
            objects.remove(&shop);
        }
        Some(shop)
    }
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

#[cfg(test)]
mod tests {
    use k8s_openapi::{api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry};

    use super::*;

    fn secret(labels: &[(&str, &str)], manager: &str) -> Sighting {
        let labels = labels.iter().map(|(key, value)| ((*key).into(), (*value).into()));
        let meta = ObjectMeta {
            namespace: Some("shops".into()),
            name: Some("demo-admin".into()),
            labels: Some(labels.collect()),
            managed_fields: Some(vec![ManagedFieldsEntry {
                manager: Some(manager.into()),
                ..ManagedFieldsEntry::default()
            }]),
            ..ObjectMeta::default()
        };
        Sighting::of(&meta, ())
    }

    const OURS: &[(&str, &str)] = &[(MANAGED_BY, OPERATOR), (INSTANCE, "demo")];

    fn demo() -> ShopName {
        ShopName {
            namespace: "shops".into(),
            name: "demo".into(),
        }
    }

    #[test]
    fn what_changes_nothing_is_no_news() {
        let (mut observer, known) = Observer::<Secret>::new();
        assert_eq!(observer.see(Event::Apply(secret(OURS, "a"))), [demo()]);
        assert_eq!(observer.see(Event::Apply(secret(OURS, "a"))), []);
        assert_eq!(observer.see(Event::Apply(secret(OURS, "b"))), [demo()]);
        assert!(known.get(&demo(), "demo-admin").is_some());
        assert_eq!(observer.see(Event::Delete(secret(OURS, "b"))), [demo()]);
        assert_eq!(known.get(&demo(), "demo-admin"), None);
    }

    #[test]
    fn a_list_takes_the_place_of_what_was_known_when_it_is_complete() {
        let (mut observer, known) = Observer::<Secret>::new();
        observer.see(Event::Apply(secret(OURS, "a")));
        observer.see(Event::Init);
        let other = [(MANAGED_BY, OPERATOR), (INSTANCE, "other")];
        assert_eq!(observer.see(Event::InitApply(secret(&other, "a"))), []);
        assert_eq!(known.names(&demo(), |_, _| true), ["demo-admin"]);
        observer.see(Event::InitDone);
        assert!(known.names(&demo(), |_, _| true).is_empty());
    }

    /// While nobody watched: one of demo's was deleted, one of other's came, and third's are as they were.
    #[test]
    fn what_happened_while_nobody_watched_is_news_of_those_that_it_happened_to() {
        let (mut observer, _) = Observer::<Secret>::new();
        let of = |shop| [(MANAGED_BY, OPERATOR), (INSTANCE, shop)];
        for shop in ["demo", "third"] {
            observer.see(Event::Apply(secret(&of(shop), "a")));
        }
        observer.see(Event::Init);
        for shop in ["other", "third"] {
            observer.see(Event::InitApply(secret(&of(shop), "a")));
        }
        let mut news = observer.see(Event::InitDone);
        news.sort_by(|a, b| a.name.cmp(&b.name));
        let names: Vec<_> = news.iter().map(|shop| shop.name.as_str()).collect();
        assert_eq!(names, ["demo", "other"]);
        observer.see(Event::Init);
        for shop in ["other", "third"] {
            let manager = if shop == "other" { "b" } else { "a" };
            observer.see(Event::InitApply(secret(&of(shop), manager)));
        }
        let news = observer.see(Event::InitDone);
        assert_eq!(news.len(), 1, "{news:?}");
        assert_eq!(news[0].name, "other");
    }

    #[test]
    fn one_that_lost_its_labels_is_nobodys_and_whose_it_was_is_looked_at() {
        let (mut observer, known) = Observer::<Secret>::new();
        observer.see(Event::Apply(secret(OURS, "a")));
        let seen = observer.see(Event::Apply(secret(&[(MANAGED_BY, OPERATOR)], "b")));
        assert_eq!(seen, [demo()]);
        assert_eq!(known.get(&demo(), "demo-admin"), None);
    }
}
