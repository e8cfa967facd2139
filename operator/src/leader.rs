//! Which replica writes: the one that holds the Lease, and only as long as that is good.
//!
//! The Lease is held and renewed by `kube-lease-manager`, which goes on trying when the API server gives errors or no
//! answer, and says nothing meanwhile. Another replica takes over when the Lease's time has passed. So that time is kept
//! here, from the renewals that the API server has confirmed: when it is over, nothing is written any more.

use std::time::Duration;

use chassis::health::ReadinessFlag;
use http::{Method, Request};
use kube::{Client, client::Body};
use kube_lease_manager::{LeaseManager, LeaseManagerBuilder, LeaseManagerError};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::config::RunArgs;

/// How long a Lease is good.
#[derive(Clone, Copy, Debug)]
struct Terms {
    /// Without being renewed, in seconds: so long after a leader's sudden death another one takes over.
    lease: u64,
    /// How long before that it is renewed, in seconds.
    renewed_before: u64,
    /// How long before that its holder has ended to write. What was sent last is there by then, and clocks differ.
    ended_before: Duration,
}

const TERMS: Terms = Terms {
    lease: 12,
    renewed_before: 8,
    ended_before: Duration::from_secs(1),
};
/// How long a replica that ends tries to give the Lease back.
const GIVE_BACK: Duration = Duration::from_secs(5);

/// Waits to become the leader, then does `work`, with a client that writes while the Lease is good, until it ends, which it
/// does some time after the shutdown; then the Lease is given back. If the Lease is lost before, or could not be renewed in
/// time, `work` is dropped where it stands, so that nothing is written afterwards.
///
/// It returns when the Lease is lost. The process then ends, since a part of it has, and is started again.
pub async fn lead<Work: Future<Output = ()>>(
    client: Client,
    args: &RunArgs,
    flag: &ReadinessFlag,
    shutdown: CancellationToken,
    work: impl FnOnce(Client, CancellationToken) -> Work,
) -> Result<(), LeaseManagerError> {
    let good = Good::new(TERMS);
    let manager = manager(good.noting(client.clone()), args, TERMS).await?;
    // A replica that waits for its turn is ready: it does all that it is there for.
    flag.ready();
    hold(manager, &good, &client, shutdown, work).await
}

async fn hold<Work: Future<Output = ()>>(
    manager: LeaseManager,
    good: &Good,
    client: &Client,
    shutdown: CancellationToken,
    work: impl FnOnce(Client, CancellationToken) -> Work,
) -> Result<(), LeaseManagerError> {
    let (mut leading, mut renewing) = manager.watch().await;
    let begins = async { leading.wait_for(|leading| *leading).await.is_ok() && good.begins().await };
    if shutdown.run_until_cancelled(begins).await == Some(true) {
        tracing::info!("leading");
        tokio::select! {
            biased;
            () = good.ends() => tracing::error!("the lease could not be renewed in time"),
            _ = leading.wait_for(|leading| !*leading) => tracing::error!("the lease is lost"),
            () = work(good.guarding(client.clone()), shutdown.clone()) => {}
        }
    }
    // With its last receiver gone the manager gives the Lease back and ends.
    drop(leading);
    match timeout(GIVE_BACK, &mut renewing).await {
        Ok(Ok(ended)) => ended.map(drop),
        Ok(Err(error)) => {
            tracing::error!(%error, "the renewal of the lease ended");
            Ok(())
        }
        Err(_) => {
            renewing.abort();
            tracing::warn!("the lease is not given back: the API server gives no answer");
            Ok(())
        }
    }
}

async fn manager(client: Client, args: &RunArgs, terms: Terms) -> Result<LeaseManager, LeaseManagerError> {
    let mut builder = LeaseManagerBuilder::new(client, &args.lease_name)
        .with_namespace(&args.lease_namespace)
        .with_duration(terms.lease)
        .with_grace(terms.renewed_before);
    if let Some(name) = &args.pod_name {
        builder = builder.with_identity(name);
    }
    builder.build().await
}

/// Until when the Lease is good, as far as the API server has confirmed it.
struct Good {
    until: watch::Sender<Instant>,
    lasts: Duration,
}

/// A write after the Lease's time.
#[derive(Debug, thiserror::Error)]
#[error("the lease is not good any more: another replica may write by now")]
struct Over;

impl Good {
    fn new(terms: Terms) -> Self {
        Self {
            until: watch::Sender::new(Instant::now()),
            lasts: Duration::from_secs(terms.lease).saturating_sub(terms.ended_before),
        }
    }

    /// A client of whose writes the Lease lives. It is good from before one was sent, since the time that the Lease has in
    /// it is from before, too.
    fn noting(&self, client: Client) -> Client {
        let (until, lasts) = (self.until.clone(), self.lasts);
        let namespace = client.default_namespace().to_owned();
        let service = tower::service_fn(move |request: Request<Body>| {
            let (client, until) = (client.clone(), until.clone());
            let (began, writes) = (Instant::now(), request.method() == Method::PATCH);
            async move {
                let answer = client.send(request).await?;
                if writes && answer.status().is_success() {
                    until.send_replace(began + lasts);
                }
                Ok::<_, kube::Error>(answer)
            }
        });
        Client::new(service, namespace)
    }

