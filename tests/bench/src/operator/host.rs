//! The operator as a process of this machine, with the rights that its chart grants it in the cluster.

use std::{
    fs::OpenOptions,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::StatusCode;
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    coordination::v1::Lease,
    core::v1::ServiceAccount,
};
use kube::{
    Api, Client,
    api::PostParams,
    config::{AuthInfo, Kubeconfig},
};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use url::Url;

use super::{chart, cluster, counts::Counts};
use crate::{
    http_client,
    processes::{Memory, memory},
};

/// Longer than any measurement.
const TOKEN_SECONDS: i64 = 24 * 3600;
/// How long the operator may take to become the leader.
const STARTING: Duration = Duration::from_mins(1);
/// How long it may take to end.
const ENDING: Duration = Duration::from_secs(30);
/// How it signs the Lease.
const IDENTITY: &str = "bench";

/// A running operator.
pub(super) struct Operator {
    process: Child,
    pid: u32,
    admin: Url,
    log: PathBuf,
    /// With the token that it shows the API server.
    _kubeconfig: TempDir,
}

impl Operator {
    /// Starts it, and waits until it leads.
    pub(super) async fn start(client: &Client, log_dir: &Path, resync: Duration) -> anyhow::Result<Self> {
        let kubeconfig = kubeconfig(client).await?;
        let admin = free_address()?;
        let log = log_dir.join("shop-operator.log");
        let output = OpenOptions::new().create(true).append(true).open(&log);
        let output = output.with_context(|| format!("cannot write {}", log.display()))?;
        // Beside this program, where both are built.
        let program = std::env::current_exe()?.with_file_name("shop-operator");
        // It must not outlive this program, whatever ends it.
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "TERM", "--"])
            .arg(&program)
            .arg("run")
            .args(["--admin-addr", &admin.to_string()])
            .args(["--lease-name", chart::NAME, "--lease-namespace", chart::NAMESPACE])
            .args(["--pod-name", IDENTITY])
            .args([
                "--resync-interval",
                &humantime::format_duration(resync).to_string().replace(' ', ""),
            ])
            .args(["--log-format", "json", "--log", "info"])
            .env("KUBECONFIG", kubeconfig.path().join("kubeconfig"))
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .kill_on_drop(true);
        let process = command
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let pid = process.id().context("the operator has a pid")?;
        let operator = Self {
            process,
            pid,
            admin: format!("http://{admin}").parse()?,
            log,
            _kubeconfig: kubeconfig,
        };
        operator.leads(client).await?;
        Ok(operator)
    }

    async fn leads(&self, client: &Client) -> anyhow::Result<()> {
        let leases: Api<Lease> = Api::namespaced(client.clone(), chart::NAMESPACE);
        let leading = cluster::until_nothing_is_missing(STARTING, || async {
            let lease = leases.get_opt(chart::NAME).await?;
            let holder = lease.and_then(|lease| lease.spec?.holder_identity);
            let is_held = holder.as_deref() == Some(IDENTITY);
            Ok((!is_held).then(|| format!("the Lease {} is held by {holder:?}", chart::NAME)))
        });
        leading.await.with_context(|| self.see_log())?;
        self.counts().await?;
        Ok(())
    }

    fn see_log(&self) -> String {
        format!("the operator (its log is {})", self.log.display())
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// What it has counted until now.
    pub(super) async fn counts(&self) -> anyhow::Result<Counts> {
        let asked = async {
            let mut admin = http_client::Client::connect(&self.admin).await?;
            let metrics = admin.send("GET", "/metrics", None, Bytes::new()).await?;
            ensure!(
                metrics.status() == StatusCode::OK,
                "/metrics: {}",
                metrics.status()
            );
            Counts::parse(&String::from_utf8_lossy(metrics.body()))
        };
        let answer = tokio::time::timeout(STARTING, asked).await;
        answer
            .context("/metrics do not answer")
            .flatten()
            .with_context(|| self.see_log())
    }

    pub(super) fn memory(&self) -> anyhow::Result<Memory> {
        memory(self.pid).with_context(|| format!("{} has died", self.see_log()))
    }

    /// Has it end as Kubernetes would.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        kill_process(pid.context("the operator has a pid")?, Signal::TERM)?;
        let ended = tokio::time::timeout(ENDING, self.process.wait()).await;
        ended.with_context(|| format!("{} does not end", self.see_log()))??;
        Ok(())
    }
}

/// The cluster's own, but with a token of the operator's account.
async fn kubeconfig(client: &Client) -> anyhow::Result<TempDir> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), chart::NAMESPACE);
    let request = TokenRequest {
        spec: Some(TokenRequestSpec {
            expiration_seconds: Some(TOKEN_SECONDS),
            ..TokenRequestSpec::default()
        }),
        ..TokenRequest::default()
    };
    let granted = accounts
        .create_token_request(chart::NAME, &PostParams::default(), &request)
        .await
        .with_context(|| format!("a token of the account {}", chart::NAME))?;
    let token = granted.status.and_then(|status| status.token);
    let token = token.context("the API server grants a token")?;
    let mut config = Kubeconfig::read()?;
    for user in &mut config.auth_infos {
        user.auth_info = Some(AuthInfo {
            token: Some(token.clone().into()),
            ..AuthInfo::default()
        });
    }
    // Nobody else can read the folder.
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("kubeconfig"), serde_json::to_vec(&config)?)?;
    Ok(folder)
}

/// One that nobody listens on, as long as nobody is quicker.
fn free_address() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?)
}
