//! A shop in a cluster, as its users work with it: by kubectl and helm. `KUBECONFIG` and `PATH` lead there, as
//! `tests/cluster/up` prints them.

mod forward;

use std::{ffi::OsStr, process::Stdio, time::Duration};

use anyhow::{Context as _, bail};
use serde_json::Value;
use tokio::{io::AsyncWriteExt as _, process::Command};

pub use self::forward::Forward;
use crate::{Shop, wait_until};

/// No command takes longer; `kubectl wait` and `helm --wait` have limits of their own below it.
const COMMAND: Duration = Duration::from_mins(6);

/// Runs kubectl and returns what it prints.
pub async fn kubectl<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> anyhow::Result<String> {
    run("kubectl", arguments, None).await
}

/// Runs helm and returns what it prints.
pub async fn helm<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> anyhow::Result<String> {
    run("helm", arguments, None).await
}

async fn run<A: AsRef<OsStr>>(
    program: &str,
    arguments: impl IntoIterator<Item = A>,
    input: Option<&str>,
) -> anyhow::Result<String> {
    let mut command = Command::new(program);
    command.args(arguments).kill_on_drop(true);
    command.stdin(if input.is_some() {
        Stdio::piped()
    } else {
        Stdio::null()
    });
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let shown = format!("{:?}", command.as_std());
    let mut child = command
        .spawn()
        .with_context(|| format!("{program} can't be started"))?;
    if let (Some(text), Some(mut stdin)) = (input, child.stdin.take()) {
        stdin.write_all(text.as_bytes()).await?;
    }
    let output = tokio::time::timeout(COMMAND, child.wait_with_output())
        .await
        .with_context(|| format!("{shown} hangs"))??;
    if !output.status.success() {
        bail!("{shown}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// A namespace of a test's own.
#[derive(Clone, Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes one, in which pods have to keep to the restricted rules of Kubernetes.
    pub async fn create(name: &str) -> anyhow::Result<Self> {
        kubectl(["create", "namespace", name]).await?;
        let rules = "pod-security.kubernetes.io/enforce=restricted";
        kubectl(["label", "namespace", name, rules]).await?;
        Ok(Self {
            name: name.to_owned(),
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// kubectl in this namespace.
    pub async fn kubectl(&self, arguments: &[&str]) -> anyhow::Result<String> {
        kubectl([&["--namespace", &self.name], arguments].concat()).await
    }

    /// Applies manifests.
    pub async fn apply(&self, manifests: &str) -> anyhow::Result<()> {
        let arguments = ["--namespace", &self.name, "apply", "--filename", "-"];
        run("kubectl", arguments, Some(manifests)).await?;
        Ok(())
    }

    /// An object, or objects of a kind, whole.
    pub async fn get(&self, what: &str) -> anyhow::Result<Value> {
        let text = self.kubectl(&["get", what, "--output", "json"]).await?;
        Ok(serde_json::from_str(&text)?)
    }

    /// The objects of some kinds, by kind and name.
    pub async fn names(&self, kinds: &str) -> anyhow::Result<Vec<String>> {
        let text = self.kubectl(&["get", kinds, "--output", "name"]).await?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// Waits until a Shop is ready for its latest spec. On failure the error says how it is.
    pub async fn ready(&self, shop: &str) -> anyhow::Result<()> {
        let generation = self.get(&format!("shop/{shop}")).await?["metadata"]["generation"].to_string();
        let observed = format!("--for=jsonpath={{.status.observedGeneration}}={generation}");
        let name = format!("shop/{shop}");
        let waited = async {
            self.kubectl(&["wait", &name, &observed, "--timeout=60s"]).await?;
            self.kubectl(&["wait", &name, "--for=condition=Ready", "--timeout=240s"])
                .await
        };
        if let Err(error) = waited.await {
            let status = self
                .kubectl(&["get", &name, "--output", "jsonpath={.status}"])
                .await?;
            let pods = self.kubectl(&["get", "pods", "--output", "wide"]).await?;
            bail!("{error:#}\n{status}\n{pods}");
        }
        Ok(())
    }

    /// Waits until no pod of a Shop is on its way out: one that is still answers, as what it was.
    pub async fn no_pod_is_ending(&self, shop: &str) -> anyhow::Result<()> {
        let selector = format!("--selector=app.kubernetes.io/instance={shop}");
        let read = "--output=jsonpath={.items[*].metadata.deletionTimestamp}";
        let get = ["get", "pods", &selector, read];
        let ending = || self.kubectl(&get);
        wait_until("no pod is on its way out", ending, String::is_empty).await?;
        Ok(())
    }

    /// A condition of a Shop: its status, reason and message.
    pub async fn condition(&self, shop: &str, kind: &str) -> anyhow::Result<Condition> {
        let shop = self.get(&format!("shop/{shop}")).await?;
        let conditions = shop["status"]["conditions"].as_array();
        let found = conditions
            .into_iter()
            .flatten()
            .find(|condition| condition["type"] == kind);
        let text = |key: &str| {
            let value = found.and_then(|condition| condition[key].as_str());
            value.unwrap_or_default().to_owned()
        };
        Ok(Condition {
            status: text("status"),
            reason: text("reason"),
            message: text("message"),
        })
    }

    /// Text of a Secret.
    pub async fn secret(&self, name: &str, key: &str) -> anyhow::Result<String> {
        let template = format!("go-template={{{{ index .data \"{key}\" | base64decode }}}}");
        self.kubectl(&["get", "secret", name, "--output", &template])
            .await
    }

    /// A Shop's API through its gateway's Service, as its first admin.
    pub async fn shop(&self, name: &str) -> anyhow::Result<(Forward, Shop)> {
        let forward = Forward::start(&self.name, &format!("service/{name}-api-gateway"), 8080).await?;
        let secret = format!("{name}-admin");
        let email = self.secret(&secret, "username").await?;
        let password = self.secret(&secret, "password").await?;
        let shop = Shop::new(&forward.url(), &email, &password)?;
        Ok((forward, shop))
    }

    /// SQL in the embedded PostgreSQL of a Shop, as its superuser.
    pub async fn sql(&self, shop: &str, database: &str, statement: &str) -> anyhow::Result<String> {
        let pod = format!("{shop}-postgres-0");
        let command = [
            "exec",
            &pod,
            "--",
            "psql",
            "-h",
            "/var/run/postgresql",
            "-U",
            "postgres",
        ];
        let query = ["-v", "ON_ERROR_STOP=1", "-Atc", statement, database];
        self.kubectl(&[&command[..], &query[..]].concat()).await
    }

    /// Deletes it with all that is in it.
    pub async fn delete(self) -> anyhow::Result<()> {
        kubectl(["delete", "namespace", &self.name, "--timeout=180s"]).await?;
        Ok(())
    }
}

/// A condition of a Shop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// True, False or Unknown.
    pub status: String,
    /// For a program.
    pub reason: String,
    /// For a person.
    pub message: String,
}
