//! Fields that others have set, made ours, so that the next server-side apply removes those that are not desired.
//!
//! Server-side apply leaves alone what others own. Mostly that is right, but somebody who replaces a list by an edit owns
//! its entries, and ours beside theirs may be no valid object: two ports of one name. What is done is what client-go does
//! for those who change from client-side apply: <https://pkg.go.dev/k8s.io/client-go/util/csaupgrade>. Only with those
//! fields, though, that the API server names as wrong: labels of others, and whatever else they set, stay theirs.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, ObjectMeta};
use serde_json::{Map, Value, json};

use super::FIELD_MANAGER;

/// The way to a field of an object, as `managedFields` has it: `f:spec`, `f:ports`.
pub(super) type Path = Vec<String>;

/// The ways to the fields that the API server names as wrong; of one in a list that to the list. The metadata is nobody's
/// to take.
pub(super) fn paths(error: &kube::Error) -> Vec<Path> {
    let kube::Error::Api(status) = error else {
        return Vec::new();
    };
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let mut paths: Vec<_> = causes
        .map(|cause| {
            let field = cause.field.split('[').next().unwrap_or_default();
            let segments = field.split('.').filter(|segment| !segment.is_empty());
            segments.map(|segment| format!("f:{segment}")).collect::<Path>()
        })
        .filter(|path| path.first().is_some_and(|first| first != "f:metadata"))
        .collect();
    paths.sort();
    paths.dedup();
    paths
}

/// The patch that makes fields of an object ours which others have set: nothing if they have set none of these. It fails if
/// the object has changed meanwhile. Fields that are set by a subresource, such as the replicas of an autoscaler, are not
/// taken.
pub(super) fn patch(meta: &ObjectMeta, api_version: &str, paths: &[Path]) -> Option<Value> {
    let mut taken = Value::Object(Map::new());
    let mut entries = Vec::new();
    let mut ours = None;
    for entry in meta.managed_fields.iter().flatten() {
        let of_subresource = entry.subresource.as_ref().is_some_and(|name| !name.is_empty());
        let mut entry = entry.clone();
        if of_subresource {
            entries.push(entry);
        } else if entry.manager.as_deref() == Some(FIELD_MANAGER)
            && entry.operation.as_deref() == Some("Apply")
        {
            ours = entry.fields_v1;
        } else {
            if let Some(FieldsV1(fields)) = &mut entry.fields_v1 {
                for path in paths {
                    take(fields, path, &mut taken);
                }
            }
            // One that owns nothing is none.
            if entry
                .fields_v1
                .as_ref()
                .is_some_and(|FieldsV1(fields)| *fields != json!({}))
            {
                entries.push(entry);
            }
        }
    }
    if taken == json!({}) {
        return None;
    }
    let mut fields = ours.map_or_else(|| json!({}), |FieldsV1(fields)| fields);
    merge(&mut fields, &taken);
    entries.push(ManagedFieldsEntry {
        manager: Some(FIELD_MANAGER.to_owned()),
        operation: Some("Apply".to_owned()),
        api_version: Some(api_version.to_owned()),
        fields_type: Some("FieldsV1".to_owned()),
        fields_v1: Some(FieldsV1(fields)),
        ..ManagedFieldsEntry::default()
    });
    Some(json!({"metadata": {"resourceVersion": meta.resource_version, "managedFields": entries}}))
}

/// Moves what is at the end of a path, if it is there.
fn take(from: &mut Value, path: &[String], into: &mut Value) {
    let (Some((first, rest)), Value::Object(from)) = (path.split_first(), from) else {
        return;
    };
    let Value::Object(into) = into else { return };
    if rest.is_empty() {
        if let Some(fields) = from.remove(first) {
            merge(into.entry(first).or_insert_with(|| json!({})), &fields);
        }
        return;
    }
    let Some(inside) = from.get_mut(first) else { return };
    let mut taken = json!({});
    take(inside, rest, &mut taken);
    if *inside == json!({}) {
        from.remove(first);
    }
    if taken != json!({}) {
        merge(into.entry(first).or_insert_with(|| json!({})), &taken);
    }
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
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn refused(fields: &[&str]) -> kube::Error {
        let causes: Vec<_> = fields
            .iter()
            .map(|field| json!({"field": field, "reason": "FieldValueDuplicate", "message": ""}))
            .collect();
        let status = json!({
            "status": "Failure", "code": 422, "reason": "Invalid", "message": "", "details": {"causes": causes},
        });
        kube::Error::Api(Box::new(serde_json::from_value(status).unwrap()))
    }

    fn edited() -> ObjectMeta {
        serde_json::from_value(json!({
            "resourceVersion": "7",
            "managedFields": [
                {"manager": "shop-operator", "operation": "Apply", "fieldsV1": {"f:spec": {"f:ports": {"k:8080": {".": {}}}}}},
                {"manager": "kubectl", "operation": "Update", "fieldsV1": {
                    "f:metadata": {"f:labels": {"f:team": {}}},
                    "f:spec": {"f:ports": {"k:8081": {".": {}}}, "f:type": {}},
                }},
                {"manager": "editor", "operation": "Update", "fieldsV1": {"f:spec": {"f:ports": {"k:8082": {}}}}},
                {"manager": "scaler", "operation": "Update", "subresource": "scale", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
            ],
        }))
        .unwrap()
    }

    #[test]
    fn what_is_wrong_is_ours_then_and_the_rest_stays_theirs() {
        let paths = paths(&refused(&["spec.ports[1].name", "spec.ports[2].name"]));
        let patch = patch(&edited(), "v1", &paths).unwrap();
        assert_eq!(patch["metadata"]["resourceVersion"], "7");
        let entries = patch["metadata"]["managedFields"].as_array().unwrap();
        let managers: Vec<_> = entries
            .iter()
            .map(|entry| entry["manager"].as_str().unwrap())
            .collect();
        // The editor owns nothing any more.
        assert_eq!(managers, ["kubectl", "scaler", "shop-operator"]);
        assert_eq!(
            entries[0]["fieldsV1"],
            json!({"f:metadata": {"f:labels": {"f:team": {}}}, "f:spec": {"f:type": {}}})
        );
        let ports = json!({"k:8080": {".": {}}, "k:8081": {".": {}}, "k:8082": {}});
        assert_eq!(entries[2]["fieldsV1"], json!({"f:spec": {"f:ports": ports}}));
    }

    #[test]
    fn nothing_is_taken_for_what_others_have_not_set() {
        for fields in [&["spec.selector"][..], &["metadata.labels"], &[""], &[]] {
            let paths = paths(&refused(fields));
            assert_eq!(patch(&edited(), "v1", &paths), None, "{fields:?}");
        }
        assert_eq!(paths(&kube::Error::TlsRequired), Vec::<Path>::new());
    }

    #[test]
    fn a_field_deep_inside_is_found_by_its_list() {
        let paths = paths(&refused(&["spec.template.spec.containers[0].env[1].valueFrom"]));
        assert_eq!(paths, [["f:spec", "f:template", "f:spec", "f:containers"]]);
    }
}
