//! A way from this machine to a Service of the cluster: `kubectl port-forward`.

use std::{process::Stdio, time::Duration};

use anyhow::{Context as _, bail};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

const START: Duration = Duration::from_secs(20);

/// An open way. It is closed when it is dropped, and goes to one pod, which must not end.
#[derive(Debug)]
pub struct Forward {
    port: u16,
    _kubectl: Child,
}

impl Forward {
    /// Opens one to a port of `target`, for example `service/demo-api-gateway`.
    pub async fn start(namespace: &str, target: &str, port: u16) -> anyhow::Result<Self> {
        let mut kubectl = Command::new("kubectl")
            .args([
                "--namespace",
                namespace,
                "port-forward",
                target,
                &format!(":{port}"),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("kubectl can't be started")?;
        let output = kubectl.stdout.take().context("kubectl has an output")?;
        let mut lines = BufReader::new(output).lines();
        let line = tokio::time::timeout(START, lines.next_line())
            .await
            .context("kubectl port-forward says nothing")??
            .with_context(|| format!("kubectl port-forward {target} ended"))?;
        // Forwarding from 127.0.0.1:40123 -> 8080
        let local = line
            .split_whitespace()
            .find_map(|word| word.strip_prefix("127.0.0.1:"));
        let Some(port) = local.and_then(|port| port.parse().ok()) else {
            bail!("kubectl port-forward says {line:?}");
        };
        // It says each connection, and ends if nobody listens.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self {
            port,
            _kubectl: kubectl,
        })
    }

    /// Where it begins.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}
