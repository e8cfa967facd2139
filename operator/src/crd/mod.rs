//! The `Shop` resource: what a person asks for ([`ShopSpec`]) and what they are told ([`ShopStatus`]). Everything in a
//! spec has a working default, so that `spec: {}` is a shop.

#![allow(
    unreachable_pub,
    reason = "deriving KubeSchema repeats each struct in a function of its own"
)]

mod backends;
mod clusters;
mod spec;
mod status;
mod workload;

pub use backends::{
    Database, Embedded, ExternalDatabase, ExternalMessaging, Messaging, SecretReference, TlsMode,
};
pub use clusters::{CloudNativePg, RabbitmqCluster};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt as _;
pub use spec::{
    CredentialsPolicy, DeletionPolicy, Image, LogLevel, NetworkPolicies, PullPolicy, Shop, ShopSpec,
    Telemetry,
};
pub use status::{ServiceStatus, ShopStatus};
pub use workload::{Autoscaling, Gateway, Ingress, IngressTls, Services, Workload};

/// The CustomResourceDefinition as YAML.
pub fn manifest() -> Result<String, serde_saphyr::ser::Error> {
    serde_saphyr::to_string(&definition())
}

/// The CustomResourceDefinition. The types of Kubernetes itself go without their descriptions, which would make it
/// larger than `kubectl apply` can take, and no field is nullable: so the API server takes `null` for a field that is not
/// there, where its rules would else see one that is.
pub fn definition() -> CustomResourceDefinition {
    let mut definition = Shop::crd();
    for version in &mut definition.spec.versions {
        if let Some(schema) = version
            .schema
            .as_mut()
            .and_then(|schema| schema.open_api_v3_schema.as_mut())
        {
            shorten(schema);
            for_each_inside(schema, &mut |inside| {
                inside.nullable = None;
                // Formats of schemars that the API server doesn't know and warns of; the ranges say the same.
                inside.format = inside.format.take().filter(|format| !format.starts_with("uint"));
            });
        }
    }
    definition
}

/// Fields whose types are Kubernetes' own.
const OF_KUBERNETES: [&str; 4] = ["affinity", "env", "resources", "tolerations"];

fn shorten(schema: &mut JSONSchemaProps) {
    for (name, property) in schema.properties.iter_mut().flatten() {
        if OF_KUBERNETES.contains(&name.as_str()) {
            for_each_inside(property, &mut |inside| inside.description = None);
        } else {
            shorten(property);
        }
    }
}

fn for_each_inside(schema: &mut JSONSchemaProps, change: &mut impl FnMut(&mut JSONSchemaProps)) {
    let properties = schema
        .properties
        .iter_mut()
        .flatten()
        .map(|(_, property)| property);
    let items = match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => Some(items.as_mut()),
        _ => None,
    };
    let values = match &mut schema.additional_properties {
        Some(JSONSchemaPropsOrBool::Schema(values)) => Some(values.as_mut()),
        _ => None,
    };
    for inside in properties.chain(items).chain(values) {
        change(inside);
        for_each_inside(inside, change);
    }
}

#[cfg(test)]
mod tests;
