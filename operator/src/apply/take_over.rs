//! Fields that others have set, made ours, so that the next server-side apply removes those that are not desired.
//!
//! Server-side apply leaves alone what others own. Mostly that is right, but somebody who replaces a list by an edit owns
//! its entries, and ours beside theirs may be no valid object: two ports of one name. What is done is what client-go does
//! for those who change from client-side apply: <https://pkg.go.dev/k8s.io/client-go/util/csaupgrade>.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, ObjectMeta};
use serde_json::{Map, Value, json};

use super::FIELD_MANAGER;

/// The patch that makes all fields of an object ours, those of subresources aside: a status, or replicas that an
/// autoscaler sets. It fails if the object has changed meanwhile.
pub(super) fn patch(meta: &ObjectMeta, api_version: &str) -> Value {
    let entries = meta.managed_fields.iter().flatten();
    let (of_subresources, of_object): (Vec<_>, Vec<_>) =
        entries.partition(|entry| entry.subresource.as_ref().is_some_and(|name| !name.is_empty()));
    let mut fields = Value::Object(Map::new());
    for FieldsV1(more) in of_object.iter().filter_map(|entry| entry.fields_v1.as_ref()) {
        merge(&mut fields, more);
    }
    let ours = ManagedFieldsEntry {
        manager: Some(FIELD_MANAGER.to_owned()),
        operation: Some("Apply".to_owned()),
        api_version: Some(api_version.to_owned()),
        fields_type: Some("FieldsV1".to_owned()),
        fields_v1: Some(FieldsV1(fields)),
        ..ManagedFieldsEntry::default()
    };
    let entries: Vec<_> = of_subresources.into_iter().cloned().chain([ours]).collect();
    json!({"metadata": {"resourceVersion": meta.resource_version, "managedFields": entries}})
}

/// Adds the paths of one set of fields to another.
fn merge(into: &mut Value, more: &Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        for (key, value) in more {
            merge(into.entry(key).or_insert_with(|| json!({})), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_but_subresources_is_ours_then() {
        let meta: ObjectMeta = serde_json::from_value(json!({
            "resourceVersion": "7",
            "managedFields": [
                {"manager": "shop-operator", "operation": "Apply", "fieldsV1": {"f:spec": {"f:ports": {"k:8080": {".": {}}}}}},
                {"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:spec": {"f:ports": {"k:8081": {".": {}}}}}},
                {"manager": "scaler", "operation": "Update", "subresource": "scale", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
            ],
        }))
        .unwrap();
        let patch = patch(&meta, "v1");
        assert_eq!(patch["metadata"]["resourceVersion"], "7");
        let entries = patch["metadata"]["managedFields"].as_array().unwrap();
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[0]["manager"], "scaler");
        assert_eq!(entries[1]["manager"], "shop-operator");
        let ports = json!({"k:8080": {".": {}}, "k:8081": {".": {}}});
        assert_eq!(entries[1]["fieldsV1"], json!({"f:spec": {"f:ports": ports}}));
    }
}
