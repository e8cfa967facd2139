//! The end of a Shop. Kubernetes removes its objects by their owner; what stands on servers of others is removed here, and
//! a finalizer holds up the Shop's end so long.
//!
//! Whether anything is removed is read when it comes to that, and not before: a Shop that asked for `Delete` has the
//! finalizer, and if it asks for `Retain` by then, what holds its data is taken out of Kubernetes' hands instead.

use std::time::Duration;

use k8s_openapi::{
    api::{apps::v1::StatefulSet, core::v1::Secret},
    jiff::Timestamp,
};
use kube::{
    Api, ResourceExt as _,
    api::{ApiResource, Patch, PatchParams},
};
use serde_json::json;

use super::{Context, back_ends, fetch, reconcile::Outcome, report};
use crate::{
    apply::{ApplyError, Owner, within},
    certificates,
    clusters::{Kind, cloud_native_pg, rabbitmq},
    crd::{DeletionPolicy, Shop},
    credentials::{self, Credentials},
    names::{self, Program},
    observed::ShopName,
    status::Cause,
    validate::{Validated, validate},
};

/// Holds a Shop until what it has on others' servers is removed, or what is to outlive it can.
pub(super) const FINALIZER: &str = "shop-operator.io/back-ends";

/// What came of the end of a Shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deleted {
    /// Nothing holds it any more.
    Released,
    /// A server can't be reached, or refuses; it is tried again.
    NotYet,
}

impl From<Deleted> for Outcome {
    fn from(deleted: Deleted) -> Self {
        match deleted {
            Deleted::Released => Self::Done,
            Deleted::NotYet => Self::Failed,
        }
    }
}

/// Gives the Shop the finalizer if its data is to go in the end, and takes it away if not.
pub(super) async fn guard(context: &Context, shop: &Shop, validated: &Validated) -> Result<(), ApplyError> {
    let wanted = !validated.retain;
    if wanted != has_finalizer(shop) {
        set_finalizer(context, shop, wanted).await?;
    }
    Ok(())
}

/// Removes what the Shop has on others' servers or keeps what it is to leave, and lets it go. A server that stays away
/// does not hold the Shop for ever: after `patience` it is let go, and an Event says what is left behind.
pub(super) async fn end(context: &Context, shop: &Shop, patience: Duration) -> Result<Deleted, ApplyError> {
    if !has_finalizer(shop) {
        return Ok(Deleted::Released);
    }
    if shop.spec.deletion_policy == DeletionPolicy::Retain {
        if !keep(context, shop).await? {
            return Ok(Deleted::NotYet);
        }
    } else if let Err(problem) = Box::pin(remove(context, shop)).await {
        let cause = match problem {
            Problem::ForNow(cause) if !is_overdue(shop, patience) => {
                report::warning(context, shop, &cause).await;
                return Ok(Deleted::NotYet);
            }
            Problem::ForNow(cause) | Problem::ForEver(cause) => cause,
        };
        left_behind(context, shop, &cause.message).await;
    }
    set_finalizer(context, shop, false).await?;
    Ok(Deleted::Released)
}

/// Lets a Shop go of which nothing but its metadata can be read: with what it has, since what it asks for is not known. An
/// operator that can read it may come before `patience` ends.
pub(super) async fn end_unread(
    context: &Context,
    shop: &Shop,
    why: &str,
    patience: Duration,
) -> Result<Deleted, ApplyError> {
    if !has_finalizer(shop) {
        return Ok(Deleted::Released);
    }
    if !is_overdue(shop, patience) {
        report::warning(context, shop, &Cause::new("InvalidSpec", why)).await;
        return Ok(Deleted::NotYet);
    }
    if !keep(context, shop).await? {
        return Ok(Deleted::NotYet);
    }
    left_behind(context, shop, why).await;
    set_finalizer(context, shop, false).await?;
    Ok(Deleted::Released)
}

async fn left_behind(context: &Context, shop: &Shop, why: &str) {
    let message = format!("its databases or virtual host may be left on their server: {why}");
    tracing::warn!(shop = shop.name_any(), message, "a Shop is let go");
    report::warning(context, shop, &Cause::new("LeftBehind", message)).await;
}

/// Why something could not be removed.
enum Problem {
    /// It may be possible later.
    ForNow(Cause),
    /// It will never be.
    ForEver(Cause),
}

