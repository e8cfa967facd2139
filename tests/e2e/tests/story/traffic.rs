//! A customer inside the cluster who never stops asking, by the gateway's Service, and counts the answers.

use anyhow::{Context as _, ensure};
use e2e::{kubernetes::Namespace, wait_until};

const POD: &str = "customer";
/// What the pod's image is: any with a busybox.
const IMAGE: &str = "SHOP_CLIENT_IMAGE";

/// The customer.
pub(crate) struct Traffic<'a> {
    namespace: &'a Namespace,
}

impl<'a> Traffic<'a> {
    /// Begins to read the products of a Shop, which takes the gateway, inventory-service and its database.
    pub(crate) async fn start(namespace: &'a Namespace, shop: &str) -> anyhow::Result<Self> {
        let image = std::env::var(IMAGE).unwrap_or_else(|_| "localhost/busybox:1".to_owned());
        namespace
            .apply(&POD_MANIFEST.replace("IMAGE", &image).replace("SHOP", shop))
            .await?;
        namespace
            .kubectl(&["wait", "pod", POD, "--for=condition=Ready", "--timeout=60s"])
            .await?;
        let traffic = Self { namespace };
        wait_until(
            "the customer is answered",
            || traffic.log(),
            |log| log.contains("answered"),
        )
        .await?;
        Ok(traffic)
    }

    /// Ends it. Every question must have been answered.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        let log = self.log().await?;
        self.namespace
            .kubectl(&["delete", "pod", POD, "--grace-period=0", "--force"])
            .await?;
        let failed: Vec<_> = log.lines().filter(|line| *line != "answered").collect();
        ensure!(
            failed.is_empty(),
            "{} of {} requests failed: {failed:?}",
            failed.len(),
            log.lines().count()
        );
        Ok(())
    }

    async fn log(&self) -> anyhow::Result<String> {
        self.namespace
            .kubectl(&["logs", POD, "--tail=-1"])
            .await
            .context("the customer's log")
    }
}

const POD_MANIFEST: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: customer}
spec:
  restartPolicy: Never
  automountServiceAccountToken: false
  securityContext: {runAsNonRoot: true, runAsUser: 65532, seccompProfile: {type: RuntimeDefault}}
  containers:
    - name: customer
      image: IMAGE
      imagePullPolicy: IfNotPresent
      securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
      command:
        - sh
        - -c
        - |
          while true; do
            if why=$(timeout 10 wget -q -O /dev/null http://SHOP-api-gateway:8080/products 2>&1); then echo answered
            else echo "$(date): $why"; fi
            sleep 0.05
          done
"#;
