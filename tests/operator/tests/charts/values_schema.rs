//! `charts/shop/values.schema.json` is the schema of a Shop's spec, in the words of JSON Schema, and what the chart has beside
//! it: so Helm names a wrong value before anything reaches the cluster.

use serde_json::{Map, Value, json};
use shop_operator::crd;

use crate::chart;

/// Fields whose types are Kubernetes' own: the API server checks what is inside.
const OF_KUBERNETES: [&str; 4] = ["affinity", "env", "resources", "tolerations"];
/// What JSON Schema means by the same words.
const ALIKE: [&str; 11] = [
    "description",
    "enum",
    "maximum",
    "maxItems",
    "maxLength",
    "minimum",
    "minItems",
    "minLength",
    "pattern",
    "required",
    "type",
];

fn json_schema(structural: &Value) -> Value {
    let mut schema: Map<String, Value> = ALIKE
        .iter()
        .filter_map(|word| Some(((*word).to_owned(), structural.get(word)?.clone())))
        .collect();
    if structural["x-kubernetes-int-or-string"] == true {
        schema.insert("type".to_owned(), json!(["integer", "string"]));
    }
    if let Some(items) = structural.get("items") {
        schema.insert("items".to_owned(), json_schema(items));
    }
    if let Some(values) = structural.get("additionalProperties") {
        schema.insert("additionalProperties".to_owned(), json_schema(values));
    }
    if let Some(properties) = structural.get("properties").and_then(Value::as_object) {
        let properties = properties.iter().map(|(name, property)| {
            if OF_KUBERNETES.contains(&name.as_str()) {
                let outside = ["description", "maxItems", "type"];
                let outside = outside
                    .iter()
                    .filter_map(|word| Some(((*word).to_owned(), property.get(word)?.clone())));
                (name.clone(), Value::Object(outside.collect()))
            } else {
                (name.clone(), json_schema(property))
            }
        });
        schema.insert("properties".to_owned(), Value::Object(properties.collect()));
        schema.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    Value::Object(schema)
}

fn generated() -> String {
    let definition = serde_json::to_value(crd::definition()).unwrap();
    let spec = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let mut schema = json_schema(spec);
    schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    schema["title"] = json!("Values of the chart shop: the spec of a Shop");
    schema["properties"]["demoData"] = json!({
        "description": "Whether the shop begins with demo data: products, customers and orders.",
        "type": "boolean",
    });
    schema["properties"]["global"] = json!({"type": "object"});
    schema.as_object_mut().unwrap().remove("description");
    format!("{}\n", serde_json::to_string_pretty(&schema).unwrap())
}

#[test]
fn the_committed_schema_is_that_of_a_spec() {
    let path = chart("shop").join("values.schema.json");
    if std::env::var_os("UPDATE_CHARTS").is_some() {
        std::fs::write(&path, generated()).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == generated(),
        "write it anew: UPDATE_CHARTS=1 cargo test --workspace --release --test charts"
    );
}
