//! The `Cluster` of CloudNativePG, from version 1.25 on.

use kube::api::DynamicObject;
use serde_json::json;

use super::of_data;
use crate::{
    clusters::{Kind, cloud_native_pg},
    crd::CloudNativePg,
    names,
    validate::Validated,
};

/// <https://cloudnative-pg.io/documentation/current/cloudnative-pg.v1/#clusterspec>
pub(super) fn cluster(shop: &Validated, wanted: &CloudNativePg) -> DynamicObject {
    let mut storage = json!({"size": wanted.storage});
    if let Some(class) = &wanted.storage_class_name {
        storage["storageClass"] = json!(class);
    }
    let several = wanted.instances > 1;
    let mut spec = json!({
        "instances": wanted.instances,
        "storage": storage,
        // The databases and their roles are made over SQL, as on any other server.
        "enableSuperuserAccess": true,
        // A budget for a single server would only keep its node from ever being drained.
        "enablePDB": several,
    });
    if several {
        // An order that was answered for is on two machines: a primary that dies takes none with it. Where no server
        // follows, the primary goes on alone.
        // <https://cloudnative-pg.io/documentation/current/replication/#data-durability-and-synchronous-replication>
        let synchronous = json!({"method": "any", "number": 1, "dataDurability": "preferred"});
        spec["postgresql"] = json!({"synchronous": synchronous});
    }
    let name = cloud_native_pg::cluster(&shop.name);
    DynamicObject {
        metadata: of_data(shop, name.clone(), names::POSTGRES),
        ..DynamicObject::new(&name, &Kind::CloudNativePg.resource()).data(json!({"spec": spec}))
    }
}
