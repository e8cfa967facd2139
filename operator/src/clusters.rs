//! The operators that run PostgreSQL and RabbitMQ on several machines: what they call what they make, and what their
//! resources say of it. Pure.
//!
//! What this operator does not set in such a resource is left to its defaults, and to people: server-side apply keeps what
//! others have set, `resources` for example.

pub mod cloud_native_pg;
pub mod rabbitmq;

use kube::{
    ResourceExt as _,
    api::{ApiResource, DynamicObject},
};
use serde_json::Value;

use crate::status::{Cause, Stage};

/// A kind of resource that stands for a whole cluster of servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `Cluster` of CloudNativePG.
    CloudNativePg,
    /// `RabbitmqCluster` of the RabbitMQ Cluster Operator.
    RabbitmqCluster,
}

impl Kind {
    /// Where the API server has it.
    pub fn resource(self) -> ApiResource {
        let (group, version, kind, plural) = match self {
            Self::CloudNativePg => ("postgresql.cnpg.io", "v1", "Cluster", "clusters"),
            Self::RabbitmqCluster => ("rabbitmq.com", "v1beta1", "RabbitmqCluster", "rabbitmqclusters"),
        };
        ApiResource {
            group: group.to_owned(),
            version: version.to_owned(),
            api_version: format!("{group}/{version}"),
            kind: kind.to_owned(),
            plural: plural.to_owned(),
        }
    }

    /// How it is where the API server does not know the kind: nobody would work on it.
    pub fn missing(self) -> Stage {
        let ApiResource { group, plural, .. } = self.resource();
        let (reason, operator, documentation) = match self {
            Self::CloudNativePg => (
                "CloudNativePgMissing",
                "CloudNativePG",
                "https://cloudnative-pg.io/documentation/current/installation_upgrade/",
            ),
            Self::RabbitmqCluster => (
                "RabbitmqClusterOperatorMissing",
                "the RabbitMQ Cluster Operator",
                "https://www.rabbitmq.com/kubernetes/operator/install-operator",
            ),
        };
        let message = format!(
            "there is no CustomResourceDefinition {plural}.{group} in this cluster: install {operator}, see {documentation}"
        );
        Stage::Failed(Cause::new(reason, message))
    }

    /// How it is, from the resource as it was last seen.
    pub fn stage(self, live: &DynamicObject) -> Stage {
        if live.metadata.deletion_timestamp.is_some() {
            let ApiResource { kind, .. } = self.resource();
            let message = format!(
                "{kind} {} is being deleted; it is made again then",
                live.name_any()
            );
            return Stage::Waiting(Cause::new("ClusterBeingDeleted", message));
        }
        match self {
            Self::CloudNativePg => cloud_native_pg::stage(live),
            Self::RabbitmqCluster => rabbitmq::stage(live),
        }
    }

    /// What a person should know of one that can be used: something is away, or being renewed.
    pub fn remark(self, live: &DynamicObject) -> Option<Cause> {
        match self {
            Self::CloudNativePg => cloud_native_pg::remark(live),
            Self::RabbitmqCluster => rabbitmq::remark(live),
        }
    }
}

/// A condition of a resource's status.
fn condition<'a>(live: &'a DynamicObject, kind: &str) -> Option<&'a Value> {
    let mut conditions = live.data["status"]["conditions"].as_array()?.iter();
    conditions.find(|condition| condition["type"] == kind)
}

fn is_true(live: &DynamicObject, kind: &str) -> bool {
    condition(live, kind).is_some_and(|condition| condition["status"] == "True")
}

/// A text that is there and not empty.
fn text(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests;
