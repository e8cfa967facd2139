//! Objects of kinds that other operators define. They are few, and are asked for each time instead of being watched: the
//! kind may not be there, or may come later.

use kube::{
    Api, ResourceExt as _,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
};
use serde_json::{Value, json};

use super::{Applier, ApplyError, FIELD_MANAGER, Owner, in_time};
use crate::revision::Revision;

impl Applier {
    /// Makes an object as desired, and returns it as it is now, with its status. One that is as it should be costs one
    /// request.
    pub async fn apply_dynamic(
        &self,
        owner: &Owner,
        resource: &ApiResource,
        desired: &DynamicObject,
    ) -> Result<DynamicObject, ApplyError> {
        let name = desired.name_any();
        let wanted = Revision::of_bytes(&serde_json::to_vec(desired).unwrap_or_default());
        if let Some(live) = self.get_dynamic(owner, resource, &name).await? {
            if !owner.has_unseen(&live.metadata) {
                let kind = resource.kind.clone();
                return Err(ApplyError::Taken { kind, name });
            }
            if self.is_as_applied(owner, &resource.kind, &name, wanted, Revision::of(&live.metadata)) {
                return Ok(live);
            }
        }
        let api = self.dynamic_api(owner, resource);
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let patch = Patch::Apply(desired);
        let patched = in_time(&resource.kind, &name, api.patch(&name, &parameters, &patch)).await;
        let applied = patched.map_err(kind_or_request)?;
        let object = Revision::of(&applied.metadata);
        self.note(owner, &resource.kind, &name, wanted, object);
        Ok(applied)
    }

    /// An object as it is now, with its status.
    pub async fn get_dynamic(
        &self,
        owner: &Owner,
        resource: &ApiResource,
        name: &str,
    ) -> Result<Option<DynamicObject>, ApplyError> {
        let api = self.dynamic_api(owner, resource);
        match in_time(&resource.kind, name, api.get(name)).await {
            Ok(object) => Ok(Some(object)),
            Err(ApplyError::Request { source, .. }) if is_absent(&source) => Ok(None),
            Err(error) => Err(kind_or_request(error)),
        }
    }

    /// Takes a Shop from an object's owners, so that the object outlives it. One that is not there, or not this Shop's,
    /// is left alone.
    pub async fn disown(&self, owner: &Owner, resource: &ApiResource, name: &str) -> Result<(), ApplyError> {
        let Some(live) = self.get_dynamic(owner, resource, name).await? else {
            return Ok(());
        };
        let (ours, others): (Vec<_>, Vec<_>) = live
            .owner_references()
            .iter()
            .partition(|reference| reference.uid == owner.uid);
        if ours.is_empty() {
            return Ok(());
        }
        // With the version, so that somebody else's reference of the meantime is not lost.
        let patch =
            json!({"metadata": {"resourceVersion": live.resource_version(), "ownerReferences": others}});
        self.merge(owner, resource, name, &patch).await?;
        tracing::info!(kind = resource.kind, name, "outlives its Shop");
        Ok(())
    }

    /// Changes an object by a JSON merge patch.
    pub async fn merge(
        &self,
        owner: &Owner,
        resource: &ApiResource,
        name: &str,
        patch: &Value,
    ) -> Result<(), ApplyError> {
        let api = self.dynamic_api(owner, resource);
        let (parameters, patch) = (PatchParams::default(), Patch::Merge(patch));
        in_time(&resource.kind, name, api.patch(name, &parameters, &patch)).await?;
        Ok(())
    }

    fn dynamic_api(&self, owner: &Owner, resource: &ApiResource) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &owner.shop.namespace, resource)
    }
}

/// The kind is there, and no object of that name. Where the kind is not there, the API server names no object.
fn is_absent(error: &kube::Error) -> bool {
    let kube::Error::Api(status) = error else {
        return false;
    };
    let names_it = status
        .details
        .as_ref()
        .is_some_and(|details| !details.name.is_empty());
    status.code == 404 && names_it
}

fn kind_or_request(error: ApplyError) -> ApplyError {
    match error {
        ApplyError::Request { kind, name, source }
            if matches!(&*source, kube::Error::Api(status) if status.code == 404) && !is_absent(&source) =>
        {
            ApplyError::NoSuchKind { kind, name }
        }
        other => other,
    }
}
