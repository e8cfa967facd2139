//! What the cluster is told about a Shop: its status, when that changed, and Events with the whole cause.

use k8s_openapi::{api::core::v1::ObjectReference, jiff::Timestamp};
use kube::{
    Api, Resource as _, ResourceExt as _,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
    runtime::events::{Event, EventType},
};
use serde_json::json;

use super::Context;
use crate::{
    apply::{ApplyError, DEADLINE, FIELD_MANAGER, within},
    crd::{Shop, ShopStatus},
    rotation,
    status::Cause,
};

/// The longest note that the API server takes.
const LONGEST_NOTE: usize = 1024;

/// Writes the status, unless the Shop has it already.
pub(super) async fn status(context: &Context, shop: &Shop, status: &ShopStatus) -> Result<(), ApplyError> {
    if shop.status.as_ref() == Some(status) {
        return Ok(());
    }
    let namespace = shop.namespace().unwrap_or_default();
    let api: Api<Shop> = Api::namespaced(context.client.clone(), &namespace);
    let patch = json!({
        "apiVersion": Shop::api_version(&()),
        "kind": Shop::kind(&()),
        "metadata": { "uid": shop.uid() },
        "status": status,
    });
    let (name, parameters) = (shop.name_any(), PatchParams::apply(FIELD_MANAGER).force());
    within::<Shop, _>(&name, api.patch_status(&name, &parameters, &Patch::Apply(&patch))).await?;
    announce(context, shop, status).await;
    Ok(())
}

/// The status of a Shop whose spec can't be read, as far as that can.
pub(super) async fn status_before(context: &Context, shop: &Shop) -> Result<ShopStatus, ApplyError> {
    let namespace = shop.namespace().unwrap_or_default();
    let resource = ApiResource::erase::<Shop>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(context.client.clone(), &namespace, &resource);
    let name = shop.name_any();
    let found = within::<Shop, _>(&name, api.get_opt(&name)).await?;
    let status = found.map(|found| serde_json::from_value(found.data["status"].clone()));
    Ok(status.and_then(Result::ok).unwrap_or_default())
}

/// An Event when readiness changed, or why there is none.
async fn announce(context: &Context, shop: &Shop, status: &ShopStatus) {
    let ready = |status: &ShopStatus| {
        let ready = status
            .conditions
            .iter()
            .find(|condition| condition.type_ == "Ready")?;
        Some((ready.status.clone(), ready.reason.clone(), ready.message.clone()))
    };
    let before = shop.status.as_ref().and_then(ready);
    let Some(now) = ready(status).filter(|now| Some(now) != before.as_ref()) else {
        return;
    };
    let degraded = status
        .conditions
        .iter()
        .any(|condition| condition.type_ == "Degraded" && condition.status == "True");
    let kind = if degraded {
        EventType::Warning
    } else {
        EventType::Normal
    };
    event(context, &shop.object_ref(&()), kind, &now.1, "Reconcile", &now.2).await;
}

/// Something was done that nobody asked for just now.
pub(super) async fn changes(context: &Context, shop: &Shop, changes: &[String]) {
    if changes.is_empty() {
        return;
    }
    let reference = shop.object_ref(&());
    event(
        context,
        &reference,
        EventType::Normal,
        "Provisioned",
        "Provision",
        &changes.join(", "),
    )
    .await;
}

/// Takes away what asked for a rotation.
pub(super) async fn rotation_has_begun(context: &Context, shop: &Shop) -> Result<(), ApplyError> {
    let namespace = shop.namespace().unwrap_or_default();
    let api: Api<Shop> = Api::namespaced(context.client.clone(), &namespace);
    let patch = json!({"metadata": {"annotations": {(rotation::ANNOTATION): null}}});
    let (name, parameters) = (shop.name_any(), PatchParams::default());
    within::<Shop, _>(&name, api.patch(&name, &parameters, &Patch::Merge(&patch))).await?;
    Ok(())
}

/// A rotation has ended.
pub(super) async fn rotated(context: &Context, shop: &Shop) {
    let note = "every pod uses the new logins, and the old ones are dropped";
    event(
        context,
        &shop.object_ref(&()),
        EventType::Normal,
        "CredentialsRotated",
        "Rotate",
        note,
    )
    .await;
}

/// Something went wrong that no condition can say.
pub(super) async fn warning(context: &Context, shop: &Shop, cause: &Cause) {
    let reference = shop.object_ref(&());
    event(
        context,
        &reference,
        EventType::Warning,
        cause.reason,
        "Reconcile",
        &cause.message,
    )
    .await;
}

async fn event(
    context: &Context,
    about: &ObjectReference,
    kind: EventType,
    reason: &str,
    action: &str,
    note: &str,
) {
    let event = Event {
        type_: kind,
        reason: reason.to_owned(),
        note: Some(note.chars().take(LONGEST_NOTE).collect()),
        action: action.to_owned(),
        secondary: None,
    };
    let published = tokio::time::timeout(DEADLINE, context.recorder.publish(&event, about)).await;
    // The status says the same; an Event is for people who come later.
    match published {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, reason, "an Event can't be written"),
        Err(_) => tracing::warn!(reason, "an Event was not written in time"),
    }
}

/// The time of a transition.
pub(super) fn now() -> Timestamp {
    // Kubernetes keeps whole seconds.
    Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_else(|_| Timestamp::now())
}
