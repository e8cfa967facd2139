//! `status`.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a Shop is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ShopStatus {
    /// The generation of the spec that this status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Progressing, Degraded, DatabaseReady, MessagingReady and ServicesReady.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Where the gateway answers: the Ingress' URL, or else the one inside the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The version that every service runs; while a new one rolls out still the old one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// How many pods of each service there are.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub services: BTreeMap<String, ServiceStatus>,
    /// What marks the Shop's databases and virtual host on servers that others use too; no secret. It is that of the Secret
    /// `<shop>-identity`, which may be deleted before what it tells of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// Messages that no consumer could work off and that wait for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_letters: Option<i64>,
    /// The gateway's pods, for `kubectl scale` and autoscalers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway_replicas: Option<i32>,
    /// The labels of the gateway's pods, for autoscalers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway_selector: Option<String>,
}

/// How many pods of a service there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceStatus {
    /// That answer.
    pub ready: i32,
    /// That are wanted.
    pub desired: i32,
}
