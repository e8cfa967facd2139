//! How the services know each other.

use anyhow::{Context as _, ensure};
use e2e::{kubernetes::Forward, wait_until};
use proto::inventory::{ListProductsRequest, inventory_service_client::InventoryServiceClient};
use tonic::{
    Code, Status,
    transport::{Certificate, ClientTlsConfig, Endpoint, Identity},
};

use super::{DEMO, PROGRAMS, World, place_an_order, traffic::Traffic};

/// 2000-01-01T00:00:00Z, as a Secret has it.
const LONG_AGO: &str = "MjAwMC0wMS0wMVQwMDowMDowMFo=";

/// Who has a certificate of the shop is answered, where it has a reason to call, and nobody else.
pub(crate) async fn mutual(world: &World) -> anyhow::Result<()> {
    let namespace = &world.namespace;
    let forward = Forward::start(namespace.name(), "deployment/demo-inventory-service", 50055).await?;
    let part = |key| namespace.secret("demo-api-gateway-tls", key);
    let authority = Certificate::from_pem(part("ca.crt").await?);
    let identity = Identity::from_pem(part("tls.crt").await?, part("tls.key").await?);
    let part = |key| namespace.secret("demo-order-service-tls", key);
    let other = Identity::from_pem(part("tls.crt").await?, part("tls.key").await?);
    let host = format!("demo-inventory-service.{}.svc", namespace.name());
    let stranger = ClientTlsConfig::new().ca_certificate(authority).domain_name(host);
    ask(&forward, Some(stranger.clone().identity(identity)))
        .await
        .context("with a certificate")?;
    let refused = ask(&forward, Some(stranger.clone().identity(other))).await;
    let status = refused.err().and_then(|error| error.downcast::<Status>().ok());
    ensure!(
        status.is_some_and(|status| status.code() == Code::PermissionDenied),
        "order-service may list products"
    );
    // A way that ends with each refusal is opened anew.
    for (who, tls) in [("without a certificate", Some(stranger)), ("without TLS", None)] {
        let forward = Forward::start(namespace.name(), "deployment/demo-inventory-service", 50055).await?;
        ensure!(ask(&forward, tls).await.is_err(), "it answers {who}");
    }
    Ok(())
}

async fn ask(forward: &Forward, tls: Option<ClientTlsConfig>) -> anyhow::Result<()> {
    let url = forward.url();
    let endpoint = match tls {
        Some(tls) => Endpoint::from_shared(url.replace("http:", "https:"))?.tls_config(tls)?,
        None => Endpoint::from_shared(url)?,
    };
    let channel = endpoint
        .timeout(std::time::Duration::from_secs(10))
        .connect()
        .await?;
    let one = ListProductsRequest {
        page: 1,
        page_size: 1,
        ..ListProductsRequest::default()
    };
    InventoryServiceClient::new(channel).list_products(one).await?;
    Ok(())
}

/// The time of the authority has come, and so that of all that it signed.
pub(crate) async fn renewal(world: &World) -> anyhow::Result<()> {
    let namespace = &world.namespace;
    let authority = || namespace.secret("demo-ca", "tls.crt");
    let (old_authority, before) = (authority().await?, deployments(world).await?);
    let traffic = Traffic::start(namespace, DEMO).await?;
    let patch = format!(r#"{{"data":{{"renew-at":"{LONG_AGO}"}}}}"#);
    namespace
        .kubectl(&["patch", "secret", "demo-ca", "--type=merge", "--patch", &patch])
        .await?;
    let is_new = |now: &Vec<Rolled>| {
        let old = |deployment: &Rolled| before.iter().any(|before| before.checksum == deployment.checksum);
        now.iter()
            .all(|deployment| deployment.everywhere && !old(deployment))
    };
    wait_until("all pods have new certificates", || deployments(world), is_new).await?;
    namespace.ready(DEMO).await?;
    traffic.stop().await?;
    ensure!(
        authority().await? != old_authority,
        "the authority is the old one"
    );
    for program in PROGRAMS {
        let secret = format!("{DEMO}-{program}-tls");
        ensure!(
            namespace.secret(&secret, "ca.crt").await? == authority().await?,
            "{program} knows another authority"
        );
    }
    let (_forward, shop) = world.demo().await?;
    place_an_order(&shop).await?;
    Ok(())
}

/// What the pods of a program were told of their Secrets.
#[derive(Debug)]
struct Rolled {
    checksum: String,
    /// All of the program's pods, and no older ones are left.
    everywhere: bool,
}

async fn deployments(world: &World) -> anyhow::Result<Vec<Rolled>> {
    let mut found = Vec::new();
    for program in PROGRAMS {
        let deployment = world
            .namespace
            .get(&format!("deployment/{DEMO}-{program}"))
            .await?;
        let (spec, status) = (&deployment["spec"], &deployment["status"]);
        let annotations = &spec["template"]["metadata"]["annotations"];
        let checksum = annotations["shop-operator.io/credentials-checksum"].as_str();
        found.push(Rolled {
            checksum: checksum.context("no checksum")?.to_owned(),
            everywhere: status["observedGeneration"] == deployment["metadata"]["generation"]
                && status["updatedReplicas"] == spec["replicas"]
                && status["replicas"] == spec["replicas"],
        });
    }
    Ok(found)
}
