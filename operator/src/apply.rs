//! Server-side apply of what differs, and removal of what is wanted no longer.

mod dynamic;
mod take_over;

use std::{
    collections::{HashMap, HashSet},
    fmt::Debug,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::{NamespaceResourceScope, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{
    Api, Client, Resource, ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams, Preconditions},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    names::OPERATOR,
    observed::{Observations, Observed, ShopName},
    revision::Revision,
};

/// Who the API server notes as the owner of the fields.
pub const FIELD_MANAGER: &str = OPERATOR;
/// How long a request to the API server may take.
pub const DEADLINE: Duration = Duration::from_secs(15);
/// How many objects of a Shop are written at once.
const AT_ONCE: usize = 8;

/// Why an object is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Somebody else's object has the name.
    #[error(
        "{kind} {name} exists already and belongs to somebody else; delete or rename it, or rename the Shop"
    )]
    Taken {
        /// The kind of object.
        kind: String,
        /// Its name.
        name: String,
    },
    /// The API server refused.
    #[error("{kind} {name}: {}", said(source))]
    Request {
        /// The kind of object.
        kind: String,
        /// Its name.
        name: String,
        /// Why.
        source: Box<kube::Error>,
    },
    /// The API server does not know the kind: its CustomResourceDefinition is not there.
    #[error("{kind} {name}: the API server does not know this kind")]
    NoSuchKind {
        /// The kind of object.
        kind: String,
        /// Its name.
        name: String,
    },
    /// The API server did not answer in time.
    #[error("{kind} {name}: no answer from the API server within {} s", DEADLINE.as_secs())]
    NoAnswer {
        /// The kind of object.
        kind: String,
        /// Its name.
        name: String,
    },
}

impl ApplyError {
    /// What the API server found wrong with the object: the ways to its fields.
    fn invalid(&self) -> Vec<take_over::Path> {
        match self {
            Self::Request { source, .. } if matches!(source.as_ref(), kube::Error::Api(status) if status.code == 422) => {
                take_over::paths(source)
            }
            _ => Vec::new(),
        }
    }

    /// The reason of a condition.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Taken { .. } => "NameTaken",
            Self::NoSuchKind { .. } => "NoSuchKind",
            Self::Request { .. } | Self::NoAnswer { .. } => "ApiServerFailed",
        }
    }
}

/// The Shop that objects belong to.
#[derive(Clone, Debug)]
pub struct Owner {
    /// Its name.
    pub shop: ShopName,
    /// Its uid.
    pub uid: String,
}

impl Owner {
    /// Whether an object of this Shop by its labels is so by its controller too, if it has one: what outlives a Shop has
    /// none.
    fn has<F>(&self, object: &Observed<F>) -> bool {
        object.controller.is_none() || self.controls(object)
    }

    /// Whether an object that nobody watches is this Shop's.
    pub(crate) fn has_unseen(&self, meta: &ObjectMeta) -> bool {
        let object = Observed::of(meta, ());
        self.controls(&object)
            || object.controller.is_none() && ShopName::of(meta).as_ref() == Some(&self.shop)
    }

    /// Whether an object is to be removed where it is not wanted: what outlives its Shop is not.
    fn controls<F>(&self, object: &Observed<F>) -> bool {
        object.controller == Some(Revision::of_bytes(self.uid.as_bytes()))
    }
}

/// What was applied, and what the object was like right afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Applied {
    desired: Revision,
    object: Revision,
}

/// What was applied for one Shop, by a digest of kind and name.
type OfShop = HashMap<Revision, Applied>;

/// Writes objects. It remembers what it wrote, so that an object that is as it should be costs no request.
pub struct Applier {
    client: Client,
    /// By the uid of the Shop.
    applied: Mutex<HashMap<String, OfShop>>,
}