async fn remove(context: &Context, shop: &Shop) -> Result<(), Problem> {
    let validated =
        validate(shop).map_err(|error| Problem::ForEver(Cause::new("InvalidSpec", error.to_string())))?;
    if !validated.is_on_others_servers() {
        return Ok(());
    }
    context
        .limits
        .check(&validated)
        .map_err(|error| Problem::ForEver(Cause::new("NotAllowed", error.to_string())))?;
    let (existing, administrators) = fetch::each(context, &validated)
        .await
        .map_err(|error| Problem::ForNow(Cause::new(error.reason(), error.to_string())))?;
    let secret = credentials::identity_secret(&validated.name);
    // Kubernetes may have taken the Secret before its Shop, and the status knows it too.
    if !existing.contains_key(&secret) && validated.identity.is_none() {
        let message = format!("the Secret {secret} is gone, which says what is this Shop's");
        return Err(Problem::ForEver(Cause::new("IdentityGone", message)));
    }
    let credentials = Credentials::complete(&validated, &existing, report::now())
        .map_err(|error| Problem::ForEver(Cause::new("CredentialsUnfit", error.to_string())))?;
    let causes = back_ends::remove(&validated, &credentials, administrators).await;
    let Some(first) = causes.first() else {
        return Ok(());
    };
    let messages: Vec<_> = causes.iter().map(|cause| cause.message.as_str()).collect();
    Err(Problem::ForNow(Cause::new(first.reason, messages.join("; "))))
}

/// Takes what holds a Shop's data, or the way to it, out of Kubernetes' hands, which would remove it with the Shop that
/// it says it belongs to. Says whether all of it is.
async fn keep(context: &Context, shop: &Shop) -> Result<bool, ApplyError> {
    let owner = Owner {
        shop: ShopName {
            namespace: shop.namespace().unwrap_or_default(),
            name: shop.name_any(),
        },
        uid: shop.uid().unwrap_or_default(),
    };
    let (applier, name) = (&context.applier, &owner.shop.name);
    let secret = ApiResource::erase::<Secret>(&());
    for kept in context
        .known
        .secrets
        .names(&owner.shop, |secret, _| !is_of_certificates(name, secret))
    {
        applier.disown(&owner, &secret, &kept).await?;
    }
    for (kind, cluster) in [
        (Kind::CloudNativePg, cloud_native_pg::cluster(name)),
        (Kind::RabbitmqCluster, rabbitmq::cluster(name)),
    ] {
        match applier.disown(&owner, &kind.resource(), &cluster).await {
            Ok(()) | Err(ApplyError::NoSuchKind { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let mut kept = true;
    for part in [names::POSTGRES, names::RABBITMQ] {
        kept &= keeps_its_claims(context, &owner, &names::object(name, part)).await?;
    }
    Ok(kept)
}

/// Whether the claims of a StatefulSet outlive it. Kubernetes makes it so some time after it is asked to.
async fn keeps_its_claims(context: &Context, owner: &Owner, name: &str) -> Result<bool, ApplyError> {
    let resource = ApiResource::erase::<StatefulSet>(&());
    let Some(set) = context.applier.get_dynamic(owner, &resource, name).await? else {
        return Ok(true);
    };
    if !owner.has_unseen(&set.metadata) {
        return Ok(true);
    }
    if set.data["spec"]["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] != "Retain" {
        let policy = json!({"whenDeleted": "Retain", "whenScaled": "Retain"});
        let patch = json!({"spec": {"persistentVolumeClaimRetentionPolicy": policy}});
        context.applier.merge(owner, &resource, name, &patch).await?;
        return Ok(false);
    }
    let observed = set.data["status"]["observedGeneration"].as_i64();
    Ok(observed >= set.metadata.generation)
}

/// Whether a Secret is no loss: certificates are made again.
fn is_of_certificates(shop: &str, secret: &str) -> bool {
    secret == certificates::authority_secret(shop)
        || Program::ALL
            .into_iter()
            .any(|program| secret == certificates::program_secret(shop, program))
}

fn has_finalizer(shop: &Shop) -> bool {
    shop.finalizers().iter().any(|finalizer| finalizer == FINALIZER)
}

fn is_overdue(shop: &Shop, patience: Duration) -> bool {
    let deleted = shop.metadata.deletion_timestamp.as_ref();
    let Some(waited) = deleted.map(|deleted| Timestamp::now().duration_since(deleted.0)) else {
        return false;
    };
    waited.unsigned_abs() > patience
}

async fn set_finalizer(context: &Context, shop: &Shop, present: bool) -> Result<(), ApplyError> {
    let others = shop
        .finalizers()
        .iter()
        .filter(|finalizer| *finalizer != FINALIZER);
    let mut finalizers: Vec<_> = others.cloned().collect();
    if present {
        finalizers.push(FINALIZER.to_owned());
    }
    // With the version, so that somebody else's finalizer of the meantime is not lost.
    let patch = json!({"metadata": {"resourceVersion": shop.resource_version(), "finalizers": finalizers}});
    let namespace = shop.namespace().unwrap_or_default();
    let api: Api<Shop> = Api::namespaced(context.client.clone(), &namespace);
    let (name, parameters) = (shop.name_any(), PatchParams::default());
    within::<Shop, _>(&name, api.patch(&name, &parameters, &Patch::Merge(&patch))).await?;
    Ok(())
}

#[cfg(test)]
mod tests;
