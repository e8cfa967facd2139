//! CloudNativePG: <https://cloudnative-pg.io/documentation/current/>.

use std::collections::BTreeMap;

use kube::{ResourceExt as _, api::DynamicObject};

use super::{is_true, text};
use crate::{
    names,
    status::{Cause, Stage},
};

/// Where a server answers clients and those that follow it.
/// <https://cloudnative-pg.io/documentation/current/security/#exposed-ports>
pub const POSTGRES: u16 = 5432;
/// Where a server's manager tells CloudNativePG, and the other servers, how it is.
pub const STATUS: u16 = 8000;
/// Where a server's manager answers for its metrics.
pub const METRICS: u16 = 9187;

/// Phases that no waiting ends: the constants `Phase…` of
/// <https://github.com/cloudnative-pg/cloudnative-pg/blob/main/api/v1/cluster_types.go>.
const STUCK: [&str; 7] = [
    "Waiting for user action",
    "Cluster cannot proceed to reconciliation due to an unknown plugin being required",
    "Cluster cannot proceed to reconciliation due to an error while interacting with plugins",
    "Cluster has incomplete or invalid image catalog",
    "Cluster is unrecoverable and needs manual intervention",
    "Cluster cannot execute instance online upgrade due to missing architecture binary",
    "Unable to create required cluster objects",
];

/// The name of a Shop's `Cluster`.
pub fn cluster(shop: &str) -> String {
    names::object(shop, names::POSTGRES)
}

/// The name of the Service of the server that is written to.
/// <https://cloudnative-pg.io/documentation/current/applications/#dns-resolution>
pub fn service(shop: &str) -> String {
    format!("{}-rw", cluster(shop))
}

/// The name of the Secret with the superuser's `username` and `password`, which is there with `enableSuperuserAccess`.
/// <https://cloudnative-pg.io/documentation/current/applications/#secrets>
pub fn superuser_secret(shop: &str) -> String {
    format!("{}-superuser", cluster(shop))
}

/// The name of the Secret with the certificate, under `ca.crt`, of the authority that signs those of the servers. It has
/// the authority's private key too, which nobody but CloudNativePG has to read. A renewed certificate is of the same key.
/// <https://cloudnative-pg.io/documentation/current/certificates/#server-ca-secret>
pub fn ca_secret(shop: &str) -> String {
    format!("{}-ca", cluster(shop))
}

/// The labels that the pods of a Shop's `Cluster` have and no others: its servers, and the jobs that make them.
/// <https://cloudnative-pg.io/documentation/current/labels_annotations/#predefined-labels>
pub fn pod_labels(shop: &str) -> BTreeMap<String, String> {
    [("cnpg.io/cluster".to_owned(), cluster(shop))].into()
}

/// The labels of CloudNativePG's own pods, in whichever namespace they are.
/// <https://cloudnative-pg.io/documentation/current/networking/#cross-namespace-network-policy-for-the-operator>
pub fn operator_labels() -> BTreeMap<String, String> {
    [("app.kubernetes.io/name".to_owned(), "cloudnative-pg".to_owned())].into()
}

/// Whether it can be used. One whose primary answers can, also while others are made, renewed or away: they follow by
/// themselves.
pub(super) fn stage(live: &DynamicObject) -> Stage {
    if is_true(live, "Ready") || has_primary(live) {
        return Stage::Ready;
    }
    let Some(phase) = text(&live.data["status"]["phase"]) else {
        let name = live.name_any();
        let message = format!("Cluster {name}: CloudNativePG has not begun with it; does it run?");
        return Stage::Waiting(Cause::new("PostgresClusterNotReady", message));
    };
    if STUCK.contains(&phase) {
        Stage::Failed(Cause::new("PostgresClusterFailed", told(live, phase)))
    } else {
        Stage::Waiting(Cause::new("PostgresClusterNotReady", told(live, phase)))
    }
}

/// What CloudNativePG still does, where the primary can be used already.
pub(super) fn remark(live: &DynamicObject) -> Option<Cause> {
    let phase = text(&live.data["status"]["phase"]).filter(|_| !is_true(live, "Ready"))?;
    Some(Cause::new("PostgresClusterDegraded", told(live, phase)))
}

/// A phase, in words.
fn told(live: &DynamicObject, phase: &str) -> String {
    let (name, status) = (live.name_any(), &live.data["status"]);
    let reason = text(&status["phaseReason"]).map_or_else(String::new, |reason| format!(": {reason}"));
    let ready = status["readyInstances"].as_i64().unwrap_or(0);
    let wanted = live.data["spec"]["instances"].as_i64().unwrap_or(1);
    format!("Cluster {name}: {phase}{reason} ({ready} of {wanted} instances are ready)")
}

/// Whether a server is the primary, stays it, and is ready: `status` of
/// <https://github.com/cloudnative-pg/cloudnative-pg/blob/main/api/v1/cluster_types.go>.
fn has_primary(live: &DynamicObject) -> bool {
    let status = &live.data["status"];
    let healthy = status["instancesStatus"]["healthy"].as_array();
    text(&status["currentPrimary"]).is_some_and(|primary| {
        status["targetPrimary"] == primary
            && healthy.is_some_and(|healthy| healthy.iter().any(|server| server == primary))
    })
}
