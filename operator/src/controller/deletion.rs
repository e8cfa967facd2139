//! The end of a Shop. Kubernetes removes its objects by their owner; what stands on servers of others is removed here,
//! if the Shop asks for that, and a finalizer holds up the Shop's end so long.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use kube::{
    Api, ResourceExt as _,
    api::{Patch, PatchParams},
};
use serde_json::json;

use super::{Context, back_ends, fetch, report};
use crate::{
    apply::{ApplyError, within},
    crd::Shop,
    credentials::{self, Credentials},
    status::Cause,
    validate::{DatabaseBackend, MessagingBackend, Validated, validate},
};

/// Holds a Shop until what it has on others' servers is removed.
pub(super) const FINALIZER: &str = "shop-operator.io/back-ends";

/// What came of the end of a Shop.
pub(super) enum Deleted {
    /// Nothing holds it any more.
    Released,
    /// A server can't be reached, or refuses; it is tried again.
    NotYet,
}

/// Gives the Shop the finalizer if it has something to remove in the end, and takes it away if not.
pub(super) async fn guard(context: &Context, shop: &Shop, validated: &Validated) -> Result<(), ApplyError> {
    let external = matches!(validated.database, DatabaseBackend::External(_))
        || matches!(validated.messaging, MessagingBackend::External(_));
    let wanted = external && !validated.retain;
    if wanted != has_finalizer(shop) {
        set_finalizer(context, shop, wanted).await?;
    }
    Ok(())
}

/// Removes what the Shop has on others' servers, and lets it go. A server that stays away does not hold the Shop for
/// ever: after `patience` it is let go, and an Event says what is left behind.
pub(super) async fn end(context: &Context, shop: &Shop, patience: Duration) -> Result<Deleted, ApplyError> {
    if !has_finalizer(shop) {
        return Ok(Deleted::Released);
    }
    if let Err(problem) = remove(context, shop).await {
        let cause = match problem {
            Problem::ForNow(cause) if !is_overdue(shop, patience) => {
                report::warning(context, shop, &cause).await;
                return Ok(Deleted::NotYet);
            }
            Problem::ForNow(cause) | Problem::ForEver(cause) => cause,
        };
        let message = format!(
            "its databases or virtual host may be left on their server: {}",
            cause.message
        );
        tracing::warn!(shop = shop.name_any(), message, "a Shop is let go");
        report::warning(context, shop, &Cause::new("LeftBehind", message)).await;
    }
    set_finalizer(context, shop, false).await?;
    Ok(Deleted::Released)
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
    let fetched = fetch::fetch(context, &validated)
        .await
        .map_err(|error| Problem::ForNow(Cause::new(error.reason(), error.to_string())))?;
    let secret = credentials::identity_secret(&validated.name);
    if !fetched.existing.contains_key(&secret) {
        // What it has there is known by its identity. A Shop that never got that far has nothing.
        let message = format!("the Secret {secret} is gone, which says what is this Shop's");
        return Err(Problem::ForEver(Cause::new("IdentityGone", message)));
    }
    let credentials = Credentials::complete(&validated, &fetched.existing, report::now())
        .map_err(|error| Problem::ForEver(Cause::new("CredentialsUnfit", error.to_string())))?;
    back_ends::remove(&validated, &credentials, &fetched)
        .await
        .map_err(Problem::ForNow)
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
