//! PostgreSQL and RabbitMQ.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{Affinity, ResourceRequirements, Toleration},
    apimachinery::pkg::api::resource::Quantity,
};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CloudNativePg, RabbitmqCluster};

/// PostgreSQL: exactly one way to have it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("(has(self.embedded) ? 1 : 0) + (has(self.cloudNativePg) ? 1 : 0) \
        + (has(self.external) ? 1 : 0) == 1")
        .message("give exactly one of embedded, cloudNativePg and external"),
    validation = Rule::new("has(self.embedded) == has(oldSelf.embedded) \
        && has(self.external) == has(oldSelf.external)")
        .message("embedded, cloudNativePg and external can't be exchanged: the data would stay behind. Make a new Shop and move the data")
)]
pub struct Database {
    /// One PostgreSQL in the namespace, for trying it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embedded: Option<Embedded>,
    /// A PostgreSQL of several servers, run by CloudNativePG, which the cluster must have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloud_native_pg: Option<CloudNativePg>,
    /// A PostgreSQL that is there already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalDatabase>,
}

impl Default for Database {
    fn default() -> Self {
        Self {
            embedded: Some(Embedded::default()),
            cloud_native_pg: None,
            external: None,
        }
    }
}

/// RabbitMQ: exactly one way to have it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("(has(self.embedded) ? 1 : 0) + (has(self.rabbitmqCluster) ? 1 : 0) \
        + (has(self.external) ? 1 : 0) == 1")
        .message("give exactly one of embedded, rabbitmqCluster and external"),
    validation = Rule::new("has(self.embedded) == has(oldSelf.embedded) \
        && has(self.external) == has(oldSelf.external)")
        .message("embedded, rabbitmqCluster and external can't be exchanged: messages would stay behind. Make a new Shop")
)]
pub struct Messaging {
    /// One RabbitMQ in the namespace, for trying it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embedded: Option<Embedded>,
    /// A RabbitMQ of several nodes, run by the RabbitMQ Cluster Operator, which the cluster must have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rabbitmq_cluster: Option<RabbitmqCluster>,
    /// A RabbitMQ that is there already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalMessaging>,
}

impl Default for Messaging {
    fn default() -> Self {
        Self {
            embedded: Some(Embedded::default()),
            rabbitmq_cluster: None,
            external: None,
        }
    }
}

/// A data store in a pod of its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.storage) || (isQuantity(string(self.storage)) \
        && quantity(string(self.storage)).isGreaterThan(quantity('0')))")
        .message("storage must be a size above zero, for example 10Gi"),
    validation = Rule::new("has(self.storage) == has(oldSelf.storage) && (!has(self.storage) || self.storage == oldSelf.storage)")
        .message("storage can't be changed: the volume is made once"),
    validation = Rule::new("has(self.storageClassName) == has(oldSelf.storageClassName) && (!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)")
        .message("storageClassName can't be changed: the volume is made once")
)]
pub struct Embedded {
    /// The size of its volume, for example 10Gi; 1Gi by default. Where the cluster has no storage class to make one, the
    /// data lives and dies with the pod, which the Shop's status says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<Quantity>,
    /// Which storage class makes the volume. The cluster's default one by default.
    #[schemars(length(min = 1, max = 253))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_class_name: Option<String>,
    /// Another image than the official one. It is pulled with the Secrets of `image.pullSecrets`.
    #[schemars(length(min = 1, max = 400))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// What its pod may use; a modest request and limit by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
    /// Labels that its node must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints of nodes to put up with.
    #[schemars(length(max = 50))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tolerations: Vec<Toleration>,
    /// Which nodes and which neighbours are preferred or required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,
}

/// The name of a Secret in the Shop's namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretReference {
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// How a connection is encrypted, in the words of PostgreSQL's `sslmode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TlsMode {
    /// Not at all.
    Disable,
    /// If the server can, which whoever is in between decides.
    Prefer,
    /// Always, without asking who the server is.
    Require,
    /// Always, with a certificate of the authority in the admin Secret's `ca.crt`.
    VerifyCa,
    /// Always, with a certificate that has the server's name, of the authority in the admin Secret's `ca.crt`, or of a public
    /// one where there is none.
    #[default]
    VerifyFull,
}

/// A PostgreSQL that is there already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalDatabase {
    /// Its name or address, as the pods and the operator reach it.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[A-Za-z0-9.:_-]+$"))]
    pub host: String,
    /// Its port; 5432 by default.
    #[schemars(range(min = 1))]
    #[serde(default = "postgres_port")]
    pub port: u16,
    /// A Secret with `username` and `password` of a role that may create databases and roles, and `ca.crt` where the server's
    /// certificate is of an authority of its own. It must have the label
    /// shop-operator.io/for with the Shop's name, or with any, for all Shops of the namespace.
    pub admin_secret: SecretReference,
    /// How connections are encrypted; verify-full by default.
    #[serde(default)]
    pub tls: TlsMode,
}

fn postgres_port() -> u16 {
    5432
}

/// A RabbitMQ that is there already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!isURL(self.amqp) || url(self.amqp).getPort() == '' \
        || (int(url(self.amqp).getPort()) >= 1 && int(url(self.amqp).getPort()) <= 65535)")
        .message("amqp must have a port from 1 to 65535"),
    validation = Rule::new("!isURL(self.management) || url(self.management).getPort() == '' \
        || (int(url(self.management).getPort()) >= 1 && int(url(self.management).getPort()) <= 65535)")
        .message("management must have a port from 1 to 65535")
)]
pub struct ExternalMessaging {
    /// Where the services reach it, without user and virtual host: amqp://host:5672 or amqps://host:5671.
    #[schemars(
        length(max = 500),
        regex(pattern = r"^amqps?://[A-Za-z0-9._-]+(:[0-9]{1,5})?$")
    )]
    pub amqp: String,
    /// Where the operator reaches its management API: http://host:15672.
    #[schemars(
        length(max = 500),
        regex(pattern = r"^https?://[A-Za-z0-9._-]+(:[0-9]{1,5})?(/[^ ?#]*)?$")
    )]
    pub management: String,
    /// A Secret with `username` and `password` of a user with the tag `administrator`, and `ca.crt` where its certificate
    /// is of an authority of its own. It must have the label
    /// shop-operator.io/for with the Shop's name, or with any, for all Shops of the namespace.
    pub admin_secret: SecretReference,
}
