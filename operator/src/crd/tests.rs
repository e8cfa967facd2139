#![allow(clippy::unwrap_used)]

use super::*;

fn schema() -> JSONSchemaProps {
    definition()
        .spec
        .versions
        .remove(0)
        .schema
        .unwrap()
        .open_api_v3_schema
        .unwrap()
}

#[test]
fn an_empty_spec_is_a_whole_one() {
    let shop: Shop = serde_json::from_value(serde_json::json!({
        "apiVersion": "shop-operator.io/v1alpha1", "kind": "Shop", "metadata": {"name": "demo"}, "spec": {}
    }))
    .unwrap();
    assert_eq!(shop.spec, ShopSpec::default());
    assert!(shop.spec.database.embedded.is_some() && shop.spec.messaging.embedded.is_some());
    assert!(shop.spec.network_policy.enabled && !shop.spec.paused);
}

#[test]
fn a_spec_is_read_from_json_as_from_yaml() {
    let shop: Shop =
        serde_saphyr::from_str(include_str!("../../../deploy/examples/production.yaml")).unwrap();
    let json = serde_json::to_string(&shop).unwrap();
    assert_eq!(serde_json::from_str::<Shop>(&json).unwrap(), shop);
    assert_eq!(shop.spec.gateway.workload.autoscaling.unwrap().max_replicas, 6);
}

#[test]
fn kubectl_can_apply_the_definition() {
    // kubectl keeps what it applied in an annotation, and annotations may have 256 KiB together.
    let size = serde_json::to_string(&definition()).unwrap().len();
    assert!(size < 200 * 1024, "{size} bytes");
}

#[test]
fn every_field_of_ours_says_what_it_is() {
    fn check(path: &str, schema: &JSONSchemaProps) {
        for (name, property) in schema.properties.iter().flatten() {
            let path = format!("{path}.{name}");
            assert!(property.description.is_some(), "{path} has no description");
            if !OF_KUBERNETES.contains(&name.as_str()) && name != "conditions" {
                check(&path, property);
            }
        }
    }
    check("", schema().properties.unwrap().get("spec").unwrap());
}

#[test]
fn the_committed_definition_is_this_one() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../charts/shop-operator/files/shops.yaml"
    );
    let generated = manifest().unwrap();
    if std::env::var_os("UPDATE_CHARTS").is_some() {
        std::fs::write(path, &generated).unwrap();
    }
    assert!(
        std::fs::read_to_string(path).unwrap() == generated,
        "write it anew: UPDATE_CHARTS=1 cargo test -p shop-operator --lib crd"
    );
}
