//! Whether an object still is as it was applied, without keeping it in memory.
//!
//! The API server notes in `managedFields` who set which fields, and when. Whatever touches an object, its status
//! aside, changes an entry there; what the server fills in or writes differently (`1000m` as `1`) does not. So a digest
//! of these entries says whether somebody has been at an object since it was applied, which comparing the object with
//! what was sent can't.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use sha2::{Digest as _, Sha256};

/// A digest of who set what, the status aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Revision([u8; 16]);

impl Revision {
    /// That of an object as the API server answered it.
    pub fn of(meta: &ObjectMeta) -> Self {
        let mut digest = Sha256::new();
        for entry in meta.managed_fields.iter().flatten() {
            if entry.subresource.is_some() {
                continue;
            }
            // A struct of strings and JSON can't fail to serialise; if it did, the object would be applied once more.
            digest.update(serde_json::to_vec(entry).unwrap_or_default());
        }
        Self::first_half(&digest.finalize())
    }

    /// Of any bytes.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self::first_half(&Sha256::digest(bytes))
    }

    fn first_half(digest: &[u8]) -> Self {
        let mut half = [0; 16];
        half.copy_from_slice(&digest[..16]);
        Self(half)
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::{
        api::core::v1::ConfigMap,
        apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry},
    };
    use serde_json::json;

    use super::*;

    fn entry(manager: &str, fields: serde_json::Value, subresource: Option<&str>) -> ManagedFieldsEntry {
        ManagedFieldsEntry {
            manager: Some(manager.to_owned()),
            operation: Some("Apply".to_owned()),
            fields_v1: Some(FieldsV1(fields)),
            subresource: subresource.map(str::to_owned),
            ..ManagedFieldsEntry::default()
        }
    }

    fn managed(entries: Vec<ManagedFieldsEntry>) -> ConfigMap {
        let mut object = ConfigMap::default();
        object.metadata.managed_fields = Some(entries);
        object
    }

    #[test]
    fn a_status_is_no_revision_and_everything_else_is() {
        let ours = entry("shop-operator", json!({"f:data": {"f:a": {}}}), None);
        let status = entry("controller", json!({"f:status": {}}), Some("status"));
        let theirs = entry("kubectl-edit", json!({"f:data": {"f:b": {}}}), None);
        let object = managed(vec![ours.clone()]);
        let with_status = managed(vec![ours.clone(), status]);
        let edited = managed(vec![ours, theirs]);
        assert_eq!(
            Revision::of(&object.metadata),
            Revision::of(&with_status.metadata)
        );
        assert_ne!(Revision::of(&object.metadata), Revision::of(&edited.metadata));
    }
}