    /// A client that only reads once the Lease is not good any more. The work is dropped then; a process that was stopped
    /// and goes on may come here before it learns of that.
    fn guarding(&self, client: Client) -> Client {
        let until = self.until.subscribe();
        let namespace = client.default_namespace().to_owned();
        let service = tower::service_fn(move |request: Request<Body>| {
            let (client, until) = (client.clone(), until.clone());
            async move {
                if request.method() != Method::GET && Instant::now() >= *until.borrow() {
                    return Err(kube::Error::Service(Over.into()));
                }
                client.send(request).await
            }
        });
        Client::new(service, namespace)
    }

    /// Waits until it is good. One that is started again under its name finds the Lease its own, and renews it first.
    async fn begins(&self) -> bool {
        let is_good = |until: &Instant| Instant::now() < *until;
        self.until.subscribe().wait_for(is_good).await.is_ok()
    }

    /// Waits until it is not good any more.
    async fn ends(&self) {
        loop {
            let until = *self.until.borrow();
            if Instant::now() >= until {
                return;
            }
            sleep_until(until).await;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::{Arc, Mutex};

    use http::StatusCode;
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::{
        Api,
        api::{Patch, PatchParams},
    };
    use serde_json::json;

    use super::*;
    use crate::memory_api_server::ApiServer;

    const SHORT: Terms = Terms {
        lease: 3,
        renewed_before: 2,
        ended_before: Duration::from_millis(500),
    };

    async fn build(client: Client, identity: &str) -> LeaseManager {
        LeaseManagerBuilder::new(client, "leading")
            .with_namespace("default")
            .with_duration(SHORT.lease)
            .with_grace(SHORT.renewed_before)
            .with_identity(identity)
            .build()
            .await
            .unwrap()
    }

    async fn write(client: &Client) -> Result<ConfigMap, kube::Error> {
        let api: Api<ConfigMap> = Api::namespaced(client.clone(), "default");
        let patch = json!({"data": {"a": "b"}});
        api.patch("written", &PatchParams::default(), &Patch::Merge(&patch))
            .await
    }

    async fn lead_to_one_write(server: &ApiServer) {
        let good = Good::new(SHORT);
        let manager = build(good.noting(server.client()), "first").await;
        let work = |client: Client, _| async move {
            write(&client).await.unwrap();
        };
        hold(manager, &good, &server.client(), CancellationToken::new(), work)
            .await
            .unwrap();
    }

    /// The API server takes everything of the leader but its renewals. It writes on for a while, and is silent before the
    /// Lease's time has passed and another one takes it.
    #[tokio::test]
    async fn a_leader_that_can_not_renew_writes_nothing_after_the_time_of_the_lease() {
        let server = ApiServer::default();
        let good = Good::new(SHORT);
        let manager = build(good.noting(server.client()), "first").await;
        let wrote = Arc::new(Mutex::new(None));
        let (last, broken) = (Arc::clone(&wrote), server.clone());
        let work = |client: Client, _| async move {
            let began = Instant::now();
            loop {
                // It has been renewed by then.
                if began.elapsed() > Duration::from_secs(4) {
                    broken.break_down("leases/", Some(StatusCode::INTERNAL_SERVER_ERROR));
                }
                write(&client).await.unwrap();
                *last.lock().unwrap() = Some(Instant::now());
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let began = Instant::now();
        hold(manager, &good, &server.client(), CancellationToken::new(), work)
            .await
            .ok();
        assert!(
            began.elapsed() > Duration::from_secs(4),
            "it was renewed while it could be"
        );
        // What the next one goes by.
        let lease = server
            .object("/apis/coordination.k8s.io/v1/namespaces/default/leases/leading")
            .unwrap();
        let renewed: k8s_openapi::jiff::Timestamp =
            lease["spec"]["renewTime"].as_str().unwrap().parse().unwrap();
        let ago = k8s_openapi::jiff::Timestamp::now()
            .duration_since(renewed)
            .unsigned_abs();
        let renewed = Instant::now().checked_sub(ago).unwrap();
        let wrote = wrote.lock().unwrap().unwrap();
        assert!(
            wrote < renewed + Duration::from_secs(SHORT.lease),
            "{:?}",
            wrote - renewed
        );
        let after = write(&good.guarding(server.client())).await.unwrap_err();
        assert!(format!("{after:?}").contains("Over"), "{after:?}");
    }

    /// A container that is started again has the name that it had.
    #[tokio::test]
    async fn a_leader_that_is_started_again_leads_on() {
        let now = k8s_openapi::jiff::Timestamp::now();
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "leading"},
            "spec": {"holderIdentity": "first", "renewTime": now.to_string(), "leaseDurationSeconds": SHORT.lease},
        });
        let server = ApiServer::default().with(
            "/apis/coordination.k8s.io/v1/namespaces/default/leases/leading",
            lease,
        );
        lead_to_one_write(&server).await;
        assert_eq!(server.writes("configmaps/written").len(), 1);
    }

    #[tokio::test]
    async fn a_leader_that_ends_gives_the_lease_back() {
        let server = ApiServer::default();
        lead_to_one_write(&server).await;
        let lease = server
            .object("/apis/coordination.k8s.io/v1/namespaces/default/leases/leading")
            .unwrap();
        assert_eq!(lease["spec"].get("holderIdentity"), None, "{lease}");
    }
}
