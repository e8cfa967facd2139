//! Data stores that other operators run. Their definitions are installed here and their part is played, with real servers
//! behind it: what they write down, under the names that their documentation gives.

use anyhow::{Context as _, ensure};
use e2e::{
    kubernetes::{Namespace, kubectl},
    wait_until,
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::json;

use super::{World, file, neighbours::nothing_of, place_an_order};

const SHOP: &str = "spread";
const DEFINITIONS: [&str; 2] = ["clusters.postgresql.cnpg.io", "rabbitmqclusters.rabbitmq.com"];
const POSTGRES: &str = "clusters.postgresql.cnpg.io/spread-postgres";
const RABBITMQ: &str = "rabbitmqclusters.rabbitmq.com/spread-rabbitmq";

/// A Shop that is there before the operators of its data stores says what to install, then what it waits for, and works
/// when they have done their part. Its clusters go with it.
pub(crate) async fn of_other_operators(_: &World) -> anyhow::Result<()> {
    for definition in DEFINITIONS {
        let found = kubectl(["get", "customresourcedefinition", definition]).await;
        ensure!(
            found.is_err(),
            "{definition} is there: whoever works on these resources would be in this test's way"
        );
    }
    let namespace = Namespace::create("spread").await?;
    let spec = "{deletionPolicy: Delete, database: {cloudNativePg: {instances: 3, storage: 1Gi}}, \
        messaging: {rabbitmqCluster: {replicas: 3, storage: 10Gi}}}";
    namespace
        .apply(&format!(
            "apiVersion: shop-operator.io/v1alpha1\nkind: Shop\nmetadata: {{name: {SHOP}}}\nspec: {spec}\n"
        ))
        .await?;
    says(&namespace, "DatabaseReady", "CloudNativePgMissing").await?;
    says(&namespace, "MessagingReady", "RabbitmqClusterOperatorMissing").await?;

    let definitions = file("tests/e2e/tests/story/clusters/definitions.yaml");
    kubectl(["apply", "--filename", &definitions]).await?;
    says(&namespace, "DatabaseReady", "PostgresClusterNotReady").await?;
    says(&namespace, "MessagingReady", "RabbitmqClusterNotReady").await?;
    let asked = namespace.get(POSTGRES).await?["spec"].clone();
    ensure!(
        asked["instances"] == 3 && asked["storage"]["size"] == "1Gi",
        "{asked}"
    );
    let asked = namespace.get(RABBITMQ).await?["spec"].clone();
    ensure!(
        asked["replicas"] == 3 && asked["persistence"]["storage"] == "10Gi",
        "{asked}"
    );

    play_cloud_native_pg(&namespace).await?;
    play_the_rabbitmq_cluster_operator(&namespace).await?;
    namespace.ready(SHOP).await?;
    let (forward, shop) = namespace.shop(SHOP).await?;
    place_an_order(&shop).await?;

    // A replica is lost: orders go on, and a person is told.
    let ready = json!([{"type": "Ready", "status": "False", "reason": "ClusterIsNotReady"}]);
    let status = json!({"phase": "Creating a new replica", "readyInstances": 2, "conditions": ready});
    set_status(&namespace, POSTGRES, &status).await?;
    says(&namespace, "DatabaseReady", "PostgresClusterDegraded").await?;
    ensure!(
        namespace.condition(SHOP, "Ready").await?.status == "True",
        "a Shop with a primary is not ready"
    );
    place_an_order(&shop).await?;
    drop(forward);

    namespace
        .kubectl(&["delete", "shop", SHOP, "--timeout=60s"])
        .await?;
    nothing_of(&namespace, SHOP).await?;
    let clusters = || namespace.names("clusters.postgresql.cnpg.io,rabbitmqclusters.rabbitmq.com");
    wait_until("its clusters are gone", clusters, Vec::is_empty).await?;
    kubectl(["delete", "--filename", &definitions, "--timeout=60s"]).await?;
    namespace.delete().await
}

async fn says(namespace: &Namespace, kind: &str, reason: &str) -> anyhow::Result<()> {
    let condition = || namespace.condition(SHOP, kind);
    let what = format!("{kind} says {reason}");
    wait_until(&what, condition, |condition| condition.reason == reason).await?;
    Ok(())
}

/// One server with a certificate, which clients verify, for the three of the resource.
async fn play_cloud_native_pg(namespace: &Namespace) -> anyhow::Result<()> {
    let host = format!("spread-postgres-rw.{}.svc", namespace.name());
    let certificates = Certificates::for_host(&host)?;
    let secret = |name: &str, entries: serde_json::Value| {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": entries,
        });
        secret.to_string()
    };
    let authority = json!({"ca.crt": certificates.authority});
    namespace.apply(&secret("spread-postgres-ca", authority)).await?;
    let server = json!({"tls.crt": certificates.certificate, "tls.key": certificates.key});
    namespace.apply(&secret("spread-postgres-server", server)).await?;
    run(namespace, "postgres.yaml", "pod/spread-postgres-1").await?;
    let status = json!({
        "phase": "Cluster in healthy state",
        "readyInstances": 3,
        "currentPrimary": "spread-postgres-1",
        "targetPrimary": "spread-postgres-1",
        "instancesStatus": {"healthy": ["spread-postgres-1", "spread-postgres-2", "spread-postgres-3"]},
        "conditions": [{"type": "Ready", "status": "True", "reason": "ClusterIsReady"}],
    });
    set_status(namespace, POSTGRES, &status).await
}

async fn play_the_rabbitmq_cluster_operator(namespace: &Namespace) -> anyhow::Result<()> {
    run(namespace, "rabbitmq.yaml", "pod/spread-rabbitmq-server-0").await?;
    let generation = namespace.get(RABBITMQ).await?["metadata"]["generation"].clone();
    let condition = |kind: &str| json!({"type": kind, "status": "True"});
    let conditions = ["AllReplicasReady", "ClusterAvailable", "ReconcileSuccess"].map(condition);
    let status = json!({"observedGeneration": generation, "conditions": conditions});
    set_status(namespace, RABBITMQ, &status).await
}

async fn run(namespace: &Namespace, manifests: &str, pod: &str) -> anyhow::Result<()> {
    let manifests = file(&format!("tests/e2e/tests/story/clusters/{manifests}"));
    namespace.kubectl(&["apply", "--filename", &manifests]).await?;
    let ready = ["wait", pod, "--for=condition=Ready", "--timeout=120s"];
    let waited = namespace.kubectl(&ready).await;
    waited
        .map(drop)
        .with_context(|| format!("{pod} in a test's part"))
}

async fn set_status(namespace: &Namespace, what: &str, status: &serde_json::Value) -> anyhow::Result<()> {
    let patch = json!({"status": status}).to_string();
    let patch = [
        "patch",
        what,
        "--subresource=status",
        "--type=merge",
        "--patch",
        &patch,
    ];
    namespace.kubectl(&patch).await?;
    Ok(())
}

/// An authority, and what it signed for a server; all in PEM.
struct Certificates {
    authority: String,
    certificate: String,
    key: String,
}

impl Certificates {
    fn for_host(host: &str) -> anyhow::Result<Self> {
        let mut authority = CertificateParams::default();
        authority
            .distinguished_name
            .push(DnType::CommonName, "spread-postgres");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let authority_pem = authority.self_signed(&key)?.pem();
        let issuer = Issuer::from_params(&authority, &key);
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new([host.to_owned()])?.signed_by(&key, &issuer)?;
        Ok(Self {
            authority: authority_pem,
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }
}