impl Applier {
    /// Remembers nothing yet: every object is applied once, which changes none that is as it should be.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            applied: Mutex::default(),
        }
    }

    /// Makes the objects of one kind as desired. Returns those that it had to write, as they are now; or what is wrong with
    /// the first that can't be made so, in the order of `desired` and not of the answers: a status that named whichever
    /// failed first would change from turn to turn.
    pub async fn apply<K, F>(
        &self,
        owner: &Owner,
        known: &Observations<K, F>,
        desired: &[K],
    ) -> Result<Vec<K>, ApplyError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
        K: Clone + Debug + Serialize + DeserializeOwned + Send + Sync,
        F: Clone + PartialEq + Send + Sync,
    {
        // A closure over the references could not be sent between threads: <https://github.com/rust-lang/rust/issues/102211>.
        let mut requests = Vec::with_capacity(desired.len());
        for object in desired {
            requests.push(self.apply_one(owner, known, object));
        }
        let written: Vec<Option<K>> = stream::iter(requests).buffered(AT_ONCE).try_collect().await?;
        Ok(written.into_iter().flatten().collect())
    }

    async fn apply_one<K, F>(
        &self,
        owner: &Owner,
        known: &Observations<K, F>,
        desired: &K,
    ) -> Result<Option<K>, ApplyError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
        K: Clone + Debug + Serialize + DeserializeOwned,
        F: Clone + PartialEq,
    {
        let (kind, name) = (K::kind(&()), desired.name_any());
        let wanted = Revision::of_bytes(&serde_json::to_vec(desired).unwrap_or_default());
        let live = known.get(&owner.shop, &name);
        if let Some(live) = &live
            && self.is_as_applied(owner, &kind, &name, wanted, live.revision)
        {
            return Ok(None);
        }
        let api: Api<K> = Api::namespaced(self.client.clone(), &owner.shop.namespace);
        if live.is_none_or(|live| !owner.has(&live)) {
            let there = within::<K, _>(&name, api.get_metadata_opt(&name)).await?;
            if there.is_some_and(|there| !owner.has_unseen(&there.metadata)) {
                let kind = kind.into_owned();
                return Err(ApplyError::Taken { kind, name });
            }
        }
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let patch = Patch::Apply(desired);
        let applied = match within::<K, _>(&name, api.patch(&name, &parameters, &patch)).await {
            Err(error) => {
                if !take_over(&api, &name, &error.invalid()).await? {
                    return Err(error);
                }
                within::<K, _>(&name, api.patch(&name, &parameters, &patch)).await?
            }
            Ok(applied) => applied,
        };
        self.note(owner, &kind, &name, wanted, Revision::of(applied.meta()));
        Ok(Some(applied))
    }

    /// Removes the Shop's objects of one kind that are not desired. Says how many there were.
    pub async fn prune<K, F>(
        &self,
        owner: &Owner,
        known: &Observations<K, F>,
        desired: &[K],
    ) -> Result<usize, ApplyError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
        K: Clone + Debug + DeserializeOwned,
        F: Clone + PartialEq,
    {
        let desired: HashSet<&str> = desired
            .iter()
            .filter_map(|object| object.meta().name.as_deref())
            .collect();
        let unwanted = known.names(&owner.shop, |name, object| {
            owner.controls(object) && !object.is_ending && !desired.contains(name)
        });
        let api: Api<K> = Api::namespaced(self.client.clone(), &owner.shop.namespace);
        for name in &unwanted {
            Self::remove(owner, &api, name).await?;
        }
        Ok(unwanted.len())
    }

    /// Removes an object, if it still is this Shop's.
    async fn remove<K>(owner: &Owner, api: &Api<K>, name: &str) -> Result<(), ApplyError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
        K: Clone + Debug + DeserializeOwned,
    {
        let Some(there) = within::<K, _>(name, api.get_metadata_opt(name)).await? else {
            return Ok(());
        };
        if !owner.controls(&Observed::of(&there.metadata, ())) {
            return Ok(());
        }
        let parameters = DeleteParams::background().preconditions(Preconditions {
            uid: there.metadata.uid,
            resource_version: None,
        });
        match within::<K, _>(name, api.delete(name, &parameters)).await {
            Ok(_) => tracing::info!(kind = %K::kind(&()), name, "wanted no longer, and removed"),
            Err(ApplyError::Request { source, .. }) if is_gone(&source) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Forgets the objects of Shops that are gone.
    pub fn forget(&self, is_there: impl Fn(&str) -> bool) {
        self.lock().retain(|uid, _| is_there(uid));
    }

    fn is_as_applied(
        &self,
        owner: &Owner,
        kind: &str,
        name: &str,
        desired: Revision,
        object: Revision,
    ) -> bool {
        let applied = self.lock();
        let applied = applied
            .get(&owner.uid)
            .and_then(|of_shop| of_shop.get(&within_shop(kind, name)));
        applied.is_some_and(|applied| *applied == Applied { desired, object })
    }

    fn note(&self, owner: &Owner, kind: &str, name: &str, desired: Revision, object: Revision) {
        tracing::debug!(kind, namespace = owner.shop.namespace, name, "applied");
        let mut applied = self.lock();
        let of_shop = applied.entry(owner.uid.clone()).or_default();
        of_shop.insert(within_shop(kind, name), Applied { desired, object });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, OfShop>> {
        self.applied.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an object of a Shop is remembered by.
fn within_shop(kind: &str, name: &str) -> Revision {
    Revision::of_bytes(format!("{kind}/{name}").as_bytes())
}

/// Makes fields that others have set in an object this operator's to remove. Says whether there were any.
async fn take_over<K>(api: &Api<K>, name: &str, paths: &[take_over::Path]) -> Result<bool, ApplyError>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    if paths.is_empty() {
        return Ok(false);
    }
    let Some(live) = within::<K, _>(name, api.get_opt(name)).await? else {
        return Ok(false);
    };
    let Some(patch) = take_over::patch(live.meta(), &K::api_version(&()), paths) else {
        return Ok(false);
    };
    let parameters = PatchParams::default();
    within::<K, _>(name, api.patch(name, &parameters, &Patch::Merge(&patch))).await?;
    Ok(true)
}

/// What the API server said, or what kept it from saying anything.
fn said(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}

/// Not found, or another object of that name by now.
fn is_gone(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404 || status.code == 409)
}

/// A request to the API server that has to be answered in time.
pub(crate) async fn within<K: Resource<DynamicType = ()>, T>(
    name: &str,
    request: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, ApplyError> {
    in_time(&K::kind(&()), name, request).await
}

async fn in_time<T>(
    kind: &str,
    name: &str,
    request: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, ApplyError> {
    let (kind, name) = (kind.to_owned(), name.to_owned());
    match tokio::time::timeout(DEADLINE, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(source)) => Err(ApplyError::Request {
            kind,
            name,
            source: Box::new(source),
        }),
        Err(_) => Err(ApplyError::NoAnswer { kind, name }),
    }
}
